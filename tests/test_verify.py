"""What lies in a directory is told, and whether it is the payload, whatever else lies there."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING

from btgames import payload
from btgames.agents.verify import FILES, Spec, look

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes(16)
LAYOUT = [("payload/a.bin", 50_000), ("payload/b.bin", 30_001)]
PIECE = 16_384


def _spec(folder: Path) -> Spec:
    known = payload.prepare(SEED, LAYOUT, PIECE, random.Random(0))  # noqa: S311 - the same marks in every run
    marks, pieces = (base64.b64encode(data).decode() for data in (known.marks, known.pieces))
    return Spec(str(folder), LAYOUT, marks, PIECE, pieces)


def test_an_empty_directory_has_nothing(tmp_path: Path) -> None:
    """Nothing is right, nothing is wrong, no file is told."""
    assert look(_spec(tmp_path)) == {"blocks_right": 0, "blocks": 5, "wrong_pieces": None, "files": []}


def test_the_payload_is_right(tmp_path: Path) -> None:
    """The whole payload has no wrong piece, in a folder further down as well."""
    below = tmp_path / "below"
    below.mkdir()
    payload.write(SEED, LAYOUT, below)
    found = look(_spec(tmp_path))
    assert (found["blocks_right"], found["wrong_pieces"]) == (5, 0)
    assert sorted(found["files"]) == [("below/payload/a.bin", 50_000), ("below/payload/b.bin", 30_001)]


def test_a_wrong_byte_is_a_wrong_piece(tmp_path: Path) -> None:
    """One byte that is wrong makes one piece wrong."""
    payload.write(SEED, LAYOUT, tmp_path)
    with (tmp_path / "payload/a.bin").open("r+b") as file:
        file.seek(20_000)
        old = file.read(1)
        file.seek(20_000)
        file.write(bytes([old[0] ^ 1]))
    assert look(_spec(tmp_path))["wrong_pieces"] == 1


def test_not_all_files_are_told(tmp_path: Path) -> None:
    """Of very many files the first few are told; links and FIFOs are named as what they are, and not followed."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert look(_spec(tmp_path))["files"][0][0] == "link (symlink)"
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert len(look(_spec(tmp_path))["files"]) == FILES
