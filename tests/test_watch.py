"""The watch, beside a download directory in which anything may happen."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames import payload
from btgames.agents import watch as watch_module
from btgames.agents.watch import DEPTH, ENTRIES, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

SEED = bytes(range(16))
PIECE_SIZE = 32 * 1024
ONE = (("payload.bin", 20 * payload.BLOCK + 5),)
MANY = (
    ("payload/first.bin", 40_001),
    ("payload/folder/second.bin", 3 * payload.BLOCK + 1),
    ("payload/folder/tiny.bin", 17),
    ("payload/folder/tinier.bin", 3),
    ("payload/last.bin", 50_000),
)
NOBODY = 65534


class Prepared(NamedTuple):
    """A payload and what is known of it."""

    layout: Sequence[tuple[str, int]]
    data: bytes
    pieces: bytes
    marks: list[payload.Mark]

    @property
    def blocks(self) -> int:
        """Blocks of 16 KiB."""
        return -(-len(self.data) // payload.BLOCK)

    def write(self, folder: Path) -> None:
        """Write all files beneath `folder`."""
        payload.write(SEED, self.layout, folder)


def prepare(layout: Sequence[tuple[str, int]]) -> Prepared:
    """Return the payload of a layout."""
    prepared = payload.prepare(SEED, layout, PIECE_SIZE, random.Random(0))  # noqa: S311 - no secret
    data = payload.read(SEED, 0, payload.size(layout))
    return Prepared(layout, data, prepared.pieces, payload.unpack_marks(prepared.marks))


@pytest.fixture(scope="module")
def one() -> Prepared:
    """Return a payload of one file."""
    return prepare(ONE)


@pytest.fixture(scope="module")
def many() -> Prepared:
    """Return a payload of files in folders, some smaller than a mark."""
    return prepare(MANY)


def ticking() -> Callable[[], float]:
    """Return a clock that ticks whenever it is read."""
    ticks = iter(range(1, 1_000_000))
    return lambda: float(next(ticks))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Return a download directory."""
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def watching(into: Path, wanted: Prepared) -> Watch:
    """Watch `into`."""
    return Watch(str(into), wanted.layout, wanted.marks, ticking())


def complete(watch: Watch, polls: int = 1) -> bool:
    """Poll; return whether all was found and confirmed."""
    return any(watch.poll() is not None and watch.confirm() for _ in range(polls))


@pytest.mark.parametrize("below", [".", "outputfolder", "a/b/c"])
@pytest.mark.parametrize("layout", [ONE, MANY])
def test_found_anywhere_beneath(into: Path, below: str, layout: Sequence[tuple[str, int]]) -> None:
    """The torrent's paths count wherever they lie beneath the download directory, and are found in one poll."""
    wanted = prepare(layout)
    with watching(into, wanted) as watch:
        assert not complete(watch)
        (into / below).mkdir(parents=True, exist_ok=True)
        wanted.write(into / below)
        assert complete(watch)
        assert watch.right == watch.blocks == wanted.blocks
        assert watch.settle()
        assert watch.wrong_pieces(wanted.pieces, PIECE_SIZE) == 0


def test_wrong_place(into: Path, one: Prepared) -> None:
    """Right bytes under another name, however near, are not complete."""
    with watching(into, one) as watch:
        for name in ("payload.bi", "payload.bin.part", "Payload.bin"):
            (into / name).write_bytes(one.data)
        assert not complete(watch, 3)
        assert not watch.settle()
        assert watch.wrong_pieces(one.pieces, PIECE_SIZE) is None


def test_files_without_their_folder(into: Path, many: Prepared) -> None:
    """A payload of many files has a folder of its own; its files beside it are not right."""
    with watching(into, many) as watch:
        many.write(into)
        (into / "payload").rename(into / "other")
        assert not complete(watch, 3)
        assert not watch.settle()


