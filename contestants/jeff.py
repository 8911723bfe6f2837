"""
jeff: drench, Jeff's client of the contest of 2013. https://github.com/jefflovejapan/drench

Version 0.0.9 is commit d50886a of 10 December 2013. It needs CPython 2.7: yours, or Debian 11's. In one heat of six
with opentracker it crashed: "KeyError: 'peers'", of an answer without peers; in fourteen with the referee it did not.
0.0.8 and earlier fail on torrents of a single file, 0.0.10 and later ask a geolocation service that is gone.
"""

from btgames.contract import Command, Host, Torrent, apt, pip, python27

TITLE = "Jeff's drench (2013)"
HOME = "https://github.com/jefflovejapan/drench"
LANGUAGE = "Python 2"
LICENCE = "MIT"
YEAR = 2013
UTP = False
DEFECT = "now and then opentracker's answer has no peers, and it dies of KeyError: 'peers'"


def install(host: Host, version: str = "0.0.9") -> None:
    apt(host, "gcc", "libc6-dev", program="gcc")  # bitarray is written in C
    pip(host, f"drench=={version}", "bitarray==0.8.1", "requests==2.0.1", python=python27(host))


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-m", "drench.drench", torrentfile, "-a", "-d", into)
