"""
tom: Tom's client of the contest of 2013. https://github.com/thomasballinger/bittorrent

The commit is the newest of December 2013, six days before the contest. It writes into ``outputfolder``.
"""

from btgames.contract import Command, Host, Torrent, git, pip, python27

TITLE = "Tom (2013)"
HOME = "https://github.com/thomasballinger/bittorrent"
LANGUAGE = "Python 2"
LICENCE = "MIT"
YEAR = 2013
SLOW = True


def install(host: Host, version: str = "3126d700fc3f05b733a702e38ae752c61949dc62", source: str | None = None) -> None:
    git(host, HOME, version, source)
    pip(host, "bitstring==3.0.2", python=python27(host))
    host.put('#!/bin/sh\nexec python "$INSTALLED/src/main.py" "$@"\n', "bin/tom", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("tom", torrentfile)
