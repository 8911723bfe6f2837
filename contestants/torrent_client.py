"""
torrent_client: Alexander Borzunov's client in Python, on asyncio. https://github.com/borzunov/bit-torrent

PyPI has it from the OpenWorm project. It requires bitarray 0.8.1, aiohttp 2.3.3 and others of CPython 3.6's time,
exactly these versions.
"""

from btgames.contract import Command, Host, Torrent, apt, pip, python_of

TITLE = "torrent-client"
HOME = "https://github.com/borzunov/bit-torrent"
LANGUAGE = "Python 3.6"
LICENCE = "none stated"
YEAR = 2016
UTP = False

# Its command line is a daemon that seeds on for ever; this is what the daemon does with a torrent, and its end.
START = """
import asyncio, sys
from torrent_client.algorithms import TorrentManager
from torrent_client.models import TorrentInfo, generate_peer_id

async def download(path, into):
    manager = TorrentManager(TorrentInfo.from_file(path, download_dir=into), generate_peer_id(), None)
    await manager.run()
    await manager.stop()

asyncio.get_event_loop().run_until_complete(download(*sys.argv[1:]))
"""


def install(host: Host, version: str = "1.2") -> None:
    apt(host, "gcc", "libc6-dev", program="gcc")  # bitarray is written in C, as Python 3.6 had it
    pip(host, f"torrent-client=={version}", python=python_of("3.6"))


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-I", "-c", START, torrentfile, into)
