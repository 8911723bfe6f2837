"""
steve: Steve's client of the contest of 2013, on Twisted. https://github.com/phsteve/bt

Commit ffddf14 of 16 December 2013, the last before the contest's end. It needs CPython 2.7.

It announces neither a port nor what is left. Opentracker answers that now and then without peers ("KeyError: 'peers'").
It asks for one more block each time that bytes arrive, in whatever portions, and knows no bound for what it asks for.
On `large` more than 2000 requests may wait. A libtorrent that seeds drops those beyond (max_allowed_in_request_queue);
it waits for their blocks, and after a minute the silent connection is closed ("connection lost"): 6 of 16 heats. With
room for 100,000 requests, tried by hand, 12 of 12 heats finished.
"""

from btgames.contract import Command, Host, Torrent, apt, git, pip, python27

TITLE = "Steve (2013)"
HOME = "https://github.com/phsteve/bt"
LANGUAGE = "Python 2"
LICENCE = "none stated"
YEAR = 2013
UTP = False
DEFECT = "the seeder drops what is over 2000 waiting requests, or opentracker's answer has no peers: it gives up"
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach

NEEDS = ("Twisted==13.1.0", "zope.interface==4.0.5", "bencode==1.0", "bitstring==3.1.2", "requests==2.0.1")


def install(host: Host, version: str = "ffddf14895f6c32510c9c70189aa595310ff0017", source: str | None = None) -> None:
    git(host, HOME, version, source)
    apt(host, "gcc", "libc6-dev", program="gcc")  # parts of Twisted and zope.interface are written in C
    pip(host, *NEEDS, python=python27(host))
    host.run(f"{host.installed}/venv/bin/python", "-m", "compileall", "-q", "src")
    host.put('#!/bin/sh\nexec python "$INSTALLED/src/bt.py" "$@"\n', "bin/steve", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("steve", torrentfile)
