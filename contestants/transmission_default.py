"""
transmission_default: transmission-cli with the settings that it comes with. https://transmissionbt.com

It prefers uTP where the seeders accept it. There it sends five bytes when it should begin to ask, and the rest after
the seeder's keep-alive of a minute later: small has timed out by then, medium takes 77 s.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Transmission (cli), default settings"
HOME = "https://transmissionbt.com"
LANGUAGE = "C"
LICENCE = "GPL-2.0-only OR GPL-3.0-only"
YEAR = 2005
EXITS = False
DEFECT = "over uTP, which it prefers, its first requests come a minute late, if at all"


def install(host: Host, version: str = "3.00") -> None:
    apt(host, "transmission-cli", program="transmission-cli")


def version(host: Host) -> str:
    return host.run("transmission-cli", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("transmission-cli", "-w", into, torrentfile)
