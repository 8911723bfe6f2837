"""The payload: any part of it from its seed, its marks, and how it is written."""

from __future__ import annotations

import hashlib
import random
import tempfile
from functools import partial
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames import payload

SEED = bytes(range(16))
LIMIT = 3 * payload.CHUNK + 17  # bytes of the payload that the properties look at
WHOLE = b"".join(payload.chunk(SEED, index) for index in range(4))

patient = settings(deadline=10_000)  # ms for an example that takes a few: the machine may be busy

# Sizes around what matters (nothing, a mark, a block, a chunk) and anything between, at most 4 files.
SIZES = st.one_of(
    st.sampled_from([0, 1, 7, 8, 9, payload.BLOCK - 1, payload.BLOCK, payload.BLOCK + 1, payload.CHUNK]),
    st.integers(0, LIMIT // 4),
)
LAYOUTS = st.lists(SIZES, max_size=4).map(lambda sizes: [(f"name/{i}", size) for i, size in enumerate(sizes)])
PIECE_SIZES = st.sampled_from([16 * 1024, 256 * 1024, 1 << 20, 2 << 20, 50_000, 3_000_000])


sha1 = partial(hashlib.sha1, usedforsecurity=False)


def secret(seed: int) -> random.Random:
    """Return what chooses where marks are."""
    return random.Random(seed)  # noqa: S311 - a test wants the same marks again


def file_bytes(layout: payload.Layout) -> list[bytes]:
    """Cut the known payload into the files of `layout`, in the plainest way."""
    files, start = [], 0
    for _, length in layout:
        files.append(WHOLE[start : start + length])
        start += length
    return files


def test_a_chunk_is_shake_128_of_seed_and_index() -> None:
    """Any host, in any language, can make a chunk from the documented formula."""
    expected = hashlib.shake_128(SEED + (5).to_bytes(8, "big")).digest(1 << 20)
    assert payload.chunk(SEED, 5) == expected
    assert payload.chunk(bytes(16), 5) != expected


@patient
@given(st.integers(0, LIMIT), st.integers(0, payload.CHUNK))
def test_any_part_is_a_slice_of_the_whole(offset: int, length: int) -> None:
    """Reading a part gives the bytes that the whole has there, across chunks too."""
    assert payload.read(SEED, offset, length) == WHOLE[offset : offset + length]


@patient
@given(LAYOUTS, st.integers(1000, LIMIT))
def test_segments_cover_the_payload_once_and_in_order(layout: payload.Layout, unit: int) -> None:
    """Segments are adjacent, lie within one file and one unit each, and add up to the payload."""
    cuts = list(payload.segments(layout, unit))
    assert [*(cut.start for cut in cuts), payload.size(layout)] == [0, *accumulate(cut.length for cut in cuts)]
    assert all(cut.start // unit == (cut.start + cut.length - 1) // unit for cut in cuts)
    assert all(cut.offset + cut.length <= layout[cut.file][1] for cut in cuts)


@patient
@given(LAYOUTS, PIECE_SIZES, st.integers())
def test_prepare_hashes_each_piece_of_the_concatenated_files(
    layout: payload.Layout, piece_size: int, seed: int
) -> None:
    """The pieces are what BEP 3 asks for: SHA-1 of each piece of all files laid end to end."""
    data = WHOLE[: payload.size(layout)]
    prepared = payload.prepare(SEED, layout, piece_size, secret(seed))
    expected = [sha1(data[at : at + piece_size]).digest() for at in range(0, len(data), piece_size)]
    assert prepared.pieces == b"".join(expected)


@patient
@given(LAYOUTS, st.integers())
def test_marks_are_bytes_of_every_block_in_every_file(layout: payload.Layout, seed: int) -> None:
    """Each file's part of each block has a mark on its last bytes, and one more when it is longer than a mark."""
    files = file_bytes(layout)
    marks = payload.unpack_marks(payload.prepare(SEED, layout, 1 << 20, secret(seed)).marks)
    for mark in marks:
        assert files[mark.file][mark.offset : mark.offset + len(mark.expected)] == mark.expected
        assert 1 <= len(mark.expected) <= payload.MARK
    for cut in payload.segments(layout, payload.BLOCK):
        end = cut.offset + cut.length
        own = [m for m in marks if m.file == cut.file and cut.offset <= m.offset < end]
        assert {m.block for m in own} == {cut.start // payload.BLOCK}
        assert len(own) == (2 if cut.length > payload.MARK else 1)
        assert max(m.offset + len(m.expected) for m in own) == end


def test_marks_depend_on_the_secret_alone() -> None:
    """The same secret gives the same marks; another secret gives others, with the same last bytes."""
    layout = [("file", payload.CHUNK)]
    one, again, other = (payload.prepare(SEED, layout, 1 << 18, secret(s)).marks for s in (1, 1, 2))
    assert one == again
    common = set(payload.unpack_marks(one)) & set(payload.unpack_marks(other))
    assert one != other
    assert len(common) >= payload.CHUNK // payload.BLOCK


MARKS = st.builds(
    payload.Mark,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=1, max_size=payload.MARK),
)


@patient
@given(st.lists(MARKS))
def test_packed_marks_unpack_to_themselves(marks: list[payload.Mark]) -> None:
    """Packing loses nothing, zeros at either end of a mark included; a mark takes 25 bytes."""
    packed = payload.pack_marks(marks)
    assert payload.unpack_marks(packed) == marks
    assert len(packed) == 25 * len(marks)


def test_torn_marks_are_refused() -> None:
    """Marks that lost bytes on their way are an error, not fewer marks."""
    with pytest.raises(ValueError, match="records of 25 bytes, not in 24"):
        payload.unpack_marks(bytes(24))


@patient
@given(LAYOUTS)
def test_written_files_are_the_payload(layout: payload.Layout) -> None:
    """Every file has its part of the payload, empty files included."""
    with tempfile.TemporaryDirectory() as folder:
        payload.write(SEED, layout, Path(folder))
        assert [Path(folder, path).read_bytes() for path, _ in layout] == file_bytes(layout)


@patient
@given(LAYOUTS, PIECE_SIZES, st.sets(st.integers(0, 12)))
def test_a_partial_copy_has_its_pieces_and_holes(layout: payload.Layout, piece_size: int, has: set[int]) -> None:
    """A partial copy has every file at its full size: right bytes in its pieces, zeros elsewhere."""
    total = payload.size(layout)
    expected = bytearray(total)
    for index in has:
        part = slice(index * piece_size, min((index + 1) * piece_size, total))
        expected[part] = WHOLE[part] if part.start < total else b""
    with tempfile.TemporaryDirectory() as folder:
        payload.write_pieces(SEED, layout, Path(folder), piece_size, has)
        assert b"".join(Path(folder, path).read_bytes() for path, _ in layout) == expected


def test_a_partial_copy_takes_no_room_for_what_it_lacks(tmp_path: Path) -> None:
    """Missing pieces are holes: four partial seeders together need about one payload of memory."""
    payload.write_pieces(SEED, [("file", 8 * payload.CHUNK)], tmp_path, payload.CHUNK, {3})
    status = (tmp_path / "file").stat()
    assert status.st_size == 8 * payload.CHUNK
    assert status.st_blocks * 512 < 2 * payload.CHUNK


@pytest.mark.parametrize("path", ["", ".", "/file", "../file", "a/../../file", "a//b", "./a", "a/", "a/."])
def test_a_path_that_is_not_plain_is_refused(path: str, tmp_path: Path) -> None:
    """Nothing is written for a path that leaves its folder or has two spellings."""
    with pytest.raises(ValueError, match="not a plain relative path"):
        payload.write(SEED, [(path, 1)], tmp_path / "inside")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """A payload never mixes with an earlier one."""
    (tmp_path / "file").write_text("earlier")
    with pytest.raises(FileExistsError):
        payload.write(SEED, [("file", 4)], tmp_path)
    assert (tmp_path / "file").read_text() == "earlier"
