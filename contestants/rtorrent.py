"""rtorrent: the terminal client on its own library, libTorrent. https://rakshasa.github.io/rtorrent"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "rTorrent"
HOME = "https://rakshasa.github.io/rtorrent"
LANGUAGE = "C++"
LICENCE = "GPL-2.0-or-later"
YEAR = 2005
UTP = False

# Without a terminal, as a daemon in the foreground; peers come from the tracker alone; exit when done. After 5 s it
# closes all torrents where less than 500 MB of the disk are free, as in a heat, unless that is unscheduled.
CONFIG = """\
system.daemon.set = true
dht.mode.set = disable
protocol.pex.set = no
protocol.encryption.set = none
pieces.hash.on_completion.set = no
schedule_remove2 = low_diskspace
method.set_key = event.download.finished, bye, "system.shutdown.quick="
"""


def install(host: Host, version: str = "0.9.8") -> None:
    apt(host, "rtorrent", program="rtorrent")


def version(host: Host) -> str:
    return host.run("rtorrent", "-h").splitlines()[0].split()[-1].rstrip(".")


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(CONFIG, "rtorrent.rc")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    config = Path(torrentfile).with_name("rtorrent.rc")
    return Command("rtorrent", "-n", "-o", f"import={config}", torrentfile)  # into the working directory
