"""
Watches a payload arrive: searches the download directory for places where it may lie, and tries its marks there.

The contestant may be hostile and put anything there: what a poll looks at is bounded, in entries and in depth, and the
place that the torrent names is tried at every poll, whatever else there is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import TYPE_CHECKING, Callable, List, NamedTuple

from btgames import payload
from btgames.agents.sighting import FOLDER, File, Parts, Sighting, Wanted

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Self

ENTRIES = 16
"""Directory entries that a poll looks at."""

SEARCH_EVERY = 8
"""Polls from one search for other places to the next, once something is right in one; until then, each searches."""

SETTLE_ENTRIES = 100_000
"""Directory entries that the last search looks at, when the contestant is gone: 0.2 s."""

DEPTH = 8
"""Folders, one within the other, that are searched beneath the download directory."""

SIGHTINGS = 4
"""Places that are watched at once: the expected one and others."""

_KINDS = ((stat.S_ISLNK, "symlink"), (stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))


class Watch:
    """All that is watched in one heat. A context manager."""

    def __init__(
        self, into: str, layout: payload.Layout, marks: Sequence[payload.Mark], clock: Callable[[], float]
    ) -> None:
        """
        Watch the folder `into`, which exists and is trusted; what lies beneath it is not.

        Raises:
            OSError: the folder cannot be opened.
            ValueError: a path of the layout is not plain and relative.

        """
        self._wanted = Wanted(layout, marks)
        self._clock = clock
        self._top = os.open(into, FOLDER)
        self._sightings = [Sighting(self._top, (), self._wanted)]
        self._found = self._sightings[0]  # where the last poll that found all has found it
        self._number = 0
        self._search = _walk(self._top, (), ".")

    @property
    def blocks(self) -> int:
        """Blocks of 16 KiB of the payload."""
        return self._wanted.blocks

    @property
    def right(self) -> int:
        """Blocks found right, in the place where most are."""
        return max(sighting.right for sighting in self._sightings)

    def poll(self) -> float | None:
        """Look once; return the instant of `clock` at which all has been found, to be confirmed, None until then."""
        self._number += 1
        if not self.right or self._number % SEARCH_EVERY == 0:
            self._search_on(ENTRIES)
        for sighting in self._sightings:
            if sighting.poll(self._number):
                self._found = sighting
                return self._clock()
        return None

    def confirm(self) -> bool:
        """
        Return whether all that was found by now is right still, in the files that the paths name still.

        Marks are found at different times; those that are right afterwards, too, were all right at the last of these.
        """
        return self._found.check()

    def settle(self) -> bool:
        """When nobody writes any more: search everywhere, try every mark; return whether all is right."""
        self._search = _walk(self._top, (), ".")
        self._search_on(SETTLE_ENTRIES)
        checked = [sighting.check() for sighting in self._sightings]
        return any(checked)

    def wrong_pieces(self, pieces: bytes, piece_size: int) -> int | None:
        """
        After `settle`, hash what lies under the final names; return how many pieces are wrong, None where nothing is.

        `pieces` holds their SHA-1s, 20 bytes each (BEP 3). Two threads: 0.1 to 0.2 s for 200 MB.
        """
        best = max(self._sightings, key=lambda sighting: (sighting.right, sum(file.final for file in sighting.files)))
        if not any(file.final for file in best.files):
            return None
        layout = [("/".join(path), size) for path, size in self._wanted.layout]
        cuts = groupby(payload.segments(layout, piece_size), lambda cut: cut.start // piece_size)
        todo = [Piece(list(group), pieces[20 * index : 20 * index + 20]) for index, group in cuts]
        with ThreadPoolExecutor(max_workers=2) as threads:
            counts = [threads.submit(_count_wrong, best.files, half) for half in (todo[::2], todo[1::2])]
            return sum(count.result() for count in counts)

    def seen(self, most: int) -> list[tuple[str, int]]:
        """Return path and bytes of some of what lies there, folders aside; the kind of what is no file is added."""
        entries = (found for found in islice(_walk(self._top, (), "."), SETTLE_ENTRIES) if not _is_folder(found.entry))
        return [_describe(found) for found in islice(entries, most)]

    def _search_on(self, most: int) -> None:
        """Look at the next entries of the tree, in one pass at most, for places where the payload may lie."""
        first = self._wanted.layout[0][0][0]
        looked = 0
        for root, entry in islice(self._search, most):
            looked += 1
            if entry.name == first:
                self._sighting(root)
            elif self._wanted.lone and first in entry.name:
                self._sighting(root).suggest(entry.name, _size(entry))
        if looked < most:
            self._search = _walk(self._top, (), ".")

    def _sighting(self, root: Parts) -> Sighting:
        for known in self._sightings:
            if known.root == root:
                return known
        if len(self._sightings) == SIGHTINGS:
            least = min(self._sightings[1:], key=lambda sighting: sighting.right)
            self._sightings.remove(least)
            least.close()
        self._sightings.append(Sighting(self._top, root, self._wanted))
        return self._sightings[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._search.close()
        for sighting in self._sightings:
            sighting.close()
        os.close(self._top)


class _Found(NamedTuple):
    folder: Parts
    entry: os.DirEntry[str]


def _walk(outer: int, root: Parts, name: str) -> Generator[_Found, None, None]:
    """Yield everything beneath a folder, lazily, as it may have a million entries; what cannot be read is passed by."""
    try:
        folder = os.open(name, FOLDER, dir_fd=outer)
    except OSError:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield _Found(root, entry)
                if len(root) < DEPTH and _is_folder(entry):
                    yield from _walk(folder, (*root, entry.name), entry.name)
    except OSError:
        return
    finally:
        os.close(folder)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _describe(found: _Found) -> tuple[str, int]:
    path = os.fsencode("/".join((*found.folder, found.entry.name))).decode("utf-8", "replace")
    try:
        facts = found.entry.stat(follow_symlinks=False)
    except OSError:
        return path, 0
    kind = "".join(f" ({word})" for is_kind, word in _KINDS if is_kind(facts.st_mode))
    return path + kind, facts.st_size


class Piece(NamedTuple):
    """A piece of the payload: where its parts lie, and the SHA-1 that they should have."""

    cuts: List[payload.Segment]
    digest: bytes


def _count_wrong(files: Sequence[File], todo: Sequence[Piece]) -> int:
    return sum(digest_of(files, piece.cuts) != piece.digest for piece in todo)


def digest_of(files: Sequence[File], cuts: Sequence[payload.Segment]) -> bytes:
    """Hash what the files hold of one piece; reading and hashing let the other thread run."""
    piece = hashlib.sha1(usedforsecurity=False)
    for cut in cuts:
        if files[cut.file].final:
            try:
                piece.update(os.pread(files[cut.file].fd, cut.length, cut.offset))
            except OSError:
                continue  # the digest will be wrong
    return piece.digest()
