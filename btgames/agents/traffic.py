"""Bytes in and out of a network interface, sampled while a heat runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

SAMPLE_S = 0.02
"""Seconds from one sample to the next."""

MOST_SAMPLES = 20_000
"""When there are more, every other one is dropped and the time between two doubles: an hour fits into a megabyte."""


class Traffic:
    """
    What went through one interface, headers included, from the line of it in ``/proc/net/dev``. A context manager.

    That file stays open: its path is looked up once, and costs some 10 microseconds a sample.
    """

    def __init__(self, interface: str | None, source: str = "/proc/net/dev") -> None:
        """Without an interface there is nothing to count, and all of it is None or empty."""
        self._source = open(source, "rb", buffering=0) if interface else None  # noqa: SIM115, PTH123 - open all heat
        # Eight numbers received, of which bytes is the first, then eight sent.
        self._line = re.compile(
            rb"^ *%b: *(\d+)(?: +\d+){7} +(\d+)" % re.escape((interface or "").encode()), re.MULTILINE
        )
        self._samples: list[tuple[float, int, int]] = []
        self._last: tuple[int, int] | None = None
        self._base: tuple[int, int] | None = None
        self._exec_s = 0.0
        self._every_s = SAMPLE_S
        self._next_s = 0.0

    def begin(self, exec_s: float) -> None:
        """Count from here on: the last sample becomes nought, and times are since `exec_s`."""
        self._exec_s, self._base = exec_s, self._last

    def sample(self, now: float, *, at_once: bool = False) -> None:
        """Take a sample if it is time for one; it is kept when something has changed since `begin`."""
        if self._source is None or (now < self._next_s and not at_once):
            return
        self._next_s = now + self._every_s
        self._source.seek(0)
        found = self._line.search(self._source.readall())
        counts = (int(found[1]), int(found[2])) if found else self._last  # the interface may be gone
        if counts is None or counts == self._last:
            return
        self._last = counts
        if self._base is None:
            return
        received, sent = self._base
        self._samples.append((round(now - self._exec_s, 4), counts[0] - received, counts[1] - sent))
        if len(self._samples) > MOST_SAMPLES:
            del self._samples[1:-1:2]  # the first and the last one stay
            self._every_s *= 2

    @property
    def received(self) -> int | None:
        """Bytes in since `begin`."""
        return self._total(1)

    @property
    def sent(self) -> int | None:
        """Bytes out since `begin`."""
        return self._total(2)

    @property
    def samples(self) -> list[tuple[float, int, int]]:
        """(seconds, bytes in, bytes out) since `begin`, where they changed."""
        return self._samples

    def _total(self, column: int) -> int | None:
        if self._base is None:
            return None
        return int(self._samples[-1][column]) if self._samples else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()
