"""
anacrolix: the Go library torrent, by the command that comes with it. https://github.com/anacrolix/torrent

Until a file is whole its name ends in .part; the right name comes with the last byte. Beside it stays .torrent.db, its
record of pieces. In one of 21 heats it had its connection and the seeder's word that it has all, and sent no Interested
until its third announce, 60 s later; then all went on at the link's full rate.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt, go

TITLE = "anacrolix/torrent"
HOME = "https://github.com/anacrolix/torrent"
LANGUAGE = "Go"
LICENCE = "MPL-2.0"
YEAR = 2013
SLOW = True
DEFECT = "now and then it asks its one seeder for nothing for a minute (1 of 21 heats)"


def install(host: Host, version: str = "1.61.0") -> None:
    apt(host, "g++", "libc6-dev", program="g++")  # parts of it are C and C++: sqlite, libutp
    go(host, "install", f"github.com/anacrolix/torrent/cmd/torrent@v{version}", least=(1, 24), cgo=True)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "utp.torrent" if torrent.transport == "utp" else "tcp.torrent")


def download(torrentfile: str, into: str) -> Command:
    # Peers come from the tracker alone, over one transport.
    alone = ["--no-dht", "--no-port-forward", "--no-pex", "--no-webtorrent"]
    other = "--no-tcp-peers" if Path(torrentfile).stem == "utp" else "--no-utp-peers"
    return Command("torrent", "download", *alone, other, torrentfile)
