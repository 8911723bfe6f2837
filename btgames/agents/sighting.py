"""
A sighting: one folder beneath which the payload's files may lie, and which of their blocks were found right there.

Somebody else is writing there, and may be hostile: each component of a path is opened without following symlinks, only
regular files are read, nothing blocks, and each poll has bounds. What cannot be read is not right yet.
"""

from __future__ import annotations

import os
import random
import stat
from bisect import bisect_right
from collections import deque
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple, Tuple

from btgames import payload

if TYPE_CHECKING:
    from collections.abc import Sequence

MISSES = 8
"""Segments not right yet that a poll tries before it gives up; one more for each four that it finds right."""

HINTS = 32
"""Places with data that a poll tries in sparse files while nothing is right yet."""

QUIETLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = QUIETLY | os.O_DIRECTORY

Parts = Tuple[str, ...]


class Segment(NamedTuple):
    """What one file holds of one block, and the two marks that show that it has arrived."""

    file: int  # index in the layout
    block: int
    end: int  # offset in the file of the last mark, bytes
    last: bytes  # what is there; tried first, as it mostly arrives last
    at: int  # offset of the other mark; a segment of up to 8 bytes has the same one twice
    other: bytes


class Wanted:
    """
    A payload's layout and marks, cut into segments.

    They are tried in a random order: when they arrive in the order in which they are tried, a poll's misses run ahead
    of what arrives, and most of it is found at the very end only, 20 ms late with 200 MB.
    """

    def __init__(self, layout: payload.Layout, marks: Sequence[payload.Mark]) -> None:
        self.layout = [(payload.parts(path), size) for path, size in layout]
        self.lone = len(layout) == 1 and len(self.layout[0][0]) == 1  # a single file without a folder of its own
        groups = [list(group) for _, group in groupby(marks, lambda mark: (mark.block, mark.file))]
        random.Random(0).shuffle(groups)  # noqa: S311 - no secret: any order will do that is not the client's
        # Made anew in this order, they lie in memory as they are tried: half the CPU time.
        fresh = payload.unpack_marks(payload.pack_marks(chain.from_iterable(groups)))
        self.segments: list[Segment] = []
        for (block, file), group in groupby(fresh, lambda mark: (mark.block, mark.file)):
            other, last = min(places := [(mark.offset, mark.expected) for mark in group]), max(places)
            self.segments.append(Segment(file, block, *last, *other))
        self.of_file: list[list[Segment]] = [[] for _ in layout]
        self.blocks = 1 + max((segment.block for segment in self.segments), default=-1)
        self.lacking = [0] * self.blocks  # segments of each block
        for segment in self.segments:
            self.of_file[segment.file].append(segment)
            self.lacking[segment.block] += 1
        for of in self.of_file:
            of.sort(key=lambda segment: segment.end)
        self.ends = [[segment.end + len(segment.last) for segment in segments] for segments in self.of_file]


