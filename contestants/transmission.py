"""
transmission: Transmission's one-torrent program, transmission-cli. https://transmissionbt.com

Version 3.00 connects 3 s after its start and says that it is interested 8 s after that, whatever the size of the
payload. Where seeders accept uTP only, its first requests come a minute late. It seeds for ever: its own script hook,
which runs when the torrent is done, tells it to end.
"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Transmission (cli), tuned (TCP)"
HOME = "https://transmissionbt.com"
LANGUAGE = "C"
LICENCE = "GPL-2.0-only OR GPL-3.0-only"
YEAR = 2005

SETTINGS = {
    "dht-enabled": False,
    "lpd-enabled": False,
    "pex-enabled": False,
    "port-forwarding-enabled": False,
    "preallocation": 0,
}


def install(host: Host, version: str = "3.00") -> None:
    apt(host, "transmission-cli", program="transmission-cli")


def version(host: Host) -> str:
    return host.run("transmission-cli", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(json.dumps({**SETTINGS, "utp-enabled": torrent.transport == "utp"}), "config/settings.json")
    host.put("#!/bin/sh\nkill -INT $PPID\n", "done.sh", mode=0o755)
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("transmission-cli", "-M", "-g", folder / "config", "-w", into, "-f", folder / "done.sh", torrentfile)
