"""
pybittorrent: a small client in pure Python. https://github.com/gaffner/PyBitTorrent

It waits 2.5 s for its first peer and sends at most one request a millisecond. It writes into the working directory,
whatever its output_dir says, and keeps several files in one of /tmp until it is done.
"""

from btgames.contract import Command, Host, Torrent, pip

TITLE = "PyBitTorrent"
HOME = "https://github.com/gaffner/PyBitTorrent"
LANGUAGE = "Python"
LICENCE = "MIT"
YEAR = 2021
UTP = False

# It has no command line of its own; this is its README's example. The progress bar also turns its debug log off.
START = "import sys; from PyBitTorrent import TorrentClient; TorrentClient(sys.argv[1], output_dir=sys.argv[2]).start()"


def install(host: Host, version: str = "0.5.6") -> None:
    pip(host, f"pybittorrent=={version}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-I", "-c", START, torrentfile, into)
