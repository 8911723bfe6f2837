"""webtorrent: the command line client of WebTorrent, on Node.js. https://webtorrent.io"""

from btgames.contract import Command, Host, Torrent, npm

TITLE = "WebTorrent (cli)"
HOME = "https://webtorrent.io"
LANGUAGE = "JavaScript"
LICENCE = "MIT"
YEAR = 2013


def install(host: Host, version: str = "4.1.0") -> None:
    npm(host, f"webtorrent-cli@{version}", least=(16,))


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("webtorrent", "download", torrentfile, "-o", into, "--quiet")
