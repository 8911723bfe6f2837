"""How clients behave, a function each: ``python3 -I _behaviours.py BEHAVIOUR TORRENT INTO``. The sleeps are theirs."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # -I has left it out

from _client import Torrent, fetch, save

FOR_EVER_S = 1000.0


def perfect(torrent: Torrent, into: str) -> None:
    """Do everything right."""
    save(torrent, into, fetch(torrent))


def by_udp(torrent: Torrent, into: str) -> None:
    """Do everything right, the announce over UDP."""
    save(torrent, into, fetch(torrent, torrent.announced_by_udp(2, torrent.length)))
    torrent.announced_by_udp(1, 0)


def slow(torrent: Torrent, into: str) -> None:
    """Do everything right, but rest amidst it."""
    payload = fetch(torrent)
    time.sleep(1.0)
    save(torrent, into, payload)


def hangs(_: Torrent, __: str) -> None:
    """Do nothing, and do not end."""
    time.sleep(FOR_EVER_S)


def stubborn(_: Torrent, __: str) -> None:
    """Do nothing, and do not end when asked to."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(FOR_EVER_S)


def crashes(_: Torrent, __: str) -> None:
    """End with a status of its own, with nothing done."""
    sys.exit("no route to\x1b[31m anywhere")


def segfaults(_: Torrent, __: str) -> None:
    """End by a signal."""
    os.kill(os.getpid(), signal.SIGSEGV)


def exits_early(_: Torrent, __: str) -> None:
    """End well, with nothing done."""


def half(torrent: Torrent, into: str) -> None:
    """End well, with half of it done."""
    payload = fetch(torrent)
    save(torrent, into, payload[: len(payload) // 2] + bytes(len(payload) - len(payload) // 2))


def wrong_byte(torrent: Torrent, into: str) -> None:
    """Write one wrong byte."""
    save(torrent, into, flipped(fetch(torrent)))


def other_name(torrent: Torrent, into: str) -> None:
    """Write it all under another name."""
    save(torrent, into, fetch(torrent), ".done")


def part(torrent: Torrent, into: str) -> None:
    """Write under another name, and rename at the end."""
    save(torrent, into, fetch(torrent), ".part")
    time.sleep(0.4)
    for name, _ in torrent.files:
        Path(into, name + ".part").rename(Path(into, name))


def status_1(torrent: Torrent, into: str) -> None:
    """Do everything right, and end with status 1."""
    perfect(torrent, into)
    sys.exit(1)


def spoils(torrent: Torrent, into: str) -> None:
    """Write it right, rest, and spoil a byte."""
    payload = fetch(torrent)
    save(torrent, into, payload)
    time.sleep(0.4)
    save(torrent, into, flipped(payload))


def hasty(torrent: Torrent, into: str) -> None:
    """Announce `completed` long before it is."""
    payload = fetch(torrent)
    torrent.announced("completed", 0)
    time.sleep(0.4)
    save(torrent, into, payload)


def stays(torrent: Torrent, into: str) -> None:
    """Do everything right, and seed on for ever."""
    perfect(torrent, into)
    torrent.announced("completed", 0)
    time.sleep(FOR_EVER_S)


def daemonises(torrent: Torrent, into: str) -> None:
    """End well at once; a daemon does the work."""
    if daemon():
        time.sleep(0.4)
        perfect(torrent, into)


def leaves_daemons(torrent: Torrent, into: str) -> None:
    """Do everything right, and leave daemons that do not end when asked to."""
    perfect(torrent, into)
    for _ in range(3):
        if daemon():
            stubborn(torrent, into)


def forks(_: Torrent, __: str) -> None:
    """Fork as much as one can, for ever."""
    while True:
        try:
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", str(FOR_EVER_S)])  # noqa: S606 - small, as memory is limited too
        except OSError:
            time.sleep(0.05)


def floods_log(torrent: Torrent, into: str) -> None:
    """Do everything right, between 8 MB of talk and its last words."""
    print("first words")
    for _ in range(80_000):
        print("x" * 99)
    perfect(torrent, into)
    print("last words", flush=True)


def talks_on(_: Torrent, __: str) -> None:
    """Talk without end."""
    while True:
        os.write(1, b"y" * 65536)


def fills_disk(_: Torrent, into: str) -> None:
    """Write without end, wherever one may, and never mind the errors."""
    places = [Path(into), Path(into).parent / "desk", Path("/tmp"), Path("/dev/shm")]
    while True:
        for place in places:
            try:
                with (place / "junk").open("ab", buffering=0) as file:
                    file.write(bytes(1 << 20))
            except OSError:
                continue


def daemon() -> bool:
    """Become a daemon by forking twice; return True in the daemon."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def flipped(payload: bytes) -> bytes:
    """Return the payload with one bit wrong, amidst its second block."""
    at = 16384 + 5000
    return payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]


if __name__ == "__main__":
    globals()[sys.argv[1]](Torrent(sys.argv[2]), sys.argv[3])
