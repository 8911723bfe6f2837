"""
unworkable: a small client on libevent. https://github.com/niallo/Unworkable

It asks for pieces once a second, each time for more than the last time: 7 s for 2 MB, 24 s for 28 MB, 129 s for
200 MB. It does not tell its version.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Unworkable"
HOME = "https://github.com/niallo/Unworkable"
LANGUAGE = "C"
LICENCE = "ISC"
YEAR = 2006
UTP = False


def install(host: Host, version: str = "0.53") -> None:
    apt(host, "unworkable", program="unworkable")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("unworkable", torrentfile)  # into the working directory
