"""What of a payload hashes right, by the pieces of its torrent: a `Watch` for files of which nobody has made marks."""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import Callable, Deque

from btgames import payload
from btgames.agents.watch import ENTRIES, Piece, Watch, digest_of

POLL_BYTES = 1 << 20
"""
Hashed by one poll: a millisecond or two.
"""

AT_LEISURE, AT_ONCE = 19.0, 1.0
"""
Times as long as a poll has taken, the next one waits: a twentieth of a core is taken from the client, or half of one.
"""


class Pieces(Watch):
    """
    Counts pieces where `Watch` counts blocks. Their hashes are what it goes by, so that a whole is seen late.

    At once, that is by twice the time that the pieces which came last take to be hashed; at leisure, ten times as late.
    """

    def __init__(
        self,
        into: str,
        layout: payload.Layout,
        hashes: bytes,
        piece_size: int,
        clock: Callable[[], float],
        rest: float = AT_ONCE,
    ) -> None:
        """Watch the folder `into`; `hashes` has the pieces' SHA-1s, 20 bytes each (BEP 3)."""
        super().__init__(into, layout, (), clock)
        self._hashes, self._piece_size = hashes, piece_size
        cuts = groupby(payload.segments(layout, piece_size), lambda cut: cut.start // piece_size)
        self._pieces = [Piece(list(group), hashes[20 * index : 20 * index + 20]) for index, group in cuts]
        self._missing: Deque[Piece] = deque(self._pieces)
        self._rest = rest
        self._next_s = 0.0

    @property
    def blocks(self) -> int:
        """Pieces of the payload."""
        return len(self._pieces)

    @property
    def right(self) -> int:
        """Pieces found right."""
        return len(self._pieces) - len(self._missing)

    def poll(self) -> float | None:
        """Hash some that were not right yet; return the instant at which none is missing, to be confirmed."""
        began = self._clock()
        if began < self._next_s:
            return None
        self._search_on(ENTRIES)
        whole = self._look()
        self._hash(max(1, POLL_BYTES // self._piece_size))
        now = self._clock()
        self._next_s = now + self._rest * (now - began)
        return now if whole and not self._missing else None

    def confirm(self) -> bool:
        """Return whether all is right still; what was found in files that are others by now counts no more."""
        right = self._look() and self.wrong_pieces(self._hashes, self._piece_size) == 0
        if not right:
            self._missing = deque(self._pieces)
        return right

    def settle(self) -> bool:
        """When nobody writes any more: search everywhere, hash everything; return whether all is right."""
        super().settle()
        whole = self._look()
        self._missing = deque(self._pieces)
        self._hash(len(self._pieces))
        return whole and not self._missing

    def _look(self) -> bool:
        """See what the paths name now; return whether all files have their sizes, in the place where most are."""
        for sighting in self._sightings:
            sighting.check()
        self._found = max(self._sightings, key=lambda sighting: sum(file.final for file in sighting.files))
        return all(file.whole for file in self._found.files)

    def _hash(self, most: int) -> None:
        for _ in range(min(most, len(self._missing))):
            piece = self._missing.popleft()
            if digest_of(self._found.files, piece.cuts) != piece.digest:
                self._missing.append(piece)