def test_symlinks(tmp_path: Path, into: Path, one: Prepared, many: Prepared) -> None:
    """No symlink counts: neither for the file, nor for a folder on the way to it."""
    one.write(tmp_path)
    many.write(tmp_path)
    (into / "payload.bin").symlink_to(tmp_path / "payload.bin")
    (into / "payload").symlink_to(tmp_path / "payload")
    (into / "below").symlink_to(tmp_path)
    for wanted in (one, many):
        with watching(into, wanted) as watch:
            assert not complete(watch, 3)
            assert not watch.settle()
            assert watch.right == 0


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [_fifo, _socket, Path.mkdir])
def test_no_file(into: Path, one: Prepared, make: Callable[[Path], None]) -> None:
    """A FIFO, a socket or a folder with the payload's name blocks nothing, and the payload is found elsewhere."""
    make(into / "payload.bin")
    with watching(into, one) as watch:
        assert not complete(watch, 3)
        (into / "below").mkdir()
        one.write(into / "below")
        assert complete(watch, 2)


def test_becomes_a_file(into: Path, one: Prepared) -> None:
    """What was a FIFO is seen when it has become the file, and no longer when it has become a FIFO again."""
    with watching(into, one) as watch:
        os.mkfifo(into / "payload.bin")
        assert not complete(watch)
        (into / "payload.bin").unlink()
        one.write(into)
        assert complete(watch)
        (into / "payload.bin").unlink()
        os.mkfifo(into / "payload.bin")
        assert not complete(watch, 3)
        assert watch.right == 0


def test_growing_file(into: Path, one: Prepared) -> None:
    """A file that grows is right block by block, and complete with its last byte, not before."""
    with watching(into, one) as watch, (into / "payload.bin").open("wb", buffering=0) as file:
        for start in range(0, len(one.data) - payload.BLOCK, payload.BLOCK):
            assert not complete(watch)
            file.write(one.data[start : start + payload.BLOCK])
        for _ in range(10):
            assert not complete(watch)
        assert watch.right == one.blocks - 1
        file.write(one.data[file.tell() : -1])
        assert not complete(watch, 10)
        file.write(one.data[-1:])
        assert complete(watch)


def test_larger_file(into: Path, one: Prepared) -> None:
    """A file of the wrong size is not complete, although every block in it is right."""
    (into / "payload.bin").write_bytes(one.data + b"\0")
    with watching(into, one) as watch:
        assert not complete(watch, 10)
        assert watch.right == one.blocks
        os.truncate(into / "payload.bin", len(one.data))
        assert complete(watch)


@pytest.mark.parametrize("allocate", [os.truncate, lambda path, size: path.write_bytes(bytes(size))])
def test_allocated_file(into: Path, one: Prepared, allocate: Callable[[Path, int], None]) -> None:
    """Zeros are not right, sparse or written, and blocks are found among them in any order."""
    path = into / "payload.bin"
    path.touch()
    allocate(path, len(one.data))
    order = list(range(0, len(one.data), payload.BLOCK))
    random.Random(1).shuffle(order)  # noqa: S311 - no secret
    with watching(into, one) as watch, path.open("r+b", buffering=0) as file:
        assert not complete(watch, 10)
        assert watch.right == 0
        for done, start in enumerate(order, 1):
            assert not complete(watch)
            os.pwrite(file.fileno(), one.data[start : start + payload.BLOCK], start)
            if done == 1:
                assert complete(watch) is False
                assert watch.right == 1
        assert complete(watch)


def test_first_block_of_a_sparse_file(into: Path) -> None:
    """One block in 64 MiB of hole is found by the next poll: the file system knows where data is."""
    wanted = prepare((("payload.bin", 64 << 20),))
    path = into / "payload.bin"
    path.touch()
    os.truncate(path, 64 << 20)
    with watching(into, wanted) as watch, path.open("r+b", buffering=0) as file:
        assert not complete(watch, 3)
        start = 3000 * payload.BLOCK
        os.pwrite(file.fileno(), wanted.data[start : start + payload.BLOCK], start)
        if os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0:
            pytest.skip("this file system does not tell holes from data")
        assert not complete(watch)
        assert watch.right == 1


def test_replaced_file(into: Path, one: Prepared) -> None:
    """A file renamed over another is noticed by the next poll, and nothing that was right in the other counts."""
    (into / "payload.bin").write_bytes(one.data[: 10 * payload.BLOCK])
    with watching(into, one) as watch:
        assert not complete(watch, 5)
        assert watch.right == 10
        (into / "new").write_bytes(bytes(len(one.data)))
        (into / "new").rename(into / "payload.bin")
        assert not complete(watch)
        assert watch.right == 0
        (into / "new").write_bytes(one.data)
        (into / "new").rename(into / "payload.bin")
        assert complete(watch)


