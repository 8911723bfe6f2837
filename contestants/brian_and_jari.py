"""
brian_and_jari: Tulva, Brian's and Jari's client of the contest of 2013. https://github.com/jtakkala/tulva

Commit 5204528 of 15 December 2013, the last that exits when it is done. It imports two packages whose homes are gone;
their living successors stand in: github.com/jackpal/bencode-go for code.google.com/p/bencode-go, gopkg.in/tomb.v1 for
launchpad.net/tomb. It runs on one processor, as Go had it in 2013: on two, every heat of medium ended with
"Somehow there are 21 outstanding blocks, which is more than 20".

It exits as soon as its last piece is checked: in about one heat of five on medium some blocks are not yet on the disk
by then, and the heat is corrupt ("1705 of 1709 blocks were right").
"""

from btgames.contract import Command, Host, Torrent, git, go

TITLE = "Brian and Jari's Tulva (2013)"
HOME = "https://github.com/jtakkala/tulva"
LANGUAGE = "Go"
LICENCE = "BSD-2-Clause"
YEAR = 2013
UTP = False
DEFECT = "exits now and then with its last pieces not yet on the disk"
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach

GO_MOD = """\
module github.com/jtakkala/tulva

go 1.21

replace code.google.com/p/bencode-go => github.com/jackpal/bencode-go v1.0.0
replace launchpad.net/tomb => gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7
"""


def install(host: Host, version: str = "5204528c00f3f87fd7c173cf644ed4374de0e590", source: str | None = None) -> None:
    src = git(host, HOME, version, source)
    host.put(GO_MOD, "src/go.mod")
    go(host, "-C", src, "install", "-mod=mod")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    # What Go did in 2013 unless told otherwise; on more processors its parts overtake each other.
    return Command("tulva", torrentfile, env={"GOMAXPROCS": "1"})
