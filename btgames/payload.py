"""
The payload of a heat: any part of it from a 128-bit seed, and the marks by which the stopwatch knows its blocks.

The payload is SHAKE-128(seed || chunk index) in chunks of 1 MiB, cut into the files of a layout, in their order. A
layout is a sequence of (path, size in bytes); paths are relative, with slashes, as they shall lie beneath a download
directory, the torrent's name included. Standard library only and Python 3.9: agents import this.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from pathlib import Path

Layout = Sequence[tuple[str, int]]

CHUNK = 1 << 20
"""Bytes that are generated at a time: 2 ms of one core."""

BLOCK = 16 * 1024
"""Bytes that BitTorrent clients request at a time (BEP 3)."""

MARK = 8
"""Bytes of a mark: a stale or sparse page shows them by chance once in 2**64."""

_RECORD = struct.Struct("<IIQB8s")  # block, file, offset, how many bytes, the bytes, zeros after them


class Segment(NamedTuple):
    """A part of the payload that lies within one file."""

    file: int  # index in the layout
    offset: int  # in the file, bytes
    start: int  # in the payload, bytes
    length: int  # bytes, at least 1


class Mark(NamedTuple):
    """A few bytes of a file that show that a block has arrived there; secret from the contestant."""

    block: int  # of 16 KiB, counted through the payload
    file: int  # index in the layout
    offset: int  # in the file, bytes
    expected: bytes  # 1 to 8 bytes


class Prepared(NamedTuple):
    """What a heat needs to know of a payload that it never holds."""

    pieces: bytes  # SHA-1 of each piece, 20 bytes each, as in a torrent (BEP 3)
    marks: bytes  # packed, see `pack_marks`


def chunk(seed: bytes, index: int) -> bytes:
    """Return 1 MiB of the endless payload of `seed` (16 bytes), from `index` MiB on."""
    return hashlib.shake_128(seed + index.to_bytes(8, "big")).digest(CHUNK)


def read(seed: bytes, offset: int, length: int) -> bytes:
    """Return any part of the endless payload of `seed`; costs 2 ms for each chunk that it touches."""
    return _read(partial(chunk, seed), offset, length)


def _read(chunks: Callable[[int], bytes], offset: int, length: int) -> bytes:
    first, last = offset // CHUNK, -(-(offset + length) // CHUNK)
    return b"".join(map(chunks, range(first, last)))[offset - first * CHUNK :][:length]


def size(layout: Layout) -> int:
    """Return the payload's size in bytes."""
    return sum(length for _, length in layout)


def segments(layout: Layout, unit: int) -> Iterator[Segment]:
    """Cut the payload at every boundary of a file and at every multiple of `unit` bytes, in order."""
    start = 0
    for file, (_, length) in enumerate(layout):
        offset = 0
        while offset < length:
            step = min(length - offset, unit - start % unit)
            yield Segment(file, offset, start, step)
            offset += step
            start += step


def prepare(seed: bytes, layout: Layout, piece_size: int, rng: random.Random) -> Prepared:
    """
    Return the piece hashes and the marks of a payload in one pass that holds one chunk of it at a time.

    `rng` chooses where marks are; nobody else may know its state. One thread on purpose: hashlib generates with the
    interpreter's lock held (CPython 3.11), and a chunk that is still in the CPU's cache is hashed fastest.
    """
    total = size(layout)
    hasher = _PieceHasher(piece_size)
    marks: list[Mark] = []
    for index, blocks in groupby(segments(layout, BLOCK), lambda block: block.start // CHUNK):
        start = index * CHUNK
        data = chunk(seed, index)[: total - start]
        hasher.feed(data)
        for block in blocks:
            begin = block.start - start
            marks += _marks(block, data[begin : begin + block.length], rng)
    return Prepared(hasher.finish(), pack_marks(marks))


def _marks(block: Segment, data: bytes, rng: random.Random) -> list[Mark]:
    number = block.start // BLOCK
    if block.length <= MARK:
        return [Mark(number, block.file, block.offset, data)]
    last = block.length - MARK
    return [Mark(number, block.file, block.offset + at, data[at : at + MARK]) for at in (last, rng.randrange(last))]


class _PieceHasher:
    """Hashes a stream piece by piece: the `pieces` of a torrent (BEP 3)."""

    def __init__(self, piece_size: int) -> None:
        self._piece_size = piece_size
        self._wanted = piece_size  # bytes that the piece at hand still lacks
        self._piece = hashlib.sha1(usedforsecurity=False)
        self._digests: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Hash the next bytes of the stream."""
        view = memoryview(data)
        while view:
            part, view = view[: self._wanted], view[self._wanted :]
            self._piece.update(part)
            self._wanted -= len(part)
            if not self._wanted:
                self._next_piece()

    def finish(self) -> bytes:
        """Return all digests, 20 bytes each; the last piece may be shorter than the others."""
        if self._wanted < self._piece_size:
            self._next_piece()
        return b"".join(self._digests)

    def _next_piece(self) -> None:
        self._digests.append(self._piece.digest())
        self._piece = hashlib.sha1(usedforsecurity=False)
        self._wanted = self._piece_size


def pack_marks(marks: Iterable[Mark]) -> bytes:
    """
    Return marks as records of 25 bytes, little-endian, ready for base64 in a JSON message.

    A record: u32 block, u32 file, u64 offset, u8 length (1 to 8), the expected bytes, zeros up to 8 bytes.
    """
    return b"".join(_RECORD.pack(block, file, offset, len(data), data) for block, file, offset, data in marks)


def unpack_marks(packed: bytes) -> list[Mark]:
    """Return the marks of `pack_marks`; ValueError when `packed` is not whole records."""
    if len(packed) % _RECORD.size:
        raise ValueError(f"marks come in records of {_RECORD.size} bytes, not in {len(packed)} bytes")
    records = _RECORD.iter_unpack(packed)
    return [Mark(block, file, offset, data[:length]) for block, file, offset, length, data in records]


def parts(path: str) -> tuple[str, ...]:
    """Return the components of a layout's path; ValueError for one that is not plain or could leave its folder."""
    found = PurePosixPath(path).parts
    if "/".join(found) != path or ".." in found or not found:
        raise ValueError(f"{path!r} is not a plain relative path")
    return found


def write(seed: bytes, layout: Layout, folder: Path) -> None:
    """
    Write the payload's files beneath `folder`, which exists.

    Raises:
        ValueError: a path of the layout is not plain and relative.
        OSError: FileExistsError for a file that is there already, and what else disks do.

    """
    _write(seed, layout, folder, segments(layout, CHUNK))


def write_pieces(seed: bytes, layout: Layout, folder: Path, piece_size: int, has: Container[int]) -> None:
    """Write as `write` does, but only the pieces whose index `has` contains; the rest are holes that read as zeros."""
    cuts = segments(layout, piece_size)
    _write(seed, layout, folder, (cut for cut in cuts if cut.start // piece_size in has))


def _write(seed: bytes, layout: Layout, folder: Path, cuts: Iterable[Segment]) -> None:
    paths = []
    for name, length in layout:
        path = folder.joinpath(*parts(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as created:
            created.truncate(length)
        paths.append(path)
    chunks = lru_cache(maxsize=1)(partial(chunk, seed))
    for file, group in groupby(cuts, lambda cut: cut.file):
        with paths[file].open("r+b", buffering=0) as opened:
            for cut in group:
                os.pwrite(opened.fileno(), _read(chunks, cut.start, cut.length), cut.offset)
