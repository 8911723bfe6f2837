"""
rqbit: a client in Rust, its one-torrent command. https://github.com/ikatson/rqbit

It is built without what a download does not use: web interface, Postgres, metrics. TLS is Rust's own, so that
no library of the system is needed.
"""

from pathlib import Path

from btgames.contract import Command, Host, Torrent, cargo

TITLE = "rqbit"
HOME = "https://github.com/ikatson/rqbit"
LANGUAGE = "Rust"
LICENCE = "Apache-2.0"
YEAR = 2021
SLOW = True


def install(host: Host, version: str = "9.1.0") -> None:
    cargo(host, "rqbit", version, "--no-default-features", "--features=rust-tls")


def version(host: Host) -> str:
    return host.run("rqbit", "--version").split()[1]


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "utp.torrent" if torrent.transport == "utp" else "tcp.torrent")


def download(torrentfile: str, into: str) -> Command:
    # Peers come from the tracker alone; no web interface, of which it has one while it downloads; -e: exit when done.
    alone = ["--disable-dht", "--disable-lsd", "--disable-upnp-port-forward"]
    if Path(torrentfile).stem == "utp":
        alone += ["--experimental-enable-utp-listen", "--disable-tcp-listen", "--disable-tcp-connect"]
    return Command("rqbit", *alone, "download", "-o", into, "-e", "--disable-http-api", torrentfile)
