"""The stopwatch's two pipes: whole lines without waiting for them, and the cell at the end of its leash."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from btgames.agents import kernel

if TYPE_CHECKING:
    from typing import Self

CELL_GRACE_S = 5.0
"""Seconds that a cell may take to end, when all that is in it has been killed."""


class Lines:
    """Whole lines from a pipe; what `select` takes."""

    def __init__(self, fd: int) -> None:
        self.ended = False
        self._fd = fd
        self._rest = bytearray()

    def fileno(self) -> int:
        """Return the pipe's descriptor."""
        return self._fd

    def read(self) -> list[bytes]:
        """Return the lines that one read completes; it waits only where there is nothing to read."""
        data = os.read(self._fd, 1 << 20)
        self.ended = not data
        self._rest += data
        if b"\n" not in data:
            return []
        *lines, self._rest = self._rest.split(b"\n")
        return [bytes(line) for line in lines]


class Cell:
    """The process that contains the contestant. A context manager: at its end the cell is gone, all in it included."""

    def __init__(self, argv: list[str]) -> None:
        # Should this process be killed, the cell is killed, and also sees the end of its stdin.
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=partial(kernel.die_with_parent, signal.SIGKILL),  # noqa: PLW1509 - one thread is all there is
        )
        self.lines = Lines(self._process.stdout.fileno() if self._process.stdout else -1)

    def tell(self, line: str) -> None:
        """Send the spec, or the name of a signal; that a cell is gone shows by the end of its lines."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def end(self) -> int:
        """End all that is inside, and return the cell's exit status, -N when signal N ended it."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            return self._process.wait(CELL_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._process.stdout:
            self._process.stdout.close()
