"""
torrent_stream: a streaming library for Node.js, by a script of ours. https://github.com/mafintosh/torrent-stream

It has at most 5 requests under way with a peer (MAX_REQUESTS, not to be set): 10 MB/s of a link's 31, at a tenth of one
processor. So large takes 21 s.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, npm

TITLE = "torrent-stream"
HOME = "https://github.com/mafintosh/torrent-stream"
LANGUAGE = "JavaScript"
LICENCE = "MIT"
YEAR = 2013
UTP = False


def install(host: Host, version: str = "1.2.1") -> None:
    npm(host, f"torrent-stream@{version}", least=(10,))


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_torrent_stream_driver.js").read_bytes(), "driver.js")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("node", Path(torrentfile).with_name("driver.js"), torrentfile, into)
