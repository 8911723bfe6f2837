"""
aria2: the download utility. https://aria2.github.io

It connects to its first peer 1 s after the tracker named it, and exits 2 s after it is done.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "aria2"
HOME = "https://aria2.github.io"
LANGUAGE = "C++"
LICENCE = "GPL-2.0-or-later"
YEAR = 2006
UTP = False


def install(host: Host, version: str = "1.36.0") -> None:
    apt(host, "aria2", program="aria2c")


def version(host: Host) -> str:
    return host.run("aria2c", "--version").split()[2]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    # Peers come from the tracker alone; no preallocation, which would write the whole file twice.
    quiet = ["--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"]
    plain = ["--enable-peer-exchange=false", "--seed-time=0", "--file-allocation=none"]
    return Command("aria2c", *quiet, *plain, f"--dir={into}", torrentfile)
