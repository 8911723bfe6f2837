"""
deluge: Deluge's daemon on libtorrent, tuned, driven over its own client library. https://deluge-torrent.org

Deluge has no setting for uTP, but libtorrent's own settings are read from its file session.state.
The driver starts the daemon, gives it the torrent and ends it when all is there. To start takes most of the time.
"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Deluge (daemon), tuned (TCP)"
HOME = "https://deluge-torrent.org"
LANGUAGE = "Python"
LICENCE = "GPL-3.0-or-later"
YEAR = 2006

# Peers come from the tracker alone; nothing is encrypted (2: disabled).
CONFIG = {
    "dht": False,
    "lsd": False,
    "natpmp": False,
    "upnp": False,
    "utpex": False,
    "enc_in_policy": 2,
    "enc_out_policy": 2,
}
TCP_ONLY = "d8:settingsd19:enable_incoming_utpi0e19:enable_outgoing_utpi0eee"
UTP_ONLY = "d8:settingsd19:enable_incoming_tcpi0e19:enable_outgoing_tcpi0eee"


def install(host: Host, version: str = "2.0.3") -> None:
    apt(host, "deluged", program="deluged")


def version(host: Host) -> str:
    return host.run("deluged", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_deluge_driver.py").read_bytes(), "driver.py")
    host.put("localclient:games:10\n", "config/auth")
    form = {"file": 1, "format": 1}  # Deluge's: two JSON objects, one after the other
    host.put(json.dumps(form) + json.dumps(CONFIG), "config/core.conf")
    host.put(UTP_ONLY if torrent.transport == "utp" else TCP_ONLY, "config/session.state")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("/usr/bin/python3", folder / "driver.py", torrentfile, into, folder / "config")
