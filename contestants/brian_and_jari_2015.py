"""
brian_and_jari_2015: Tulva, Brian's and Jari's client, as they left it. https://github.com/jtakkala/tulva

The newest commit, of 25 July 2015. Unlike the one of the contest it seeds on when it is done, and asks for pieces in
random order. It runs on one processor, as Go had it until August 2015: on two, every heat of medium ended with
"Somehow there are 21 outstanding blocks, which is more than 20". On large, one heat of six never had its
last block ("12207 of 12208 blocks were right").
"""

from btgames.contract import Command, Host, Torrent, git, go

TITLE = "Brian and Jari's Tulva (2015)"
HOME = "https://github.com/jtakkala/tulva"
LANGUAGE = "Go"
LICENCE = "BSD-2-Clause"
YEAR = 2015
UTP = False
DEFECT = "now and then stops with its last block missing"
SLOW = True  # not to install, but its home is a git repository, which not every machine can reach
EXITS = False

GO_MOD = """\
module github.com/jtakkala/tulva

go 1.21

require github.com/jackpal/bencode-go v1.0.0
"""


def install(host: Host, version: str = "2a3be40a8a1b76d806a6954d4361882779b23715", source: str | None = None) -> None:
    src = git(host, HOME, version, source)
    host.put(GO_MOD, "src/go.mod")
    go(host, "-C", src, "install", "-mod=mod")


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    # What Go did in 2013 unless told otherwise; on more processors its parts overtake each other.
    return Command("tulva", torrentfile, env={"GOMAXPROCS": "1"})
