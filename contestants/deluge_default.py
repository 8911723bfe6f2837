"""
deluge_default: Deluge's daemon with the settings that it comes with. https://deluge-torrent.org

Among them are uTP, DHT and port mapping. The driver starts the daemon, gives it the torrent and ends it when all is
there.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Deluge (daemon), default settings"
HOME = "https://deluge-torrent.org"
LANGUAGE = "Python"
LICENCE = "GPL-3.0-or-later"
YEAR = 2006


def install(host: Host, version: str = "2.0.3") -> None:
    apt(host, "deluged", program="deluged")


def version(host: Host) -> str:
    return host.run("deluged", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    host.put(Path(__file__).with_name("_deluge_driver.py").read_bytes(), "driver.py")
    host.put("localclient:games:10\n", "config/auth")
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    folder = Path(torrentfile).parent
    return Command("/usr/bin/python3", folder / "driver.py", torrentfile, into, folder / "config")
