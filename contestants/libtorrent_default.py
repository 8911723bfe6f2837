"""libtorrent with the settings it comes with, driven by a small script. https://libtorrent.org"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent, pip

TITLE = "libtorrent, default settings"
HOME = "https://libtorrent.org"
LANGUAGE = "C++"
LICENCE = "BSD-3-Clause"
YEAR = 2003

SETTINGS: dict[str, object] = {}


def install(host: Host, version: str = "2.1.1") -> None:
    pip(host, f"libtorrent=={version}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_libtorrent_driver.py").read_bytes(), "driver.py")
    host.put(json.dumps(SETTINGS), "settings.json")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("python", "-I", folder / "driver.py", torrentfile, into, folder / "settings.json")
