"""
stacey: Stacey's client of the contest of 2013, on an event loop of its own. https://github.com/staceysern/bt

Its home has a single commit, of 14 August 2014: what raced in 2013 is not public. It needs CPython 2.7.

With opentracker, which tells an asker of itself, too, it connects to its own address and dies of that
("ValueError: list.remove(x): x not in list").
"""

from btgames.contract import Command, Host, Torrent, git, pip, python27

TITLE = "Stacey (2013)"
HOME = "https://github.com/staceysern/bt"
LANGUAGE = "Python 2"
LICENCE = "none stated"
YEAR = 2013
UTP = False
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach

# It reads logging.conf in its working directory, which is also where it downloads to.
START = '#!/bin/sh\nln -s "$INSTALLED/src/logging.conf" . && exec python "$INSTALLED/src/client.py" "$@"\n'


def install(host: Host, version: str = "e88c89717650181515d3f2db3b3257ad75d91807", source: str | None = None) -> None:
    git(host, HOME, version, source)
    pip(host, "bencode==1.0", "bitstring==3.1.0", "requests==1.1.0", python=python27(host))
    host.run(f"{host.installed}/venv/bin/python", "-m", "compileall", "-q", "src")
    host.put(START, "bin/stacey", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("stacey", torrentfile)
