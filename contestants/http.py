"""
http: a plain download from an HTTP server on the seeder, the yardstick of what the link can do.

No BitTorrent client. https://www.rfc-editor.org/rfc/rfc9110
"""

from pathlib import Path
from urllib.parse import quote, urlsplit

from btgames.contract import Command, Host, Torrent

TITLE = "HTTP download"
HOME = "https://www.rfc-editor.org/rfc/rfc9110"
LANGUAGE = "Python"
LICENCE = "MIT"  # as this project
YEAR = 2026
YARDSTICK = True


def install(host: Host, version: str = "1") -> None:
    """Nothing to install: the system's Python is enough."""


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_http_fetch.py").read_bytes(), "fetch.py")
    return host.put("".join(_line(*source) for source in torrent.sources), "parts")


def _line(server: str, path: str, offset: int, length: int) -> str:
    """Return what the script needs of a part: address, port, URL's path, range of bytes, file."""
    url = urlsplit(server)
    return f"{url.hostname}\t{url.port}\t/{quote(path)}\t{offset}-{offset + length - 1}\t{path}\n"


def download(torrentfile: str, into: str) -> Command:
    return Command("python3", "-I", "-S", Path(torrentfile).with_name("fetch.py"), torrentfile, into)
