"""
stacey_twisted: Stacey's client of 2013, on Twisted. https://github.com/staceysern/bt-twisted

Commit b6ba27f of 1 December 2013. It needs CPython 2.7.

It sends the info hash as raw bytes, not percent-encoded. The referee understands it, but not opentracker
("Can't connect to the tracker"): it waits for ever. Commit eefee80 of 20 May 2013 is the newest that
encodes it, and no faster.
"""

from btgames.contract import Command, Host, Torrent, apt, git, pip, python27

TITLE = "Stacey, on Twisted (2013)"
HOME = "https://github.com/staceysern/bt-twisted"
LANGUAGE = "Python 2"
LICENCE = "none stated"
YEAR = 2013
UTP = False
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach
EXITS = False

NEEDS = (
    *("Twisted==13.0.0", "zope.interface==4.0.5", "klein==0.2.0"),
    *("bencode==1.0", "bitstring==3.1.0", "requests==1.1.0"),
)
# It reads logging.conf in its working directory, which is also where it downloads to.
START = '#!/bin/sh\nln -s "$INSTALLED/src/logging.conf" . && exec python "$INSTALLED/src/client.py" "$@"\n'


def install(host: Host, version: str = "b6ba27f4e93495a65e807227b34148519656b721", source: str | None = None) -> None:
    git(host, HOME, version, source)
    apt(host, "gcc", "libc6-dev", program="gcc")  # parts of Twisted and zope.interface are written in C
    pip(host, *NEEDS, python=python27(host))
    host.run(f"{host.installed}/venv/bin/python", "-m", "compileall", "-q", "src")
    host.put(START, "bin/stacey_twisted", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("stacey_twisted", torrentfile)
