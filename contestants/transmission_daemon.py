"""
transmission_daemon: Transmission's daemon, with the remote control that comes with it. https://transmissionbt.com

Like transmission-cli it says that it is interested 8 s after it has connected; over uTP a minute late.
"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Transmission (daemon)"
HOME = "https://transmissionbt.com"
LANGUAGE = "C"
LICENCE = "GPL-2.0-only OR GPL-3.0-only"
YEAR = 2008

# Of the remote control. Not Transmission's own 9091, which the machine's own daemon may have: it would get the torrent.
PORT = 9092

SETTINGS = {
    "dht-enabled": False,
    "lpd-enabled": False,
    "pex-enabled": False,
    "port-forwarding-enabled": False,
    "preallocation": 0,
    "rpc-port": PORT,
    "script-torrent-done-enabled": True,
}

# The daemon is told what to do as soon as it listens, and its own script hook ends it.
START = """\
#!/bin/sh
transmission-daemon --foreground --config-dir "$1" --download-dir "$2" &
echo $! >"$1/pid"
until transmission-remote "$4" --add "$3"; do
    kill -0 $! || exit
    sleep 0.05
done
wait
"""
DONE = """\
#!/bin/sh
read -r pid <"$(dirname "$0")/pid"
kill -INT "$pid"
"""


def install(host: Host, version: str = "3.00") -> None:
    apt(host, "transmission-daemon", "transmission-cli", program="transmission-daemon")
    apt(host, "transmission-cli", program="transmission-remote")


def version(host: Host) -> str:
    return host.run("transmission-daemon", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    done = host.put(DONE, "config/done.sh", mode=0o755)
    settings = {**SETTINGS, "utp-enabled": torrent.transport == "utp", "script-torrent-done-filename": done}
    host.put(json.dumps(settings), "config/settings.json")
    host.put(START, "start.sh", mode=0o755)
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command(folder / "start.sh", folder / "config", into, torrentfile, PORT)
