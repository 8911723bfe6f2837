"""
webtorrent: the command line client of WebTorrent, on Node.js. https://webtorrent.io

It has no switches for DHT, local discovery and PEX: its questions go nowhere in a heat, and it does not wait for
answers. Its uTP is an optional package of npm's, utp-native: where that is, each peer is tried over uTP first. So it
lies where Node.js finds it (NODE_PATH) in heats over uTP only. Versions 5 and 6 need a binary that npm does not have.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, npm

TITLE = "WebTorrent (cli)"
HOME = "https://webtorrent.io"
LANGUAGE = "JavaScript"
LICENCE = "MIT"
YEAR = 2013

WITH_UTP = '#!/bin/sh\nNODE_PATH="$INSTALLED/lib/node_modules/webtorrent-cli/utp" exec webtorrent "$@"\n'


def install(host: Host, version: str = "4.1.0") -> None:
    npm(host, f"webtorrent-cli@{version}", least=(16,))
    modules = f"{host.installed}/lib/node_modules/webtorrent-cli"
    host.run("mkdir", f"{modules}/utp")
    host.run("mv", f"{modules}/node_modules/utp-native", f"{modules}/utp")
    host.put(WITH_UTP, "bin/webtorrent-utp", mode=0o755)


def version(host: Host) -> str:
    return host.run("webtorrent", "--version").split()[-2]  # 4.1.0 (1.9.7), after a word on uTP


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "utp.torrent" if torrent.transport == "utp" else "tcp.torrent")


def download(torrentfile: str, into: str) -> Command:
    program = "webtorrent-utp" if Path(torrentfile).stem == "utp" else "webtorrent"
    return Command(program, "download", torrentfile, "-o", into, "--quiet")
