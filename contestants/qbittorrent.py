"""qbittorrent: qBittorrent without its windows, qbittorrent-nox, on libtorrent. https://www.qbittorrent.org"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "qBittorrent (nox), tuned (TCP)"
HOME = "https://www.qbittorrent.org"
LANGUAGE = "C++"
LICENCE = "GPL-3.0-or-later"
YEAR = 2006

# Peers come from the tracker alone; it exits when done.
CONFIG = """\
[LegalNotice]
Accepted=true
[BitTorrent]
Session\\BTProtocol={protocol}
Session\\AddExtensionToIncompleteFiles=false
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Preallocation=false
Session\\QueueingSystemEnabled=false
[Network]
PortForwardingEnabled=false
[Preferences]
Downloads\\AutoShutDownqBTOnCompletion=true
"""


def install(host: Host, version: str = "4.5.2") -> None:
    apt(host, "qbittorrent-nox", program="qbittorrent-nox")


def version(host: Host) -> str:
    return host.run("qbittorrent-nox", "--version").split()[-1].lstrip("v")


def torrentfile(host: Host, torrent: Torrent) -> str:
    protocol = "UTP" if torrent.transport == "utp" else "TCP"
    host.put(CONFIG.format(protocol=protocol), "profile/qBittorrent/config/qBittorrent.conf")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    profile = Path(torrentfile).with_name("profile")
    unasked = ["--skip-dialog=true", "--add-paused=false"]
    return Command("qbittorrent-nox", f"--profile={profile}", f"--save-path={into}", *unasked, torrentfile)
