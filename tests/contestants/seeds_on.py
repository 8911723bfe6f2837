"""seeds_on: does everything right, and says of itself that it never ends."""

from pathlib import Path

from btgames.contract import Command, Host, Torrent

EXITS = False
HERE = Path(__file__).parent


def install(host: Host, version: str = "1") -> None:
    pass


def torrentfile(host: Host, torrent: Torrent) -> str:
    for name in ("_client.py", "_behaviours.py"):
        host.put((HERE / name).read_bytes(), name)
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python3", "-I", Path(torrentfile).with_name("_behaviours.py"), "stays", torrentfile, into)
