"""
torrentp: a wrapper of libtorrent in Python, with the settings that libtorrent comes with. https://github.com/iw4p/torrentp

It has no settings for uTP, DHT and the like: both are on, and large took 141 s over uTP on a busy machine. It looks
once a second whether all is there.
"""

from btgames.contract import Command, Host, Torrent, pip

TITLE = "torrentp"
HOME = "https://github.com/iw4p/torrentp"
LANGUAGE = "Python"
LICENCE = "BSD-2-Clause"
YEAR = 2022

# Its own command line asks what to do next and does not end without a terminal; this is its README's example.
START = """
import asyncio, sys
from torrentp import TorrentDownloader
asyncio.run(TorrentDownloader(sys.argv[1], sys.argv[2], stop_after_download=True).start_download())
"""


def install(host: Host, version: str = "0.2.7") -> None:
    pip(host, f"torrentp=={version}", "libtorrent==2.1.1")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-I", "-c", START, torrentfile, into)