def test_renamed_at_the_end(into: Path, one: Prepared) -> None:
    """What arrives under the name plus a suffix is known when it is renamed, and not complete before."""
    (into / "payload.bin.aria2").write_bytes(b"control")
    (into / "payload.bin.part").write_bytes(one.data)
    with watching(into, one) as watch:
        assert not complete(watch, 4)
        assert watch.right == one.blocks
        (into / "payload.bin.part").rename(into / "payload.bin")
        assert complete(watch)
        assert watch.settle()
        assert watch.wrong_pieces(one.pieces, PIECE_SIZE) == 0


def test_rewritten_before_it_is_confirmed(into: Path, one: Prepared) -> None:
    """All marks found, but one of them overwritten since: not complete, until it is right again."""
    one.write(into)
    with watching(into, one) as watch, (into / "payload.bin").open("r+b", buffering=0) as file:
        assert watch.poll() is not None
        mark = one.marks[7]
        os.pwrite(file.fileno(), bytes(len(mark.expected)), mark.offset)
        assert not watch.confirm()
        assert watch.right == one.blocks - 1
        assert not complete(watch, 3)
        os.pwrite(file.fileno(), mark.expected, mark.offset)
        assert complete(watch)


def test_truncated_before_it_is_confirmed(into: Path, one: Prepared) -> None:
    """All marks found, but the file cut or gone since: not complete."""
    one.write(into)
    with watching(into, one) as watch:
        assert watch.poll() is not None
        os.truncate(into / "payload.bin", 0)
        assert not watch.confirm()
        (into / "payload.bin").write_bytes(one.data)
        assert watch.poll() is not None
        (into / "payload.bin").rename(into / "elsewhere")
        assert not watch.confirm()


def test_one_file_of_many_is_missing(into: Path, many: Prepared) -> None:
    """The blocks of a missing file are missing, those that it shares included; all else counts."""
    many.write(into)
    tiny = into / "payload/folder/tiny.bin"
    content = tiny.read_bytes()
    tiny.unlink()
    with watching(into, many) as watch:
        assert not complete(watch, 5)
        assert watch.right == many.blocks - 1
        tiny.write_bytes(content)
        assert complete(watch)


def test_unreadable(into: Path, one: Prepared) -> None:
    """What may not be read, folder or file, is not right yet, and is when it may."""
    below = into / "below"
    below.mkdir()
    one.write(below)
    with watching(into, one) as watch:
        for path in (below, below / "payload.bin"):
            mode = path.stat().st_mode
            path.chmod(0)
            with _unprivileged():
                assert not complete(watch, 3)
                assert watch.right == 0
                assert isinstance(watch.seen(10), list)
            path.chmod(mode)
        assert complete(watch, 2)


class _unprivileged:  # noqa: N801 - a context manager
    """For whom root's rights do not hold: this process, for a while."""

    def __enter__(self) -> None:
        self._uid = os.geteuid()
        if self._uid == 0:
            os.seteuid(NOBODY)

    def __exit__(self, *_: object) -> None:
        if self._uid == 0:
            os.seteuid(0)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the names that searches have looked at."""
    names: list[str] = []
    walk = watch_module._walk

    def recording(*arguments: object) -> Generator[object, None, None]:
        for found in walk(*arguments):  # type: ignore[arg-type]
            if arguments[1] == ():
                names.append(found.entry.name)  # what is deeper comes through here again
            yield found

    monkeypatch.setattr(watch_module, "_walk", recording)
    return names


def test_crowded_folder(into: Path, one: Prepared, looked: list[str]) -> None:
    """A poll looks at a bounded number of a folder's many files, and the payload is found beside them at once."""
    for number in range(1000):
        (into / f"x{number}").touch()
    with watching(into, one) as watch:
        for poll in range(1, 11):
            assert not complete(watch)
            assert len(looked) <= poll * ENTRIES
        one.write(into)
        assert complete(watch)
        (into / "below").mkdir()


