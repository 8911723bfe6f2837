"""What the command in a cell prints, cut to size."""

from __future__ import annotations

import os


class Log:
    """The head and the tail of what the command prints; what lies between is counted, not kept."""

    def __init__(self, path: str | None, keep_bytes: int) -> None:
        """Open the file at `path`, which may soon be out of reach; None throws everything away."""
        self._fd = os.open(path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._keep_bytes = keep_bytes
        self._head_room = keep_bytes
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        """Take in some output; the head is written at once, so that it can be followed live."""
        head, rest = data[: self._head_room], data[self._head_room :]
        os.write(self._fd, head)
        self._head_room -= len(head)
        self._tail += rest
        surplus = len(self._tail) - self._keep_bytes
        # Twice the tail is kept before it is cut, so that a flood of small writes is not a flood of copies.
        if surplus > self._keep_bytes:
            self._left_out += surplus
            del self._tail[:surplus]

    def close(self) -> None:
        """Write the tail, after a line that says how much was left out."""
        surplus = max(0, len(self._tail) - self._keep_bytes)
        left_out = self._left_out + surplus
        if left_out:
            os.write(self._fd, f"\n[... {left_out} bytes left out ...]\n".encode())
        os.write(self._fd, self._tail[surplus:])
        os.close(self._fd)
