"""
qbittorrent_default: qbittorrent-nox with the settings that it comes with. https://www.qbittorrent.org

It prefers uTP where the seeders accept it, and then takes longer: 41 s for large, 8 s over TCP
alone, on a busy machine.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "qBittorrent (nox), default settings"
HOME = "https://www.qbittorrent.org"
LANGUAGE = "C++"
LICENCE = "GPL-3.0-or-later"
YEAR = 2006
EXITS = False

CONFIG = "[LegalNotice]\nAccepted=true\n"  # nobody is there to accept it


def install(host: Host, version: str = "4.5.2") -> None:
    apt(host, "qbittorrent-nox", program="qbittorrent-nox")


def version(host: Host) -> str:
    return host.run("qbittorrent-nox", "--version").split()[-1].lstrip("v")


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(CONFIG, "profile/qBittorrent/config/qBittorrent.conf")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    profile = Path(torrentfile).with_name("profile")
    unasked = ["--skip-dialog=true", "--add-paused=false"]
    return Command("qbittorrent-nox", f"--profile={profile}", f"--save-path={into}", *unasked, torrentfile)
