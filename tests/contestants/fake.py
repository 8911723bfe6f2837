"""fake: its version is its behaviour, a function of _behaviours.py: ``LABEL=tests/contestants/fake.py@hangs``."""

from pathlib import Path

from btgames.contract import Command, Host, Torrent

HERE = Path(__file__).parent


def install(host: Host, version: str = "perfect") -> None:
    host.put(version, "behaviour")


def version(host: Host) -> str:
    return host.run("cat", "behaviour")


def torrentfile(host: Host, torrent: Torrent) -> str:
    for name in ("_client.py", "_behaviours.py"):
        host.put((HERE / name).read_bytes(), name)
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    behave = 'exec python3 -I "$0/_behaviours.py" "$(cat "$INSTALLED/behaviour")" "$1" "$2"'
    return Command("/bin/sh", "-c", behave, Path(torrentfile).parent, torrentfile, into)
