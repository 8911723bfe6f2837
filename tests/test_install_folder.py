"""Folders of installed things, and what stands beside them: found, measured, removed, and one at a time at it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from btgames.install_folder import disk_bytes, locked, megabytes, record_of, remove_all, stem, stems

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0123456789abcdef"


def test_what_is_there_is_found_by_name(tmp_path: Path) -> None:
    """Folders, records, logs and locks, whole or not, each under its contestant's name, whatever that is."""
    first, second = stem("mine", DIGEST), stem("mine", "f" * 12)
    odd = stem("a-b.c-0123456789ab", DIGEST)
    (tmp_path / first).mkdir()
    for name in (f"{first}.json", f"{second}.lock", f"{odd}.log", f"{odd}.part", "README", "mine-0123.json"):
        (tmp_path / name).touch()
    assert stems(tmp_path) == {"a-b.c-0123456789ab": {odd}, "mine": {first, second}}
    assert stems(tmp_path / "nothing") == {}


def test_all_but_the_lock_is_removed(tmp_path: Path) -> None:
    """Folder, record and log go, and what they took of the disk is told; others and the lock stay."""
    folder = tmp_path / stem("mine", DIGEST)
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(bytes(1_000_000))
    (folder / "deep").chmod(0o555)
    record_of(folder).write_text("{}")
    folder.with_name(f"{folder.name}.log").write_bytes(bytes(500_000))
    (tmp_path / "other-0123456789ab").mkdir()
    with locked(folder, lambda: None) as lock:
        assert 1_500_000 <= remove_all(folder) < 1_600_000
        assert sorted(path.name for path in tmp_path.iterdir()) == [lock.name, "other-0123456789ab"]
        assert remove_all(folder) == 0


def test_the_disk_that_a_folder_takes(tmp_path: Path) -> None:
    """What is on the disk counts, not lengths; a file of two names once; links lead nowhere."""
    assert disk_bytes(tmp_path / "nothing") == 0
    empty = disk_bytes(tmp_path)
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    os.link(tmp_path / "file", tmp_path / "again")
    (tmp_path / "away").symlink_to("/")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(10_000_000)
    assert 1_000_000 <= disk_bytes(tmp_path) - empty < 1_050_000
    assert 1_000_000 <= disk_bytes(tmp_path / "file") < 1_050_000


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0.0 MB"), (140_000, "0.1 MB"), (98_700_000, "99 MB"), (1_234_000_000, "1234 MB")]
)
def test_sizes_in_words(count: int, words: str) -> None:
    """Whole MB, tenths of few."""
    assert megabytes(count) == words


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes second is told so, and gets the lock when the first has left."""
    second, waits = threading.Event(), threading.Event()

    def come_second() -> None:
        with locked(tmp_path / "it", waits.set):
            second.set()

    with locked(tmp_path / "it", lambda: None):
        thread = threading.Thread(target=come_second)
        thread.start()
        assert waits.wait(20)
        assert not second.is_set()
    thread.join(20)
    assert second.is_set()


def test_a_lock_that_was_removed_keeps_nobody_out(tmp_path: Path) -> None:
    """Who waited for a lock whose file was then removed takes the new one: else a third would be in beside it."""
    waits, inside, leave = threading.Event(), threading.Event(), threading.Event()

    def come_second() -> None:
        with locked(tmp_path / "it", waits.set):
            inside.set()
            leave.wait(20)

    with locked(tmp_path / "it", lambda: None) as lock:
        thread = threading.Thread(target=come_second)
        thread.start()
        assert waits.wait(20)
        lock.unlink()
    assert inside.wait(20)
    with pytest.raises(InterruptedError), locked(tmp_path / "it", _give_up):
        raise AssertionError("two are in")
    leave.set()
    thread.join(20)


def _give_up() -> None:
    raise InterruptedError
