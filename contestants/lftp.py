"""
lftp: the file transfer program, which speaks BitTorrent, too. https://lftp.yar.ru

It connects to the first peer 1.2 s after the tracker named it. opentracker refuses its announce, so that its heats
there time out; the referee takes it.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "LFTP"
HOME = "https://lftp.yar.ru"
LANGUAGE = "C++"
LICENCE = "GPL-3.0-only"
YEAR = 1996
UTP = False
DEFECT = "opentracker answers its announce with 400 Invalid Request"


def install(host: Host, version: str = "4.9.2") -> None:
    apt(host, "lftp", program="lftp")


def version(host: Host) -> str:
    return host.run("lftp", "--version").split()[3]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    alone = "set torrent:use-dht false; set torrent:stop-on-ratio 0; set torrent:seed-max-time 0"
    return Command("lftp", "-c", f"{alone}; torrent --output-directory={into} {torrentfile}")
