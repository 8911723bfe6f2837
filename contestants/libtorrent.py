"""libtorrent, tuned: the house contestant, TCP only, with a script of its own. https://libtorrent.org"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, pip

TITLE = "libtorrent, tuned (TCP)"
HOME = "https://libtorrent.org"
LANGUAGE = "C++"
LICENCE = "BSD-3-Clause"
YEAR = 2003

# What differs from libtorrent's defaults: nobody to look for but the tracker's peers, and requests deep enough for a
# fast link.
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "request_queue_time": 5,
    "max_out_request_queue": 2000,
    "tick_interval": 50,
}
# Without uTP the session's end is quick, too.
TCP_ONLY = {"enable_outgoing_utp": False, "enable_incoming_utp": False}
UTP_ONLY = {"enable_outgoing_tcp": False, "enable_incoming_tcp": False}


def install(host: Host, version: str = "2.1.1") -> None:
    pip(host, f"libtorrent=={version}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_libtorrent_driver.py").read_bytes(), "driver.py")
    host.put(json.dumps({**SETTINGS, **(UTP_ONLY if torrent.transport == "utp" else TCP_ONLY)}), "settings.json")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("python", "-I", folder / "driver.py", torrentfile, into, folder / "settings.json")
