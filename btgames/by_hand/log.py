"""What a client far away prints, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from btgames.hosts import Host, Process


class Log:
    """
    Follows a log file on a host; a `timing.Watcher`. A context manager: at its end, all of the file has been told.

    The file is not there when this begins, and is written to by its end as it grows (agents/cell_log.py).
    """

    def __init__(self, host: Host, path: str, tell: Callable[[str], None]) -> None:
        self._host = host
        self._path = path
        self._tell = tell
        self._told_bytes = 0
        self._tail: Process | None = None

    def __enter__(self) -> Self:
        self._tail = self._host.start(["tail", "-n", "+1", "--sleep-interval=0.2", "-F", "--", self._path])
        return self

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:  # noqa: ARG002 - the protocol's signature
        """Tell what has come."""
        while self._tail is not None and (line := self._tail.receive(0.0)):
            self._told_bytes += len(line)
            self._line(line)

    def __exit__(self, *exc: object) -> None:
        if self._tail is not None:
            self._tail.stop(grace_s=0)
        if exc[0] is None:
            rest = self._host.run(["tail", "-c", f"+{self._told_bytes + 1}", "--", self._path], check=False)
            for line in rest.out.splitlines():
                self._line(line)

    def _line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._tell(f"  {text}")