class File:
    """What the path of one file of the payload names at this moment."""

    def __init__(self, top: int, path: Parts, size: int) -> None:
        self.fd = -1
        self.draft: str | None = None  # another name in the same folder, under which it may be arriving
        self.draft_size = 0  # bytes, when it was suggested
        self.final = False  # its own name, not the draft's, is that of a regular file
        self.whole = False  # and that has the right size
        self.looked = 0  # number of the poll that looked last
        self._top = top
        self._folders, self._name = path[:-1], path[-1]
        self._size = size
        self._key: Tuple[int, int] | None = None  # device and inode of what is open

    def look(self) -> bool:
        """See what the path names now; return whether that is another file than at the last look, or none any more."""
        before = self._key
        self.final = self.whole = False
        try:
            folder = _enter(self._top, self._folders) if self._folders else self._top
        except OSError:
            self.close()
            return before is not None
        try:
            self.final = self._turn_to(folder, self._name)
            if not self.final and not (self.draft is not None and self._turn_to(folder, self.draft)):
                self.close()
                self.draft = None
        finally:
            if folder != self._top:
                os.close(folder)
        return self._key != before

    def _turn_to(self, folder: int, name: str) -> bool:
        """Open what the name stands for unless it is open already; return False when that is no readable file."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return False
            if (found.st_dev, found.st_ino) != self._key:
                fd = os.open(name, QUIETLY, dir_fd=folder)
                self.close()
                self.fd = fd
                # The name may stand for something else since; what was opened is what counts.
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    return False
                self._key = (found.st_dev, found.st_ino)
        except OSError:
            return False
        self.whole = name == self._name and found.st_size == self._size
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
        self._key = None


def _enter(top: int, folders: Parts) -> int:
    """Open a folder beneath `top` without a symlink on the way; the caller closes it. OSError when there is none."""
    folder = os.open(folders[0], FOLDER, dir_fd=top)
    for name in folders[1:]:
        outer = folder
        try:
            folder = os.open(name, FOLDER, dir_fd=outer)
        finally:
            os.close(outer)
    return folder


def _is_right(fd: int, segment: Segment) -> bool:
    _, _, end, last, at, other = segment
    try:
        return os.pread(fd, len(last), end) == last and os.pread(fd, len(other), at) == other
    except OSError:
        return False


class Sighting:
    """One folder beneath which the payload's paths may lie, and what was found right there."""

    def __init__(self, top: int, root: Parts, wanted: Wanted) -> None:
        self.root = root
        self.files = [File(top, root + path, size) for path, size in wanted.layout]
        self.right = 0  # blocks
        self._wanted = wanted
        self._missing = deque(wanted.segments)
        self._lacking = wanted.lacking.copy()
        self._hint = (0, 0)  # file and offset from which data is looked for next

    def poll(self, number: int) -> bool:
        """Try some of the segments still missing; return whether now, under their final names, none is."""
        if len(self._missing) == len(self._wanted.segments):
            self._go_to_data()
        try:
            self._try_some(number)
        except OSError:
            self._missing.rotate(-1)  # that part of the file cannot be read now
        return not self._missing and self._is_whole(number)

    def _try_some(self, number: int) -> None:
        # What runs for each segment stands in this one loop: most of what the watch costs is spent here.
        files, missing, lacking, pread = self.files, self._missing, self._lacking, os.pread
        left, misses, finds = len(missing), 0, 0
        while left and misses < MISSES + finds // 4:
            index, block, end, last, at, other = missing[0]
            file = files[index]
            fd = file.fd
            if fd >= 0 and pread(fd, len(last), end) == last and pread(fd, len(other), at) == other:
                missing.popleft()
                lacking[block] -= 1
                self.right += not lacking[block]
                finds += 1
                left -= 1
            elif file.looked != number:
                # A miss is the reason to see whether the path has come to name another file.
                self._look(index, number)
                left = len(missing)
            else:
                missing.rotate(-1)
                misses += 1
                left -= 1

    def check(self) -> bool:
        """Look at every path and try every segment, found before or not; return whether all is right."""
        for file in self.files:
            file.look()
        self._missing.clear()
        self._lacking = self._wanted.lacking.copy()
        self.right = 0
        for segment in self._wanted.segments:
            fd = self.files[segment.file].fd
            if fd >= 0 and _is_right(fd, segment):
                self._lacking[segment.block] -= 1
                self.right += not self._lacking[segment.block]
            else:
                self._missing.append(segment)
        return not self._missing and all(file.whole for file in self.files)

    def suggest(self, draft: str, size: int) -> None:
        """
        Watch a lone file under a name that is not its own, as long as its own does not exist.

        When it is renamed at its end, most of it is known already; to read the marks of 200 MB anew takes 30 ms. While
        nothing is right yet, the largest of several drafts is watched: others hold a client's notes.
        """
        file = self.files[0]
        if file.draft is None or draft == file.draft or (not self.right and size > file.draft_size):
            file.draft, file.draft_size = draft, size

    def close(self) -> None:
        """Let go of the files."""
        for file in self.files:
            file.close()

    def _look(self, index: int, number: int) -> None:
        """See what a file's path names now; nothing counts as found in a file that was not seen before."""
        self.files[index].looked = number
        if not self.files[index].look():
            return
        missing = {segment for segment in self._missing if segment.file == index}
        for segment in self._wanted.of_file[index]:
            if segment not in missing:
                self._missing.append(segment)
                self.right -= not self._lacking[segment.block]
                self._lacking[segment.block] += 1

    def _is_whole(self, number: int) -> bool:
        for index, file in enumerate(self.files):
            if not file.whole:
                self._look(index, number)
            if not file.whole:
                return False
        return not self._missing

    def _go_to_data(self) -> None:
        """Bring the first segment that has arrived to the front: in a sparse file its data shows where that is."""
        index, offset = self._hint
        for _ in range(HINTS):
            try:
                # Not open, or no data any more: the next file.
                at = os.lseek(self.files[index].fd, offset, os.SEEK_DATA)
                segment = self._wanted.of_file[index][bisect_right(self._wanted.ends[index], at)]
            except (OSError, IndexError):
                index, offset = (index + 1) % len(self.files), 0
                if index == 0:
                    break
                continue
            offset = segment.end + len(segment.last)
            if _is_right(self.files[index].fd, segment):
                self._missing.remove(segment)
                self._missing.appendleft(segment)
                break
        self._hint = (index, offset)
