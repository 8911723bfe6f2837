"""
tom: Tom's client of the contest of 2013. https://github.com/thomasballinger/bittorrent

The newest commit, of 4 December 2013, six days before the contest. It needs CPython 2.7, insists on a creation date in
the torrent, and writes into ``outputfolder``. On large, 2013's 529 s were 75 to 111 s here.
"""

from btgames.contract import Command, Host, Torrent, git, pip, python27

TITLE = "Tom (2013)"
HOME = "https://github.com/thomasballinger/bittorrent"
LANGUAGE = "Python 2"
LICENCE = "MIT"
YEAR = 2013
UTP = False
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach

# Optional in BEP 3, but programs that make torrents write one, Deluge's among them. This is the contest's first day.
CREATED = b"13:creation datei1386633600e"


def install(host: Host, version: str = "3126d700fc3f05b733a702e38ae752c61949dc62", source: str | None = None) -> None:
    git(host, HOME, version, source)
    pip(host, "bitstring==3.0.2", python=python27(host))
    host.run(f"{host.installed}/venv/bin/python", "-m", "compileall", "-q", "src")
    host.put('#!/bin/sh\nexec python "$INSTALLED/src/main.py" "$@"\n', "bin/tom", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data.replace(b"4:info", CREATED + b"4:info", 1), "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("tom", torrentfile)
