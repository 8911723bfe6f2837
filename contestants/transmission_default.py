"""
transmission_default: transmission-cli with the settings that it comes with. https://transmissionbt.com

It prefers uTP where the seeders accept it, and then gets nothing: see DEFECT.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Transmission (cli), default settings"
HOME = "https://transmissionbt.com"
LANGUAGE = "C"
LICENCE = "GPL-2.0-only OR GPL-3.0-only"
YEAR = 2005
EXITS = False
DEFECT = "over uTP, its first choice, its Interested is acknowledged, but no Unchoke comes and it asks for nothing"


def install(host: Host, version: str = "3.00") -> None:
    apt(host, "transmission-cli", program="transmission-cli")


def version(host: Host) -> str:
    return host.run("transmission-cli", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("transmission-cli", "-w", into, torrentfile)
