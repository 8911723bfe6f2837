"""A payload watched by the hashes of its pieces: what is right counts, wherever it lies, until it is right no more."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from btgames import payload
from btgames.agents.pieces import AT_LEISURE, AT_ONCE, Pieces

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes(16)
LAYOUT = [("payload/a.bin", 50_000), ("payload/b.bin", 30_001)]
PIECE = 16_384
HASHES = payload.prepare(SEED, LAYOUT, PIECE, random.Random(0)).pieces  # noqa: S311 - marks are not looked at


def watching(folder: Path, rest: float = AT_ONCE) -> Pieces:
    """Watch a folder with a clock that goes on by a second at each look."""
    clock = itertools.count(1.0)
    return Pieces(str(folder), LAYOUT, HASHES, PIECE, lambda: next(clock), rest)


def polled(watch: Pieces, times: int = 10) -> float | None:
    """Return what one of several polls finds, the last at least."""
    return next((found for _ in range(times) if (found := watch.poll()) is not None), None)


def test_pieces_are_counted_as_they_come(tmp_path: Path) -> None:
    """Those that are there are right, the others missing; the whole is found when the last has come, and confirmed."""
    payload.write_pieces(SEED, LAYOUT, tmp_path, PIECE, {0, 3})
    with watching(tmp_path) as watch:
        assert watch.blocks == 5
        assert polled(watch) is None
        assert watch.right == 2
        for path, _ in LAYOUT:
            (tmp_path / path).unlink()
        payload.write(SEED, LAYOUT, tmp_path)
        assert polled(watch) is not None
        assert watch.right == 5
        assert watch.confirm()
        assert watch.settle()


def test_it_may_lie_further_down(tmp_path: Path) -> None:
    """The path that the torrent gives, anywhere beneath the folder."""
    (tmp_path / "below").mkdir()
    payload.write(SEED, LAYOUT, tmp_path / "below")
    with watching(tmp_path) as watch:
        assert polled(watch) is not None
        assert watch.confirm()


def test_what_was_right_and_is_no_more(tmp_path: Path) -> None:
    """One byte that is changed afterwards is not confirmed, and counts in the end."""
    payload.write(SEED, LAYOUT, tmp_path)
    with watching(tmp_path) as watch:
        assert polled(watch) is not None
        with (tmp_path / "payload/b.bin").open("r+b") as file:
            file.write(b"spoilt")
        assert not watch.confirm()
        assert polled(watch) is None
        assert not watch.settle()
        assert watch.right == 4
        assert watch.wrong_pieces(HASHES, PIECE) == 1


def test_a_file_that_is_too_long_is_not_it(tmp_path: Path) -> None:
    """All pieces may be right in it, and still it is another file."""
    payload.write(SEED, LAYOUT, tmp_path)
    with (tmp_path / "payload/b.bin").open("ab") as file:
        file.write(b"more")
    with watching(tmp_path) as watch:
        assert polled(watch) is None
        assert watch.right == 5
        assert not watch.settle()


def test_nothing_there(tmp_path: Path) -> None:
    """An empty folder has no piece, and nothing to be wrong."""
    with watching(tmp_path) as watch:
        assert polled(watch) is None
        assert not watch.settle()
        assert (watch.right, watch.wrong_pieces(HASHES, PIECE)) == (0, None)


def test_the_client_is_left_in_peace(tmp_path: Path) -> None:
    """After a poll that took a second, the next one comes later by so many times that."""
    payload.write(SEED, LAYOUT, tmp_path)
    with watching(tmp_path, AT_LEISURE) as watch:
        assert watch.poll() is not None
        assert [watch.poll() for _ in range(18)] == [None] * 18
