"""Sending a file of the user's to a machine, its pieces hashed on the way."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from btgames.by_hand.crew import say
from btgames.errors import HostError
from btgames.report.figures import size

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.testbeds.station import Station

SEND_S = 60.0  # that a connection may stand still
TELL_S = 5.0  # between two lines that say how far it is
LEAST_PIECE, MOST_PIECE = 1 << 15, 1 << 24
PIECES = 1024


def piece_size_for(count: int) -> int:
    """Return a piece size for so many bytes: the least power of two that makes about a thousand pieces at most."""
    wanted = LEAST_PIECE
    while wanted * PIECES < count and wanted < MOST_PIECE:
        wanted *= 2
    return wanted


def upload(station: Station, path: Path, to: str) -> tuple[int, int, bytes]:
    """
    Send a file; return the bytes that were sent, the size of pieces, and their SHA-1s: of what was sent.

    Raises:
        HostError: it did not arrive; with the last words of who received it.

    """
    machine, digests, sent = station.machine, [], 0
    total = path.stat().st_size
    piece_size = piece_size_for(total)
    told = time.monotonic()
    process = machine.start(["sh", "-c", 'umask 077 && mkdir -p -- "$(dirname -- "$1")" && cat > "$1"', "sh", to])
    try:
        with path.open("rb") as file:
            while data := file.read(piece_size):
                digests.append(hashlib.sha1(data, usedforsecurity=False).digest())
                process.send(data, SEND_S)
                sent += len(data)
                if time.monotonic() - told >= TELL_S:
                    told = time.monotonic()
                    say(f"{station.remote.name}: {size(sent)} of {size(total)} sent")
        status = process.stop(grace_s=SEND_S)
    except OSError as error:
        process.stop(grace_s=0)
        raise HostError(f"{machine.name}: {path.name} was not sent: {process.last_words() or error}") from error
    except BaseException:  # Ctrl-C, say
        process.stop(grace_s=0)
        raise
    if status or not sent:
        raise HostError(f"{machine.name}: {path.name} was not sent: {process.last_words() or 'it is empty by now'}")
    return sent, piece_size, b"".join(digests)
