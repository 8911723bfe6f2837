"""
http: a plain download from an HTTP server on the seeder, the yardstick of what the link can do.

No BitTorrent client. https://docs.python.org/3/library/http.client.html
"""

import json
from pathlib import Path

from btgames.contract import Command, Host, Torrent

TITLE = "HTTP download"
HOME = "https://docs.python.org/3/library/http.client.html"
LANGUAGE = "Python"
YEAR = 2026
YARDSTICK = True


def install(host: Host, version: str = "1") -> None:
    """Nothing to install: the system's Python is enough."""


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_http_fetch.py").read_bytes(), "fetch.py")
    return host.put(json.dumps(torrent.sources), "parts.json")


def download(torrentfile: str, into: str) -> Command:
    return Command("python3", "-I", Path(torrentfile).with_name("fetch.py"), torrentfile, into)
