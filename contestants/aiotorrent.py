"""
aiotorrent: a small library in pure Python, on asyncio. https://github.com/Mys7erio/aiotorrent

It asks one peer for a piece, takes in whatever comes until nothing has come for 5 s, and asks for the next one:
"Timeout here is intentional and guaranteed". That is too slow for all time limits. Given 600 s on small it exits with
status 0 after 313 s, without the last piece: "Piece Hash Does Not Match for Piece #61".
"""

from btgames.contract import Command, Host, Torrent, pip

TITLE = "aiotorrent"
HOME = "https://github.com/Mys7erio/aiotorrent"
LANGUAGE = "Python"
LICENCE = "MIT"
YEAR = 2023
UTP = False
DEFECT = "it waits for 5 s after each piece, on purpose, and gets the last one wrong"

# Its own command line waits for a hundred peers of the DHT; this is its README's example, into the working directory.
START = """
import asyncio, logging, sys
from aiotorrent import Torrent

async def download(path):
    torrent = Torrent(path)
    await torrent.init()
    for file in torrent.files:
        await torrent.download(file)

logging.basicConfig(level=logging.INFO)
asyncio.run(download(sys.argv[1]))
"""


def install(host: Host, version: str = "0.9.2") -> None:
    pip(host, f"aiotorrent=={version}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-I", "-c", START, torrentfile)
