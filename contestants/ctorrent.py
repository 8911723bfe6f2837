"""
ctorrent: Enhanced CTorrent, a small client in one process and one thread. https://www.rahul.net/dholmes/ctorrent/

Told to exit when it is done, it says "Quitting" and does so 15 s later. A signal makes it say that, too; a second one
ends it.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Enhanced CTorrent"
HOME = "https://www.rahul.net/dholmes/ctorrent/"
LANGUAGE = "C++"
LICENCE = "GPL-2.0-or-later"
YEAR = 2004
UTP = False
EXITS = False  # in time


def install(host: Host, version: str = "dnh3.3.2") -> None:
    apt(host, "ctorrent", program="ctorrent")


def version(host: Host) -> str:
    return host.run("sh", "-c", "ctorrent -h || true").split()[2]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("ctorrent", "-e", "0", torrentfile)  # into the working directory; -e: hours to seed when done