def test_crowd_hides_nothing(into: Path, one: Prepared) -> None:
    """Among a thousand files, the payload is found in another folder too, some polls later."""
    for number in range(1000):
        (into / f"x{number}").touch()
    (into / "below").mkdir()
    one.write(into / "below")
    with watching(into, one) as watch:
        assert complete(watch, 1 + 1100 // ENTRIES)


def test_deep_folders(into: Path, one: Prepared, looked: list[str]) -> None:
    """Folders within folders are searched down to a bound, and leave no descriptor open."""
    folder = into
    for _ in range(10 * DEPTH):
        folder /= "d"
    folder.mkdir(parents=True)
    one.write(folder)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with watching(into, one) as watch:
        assert not complete(watch, 3)
        assert not watch.settle()
        assert len(looked) <= 5 * (DEPTH + 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_many_places(into: Path, one: Prepared) -> None:
    """However many wrong places there are, the right one is found."""
    for number in range(30):
        (into / f"x{number}").mkdir()
        (into / f"x{number}/payload.bin").write_bytes(bytes(100))
    (into / "x17/payload.bin").write_bytes(one.data)
    with watching(into, one) as watch:
        assert complete(watch, 20)


def test_wrong_byte_that_no_mark_covers(into: Path, one: Prepared) -> None:
    """The marks cannot see every byte; the hash does, piece by piece."""
    data = bytearray(one.data)
    covered = {mark.offset + index for mark in one.marks for index in range(payload.MARK)}
    for wrong in (5, 7, PIECE_SIZE + 100):
        at = next(at for at in range(wrong, len(data)) if at not in covered and data[at] == one.data[at])
        data[at] ^= 1
    (into / "payload.bin").write_bytes(data)
    with watching(into, one) as watch:
        assert complete(watch)
        assert watch.settle()
        assert watch.wrong_pieces(one.pieces, PIECE_SIZE) == 2


def test_missing_bytes_are_wrong(into: Path, many: Prepared) -> None:
    """Pieces of what is missing are wrong, wherever a file begins within them."""
    many.write(into)
    (into / "payload/last.bin").unlink()
    with watching(into, many) as watch:
        assert not watch.settle()
        first = sum(size for _, size in MANY[:-1]) // PIECE_SIZE
        assert watch.wrong_pieces(many.pieces, PIECE_SIZE) == len(many.pieces) // 20 - first


def test_seen(into: Path, one: Prepared) -> None:
    """What lies in the directory is told with its size, kind and any name that a file can have."""
    (into / "below").mkdir()
    (into / "below/file").write_bytes(b"abc")
    (into / "link").symlink_to("nowhere")
    os.mkfifo(into / "fifo")
    Path(os.fsdecode(os.fsencode(into) + b"/\xff\n")).touch()
    with watching(into, one) as watch:
        assert sorted(watch.seen(10)) == [
            ("below/file", 3),
            ("fifo (FIFO)", 0),
            ("link (symlink)", len("nowhere")),
            ("\N{REPLACEMENT CHARACTER}\n", 0),
        ]
        assert len(watch.seen(2)) == 2


LAYOUTS = st.lists(st.integers(1, 70_000), min_size=1, max_size=6).map(
    lambda sizes: tuple((f"p/{number}/f" if number % 2 else f"p/f{number}", size) for number, size in enumerate(sizes))
)


def _apart(data: st.DataObject, layout: Sequence[tuple[str, int]]) -> Iterator[payload.Segment]:
    yield from data.draw(st.permutations(list(payload.segments(layout, payload.BLOCK))), label="order of arrival")


@settings(max_examples=40, deadline=None)
@given(st.data(), LAYOUTS)
def test_any_layout_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, layout: Sequence[tuple[str, int]]
) -> None:
    """Whatever the layout and the order in which its segments arrive: complete with the last of them, never before."""
    wanted = prepare(layout)
    into = tmp_path_factory.mktemp("into")
    for name, size in layout:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).touch()
        os.truncate(into / name, size)
    *others, last = _apart(data, layout)
    with watching(into, wanted) as watch:
        for segment in (*others, None, last):
            if segment is None:
                # All zeros, were the last one of them: a byte or two may be right by chance.
                last_bytes = wanted.data[last.start : last.start + last.length]
                assert complete(watch, 3) == (not any(last_bytes))
                continue
            with (into / layout[segment.file][0]).open("r+b", buffering=0) as file:
                os.pwrite(file.fileno(), wanted.data[segment.start : segment.start + segment.length], segment.offset)
            watch.poll()
        assert complete(watch)
        assert watch.settle()
        assert watch.right == watch.blocks
        assert watch.wrong_pieces(wanted.pieces, PIECE_SIZE) == 0
