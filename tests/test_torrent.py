"""Torrents: what libtorrent and aria2 read in them is what was put in."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from typing import TYPE_CHECKING

import libtorrent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames import payload, torrent

if TYPE_CHECKING:
    from pathlib import Path

TRACKER = "http://198.18.0.1:6969/announce"
SINGLE = (("payload.bin", 100_000),)
FOLDER = (("payload/first.bin", 50_000), ("payload/deeper/empty", 0), ("payload/deeper/second ü.bin", 40_000))

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
FILES = st.dictionaries(NAMES, st.integers(0, 10**9), min_size=1, max_size=5).filter(lambda f: sum(f.values()) > 0)
patient = settings(deadline=10_000)  # ms for an example that takes a few: the machine may be busy


def made(layout: payload.Layout, piece_size: int = 16384, trackers: tuple[str, ...] = (TRACKER,)) -> torrent.Torrent:
    """Return a torrent of `layout`, with hashes that are random but right in number."""
    size = payload.size(layout)
    return torrent.make(trackers, layout, piece_size, os.urandom(-(-size // piece_size) * 20))


def check_read(made: torrent.Torrent) -> None:
    """Assert that libtorrent reads in the .torrent file what the object says."""
    info = libtorrent.torrent_info(made.data)
    storage = info.layout()
    files = [(storage.file_path(i), storage.file_size(i)) for i in range(storage.num_files())]
    assert tuple(files) == made.layout
    assert str(info.info_hashes().v1) == made.info_hash
    assert (info.name(), info.piece_length(), info.num_pieces()) == (made.name, made.piece_size, made.num_pieces)
    assert b"".join(info.hash_for_piece(i) for i in range(info.num_pieces())) == made.pieces
    assert not info.priv()


@patient
@given(NAMES, st.integers(1, 10**9), st.sampled_from([16384, 1 << 20, 4 << 20]))
def test_libtorrent_reads_a_single_file(name: str, size: int, piece_size: int) -> None:
    """Name, size, pieces and info hash of a one-file torrent survive."""
    check_read(made([(name, size)], max(piece_size, size // 1000 // 16384 * 16384)))


@patient
@given(NAMES, FILES)
def test_libtorrent_reads_a_folder(name: str, files: dict[str, int]) -> None:
    """Paths, sizes and order of a multi-file torrent survive."""
    check_read(made([(f"{name}/{file}", size) for file, size in files.items()], 8 << 20))


def test_libtorrent_reads_the_trackers_in_order() -> None:
    """The first tracker is `announce`; several become tiers (BEP 12)."""
    both = made(SINGLE, trackers=(TRACKER, "udp://198.18.0.1:6969"))
    parameters = libtorrent.load_torrent_buffer(both.data)
    assert parameters.trackers == [TRACKER, "udp://198.18.0.1:6969"]
    assert parameters.tracker_tiers == [0, 1]
    assert both.announce == TRACKER
    assert b"announce-list" not in made(SINGLE).data


@pytest.mark.skipif(not shutil.which("aria2c"), reason="aria2c is not installed")
@pytest.mark.parametrize("layout", [SINGLE, FOLDER])
def test_aria2_reads_it(layout: payload.Layout, tmp_path: Path) -> None:
    """A client with another parser sees the same hash, piece size and files."""
    shown = made(layout)
    file = tmp_path / "x.torrent"
    file.write_bytes(shown.data)
    command = ["aria2c", "--no-conf", "--show-files", str(file)]
    output = subprocess.run(command, capture_output=True, check=True, timeout=20, cwd=tmp_path, text=True).stdout
    assert f"Info Hash: {shown.info_hash}" in output
    assert "Piece Length: 16KiB" in output
    assert f"The Number of Pieces: {shown.num_pieces}" in output
    assert [line.split("|./")[1] for line in output.splitlines() if "|./" in line] == [path for path, _ in layout]


def test_what_wrappers_use() -> None:
    """A torrent tells its name and size, and travels to another process whole."""
    folder = made(FOLDER)
    assert (folder.name, folder.size, folder.is_folder, folder.num_pieces) == ("payload", 90_000, True, 6)
    assert (made(SINGLE).name, made(SINGLE).is_folder) == ("payload.bin", False)
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301 - our own bytes


def test_places_for_a_yardstick() -> None:
    """A served torrent tells where each part of its payload is had, and its own address, a folder's ending in /."""
    server = "http://198.18.0.2:8080"
    parts = ((server, "payload.bin", 0, 100),)
    single, folder = made(SINGLE).served(parts), made(FOLDER).served(parts)

    assert made(SINGLE).url is None
    assert single.sources == parts
    assert single.url == f"{server}/payload.bin"
    assert folder.url == f"{server}/payload/"


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        ([("a", 20_000), ("b", 1)], "one folder"),
        ([("x/a", 20_000), ("y/b", 1)], "one folder"),
        ([("x", 20_000), ("x/b", 1)], "one folder"),
        ([("x/a", 20_000), ("x/a", 1)], "same path"),
        ([("../a", 20_001)], "plain relative path"),
        ([("a", 0)], "do not fit"),
        ([("a", 40_000)], "do not fit"),
        ([], "do not fit"),
    ],
)
def test_parts_that_make_no_torrent_are_refused(layout: payload.Layout, why: str) -> None:
    """A layout that no client could store, or hashes of another payload, are a ValueError."""
    with pytest.raises(ValueError, match=why):
        torrent.make([TRACKER], layout, 16384, bytes(40))


def test_a_torrent_without_tracker_is_refused() -> None:
    """Races find their seeders by a tracker."""
    with pytest.raises(ValueError, match="tracker"):
        made(SINGLE, trackers=())
