"""libtorrent, tuned: the house contestant, TCP only, with a script of its own. https://libtorrent.org"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, pip

TITLE = "libtorrent, tuned (TCP)"
HOME = "https://libtorrent.org"
LANGUAGE = "C++"
YEAR = 2003

# What differs from libtorrent's defaults: nobody to look for but the tracker's peers, no uTP (which also makes the
# session's end quick), and requests deep enough for a fast link.
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "request_queue_time": 5,
    "max_out_request_queue": 2000,
    "tick_interval": 50,
}


def install(host: Host, version: str = "2.1.1") -> None:
    pip(host, f"libtorrent=={version}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_libtorrent_driver.py").read_bytes(), "driver.py")
    host.put(json.dumps(SETTINGS), "settings.json")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("python", "-I", folder / "driver.py", torrentfile, into, folder / "settings.json")
