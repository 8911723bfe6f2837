"""
http: a plain download from an HTTP server on the seeder, the yardstick of what the link can do.

No BitTorrent client. https://www.rfc-editor.org/rfc/rfc9110
"""

import json
from pathlib import Path
from urllib.parse import quote, urlsplit

from btgames.contract import Command, Host, Torrent

TITLE = "HTTP download"
HOME = "https://www.rfc-editor.org/rfc/rfc9110"
LANGUAGE = "Python"
YEAR = 2026
YARDSTICK = True


def install(host: Host, version: str = "1") -> None:
    """Nothing to install: the system's Python is enough."""


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_http_fetch.py").read_bytes(), "fetch.py")
    parts = [_part(*source) for source in torrent.sources]
    return host.put(json.dumps(parts), "parts.json")


def _part(server: str, path: str, offset: int, length: int) -> tuple[str | None, int | None, str, str, int]:
    """Return what the script needs of a part: address, port, the whole request, and where it belongs."""
    url = urlsplit(server)
    wanted = f"Range: bytes={offset}-{offset + length - 1}"
    request = f"GET /{quote(path)} HTTP/1.1\r\nHost: {url.netloc}\r\n{wanted}\r\nConnection: close\r\n\r\n"
    return url.hostname, url.port, request, path, offset


def download(torrentfile: str, into: str) -> Command:
    return Command("python3", "-I", Path(torrentfile).with_name("fetch.py"), torrentfile, into)
