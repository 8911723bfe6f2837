"""
Where a contestant's installed things lie, and what stands beside them: a record, a log, a lock, all of one stem.

The stem is NAME-DIGEST. An install is whole when, and only when, its record (STEM.json) is there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STEM = re.compile(r"((.+)-[0-9a-f]{12})(?:\.(?:json|part|log|lock))?")
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's is


def stem(name: str, digest: str) -> str:
    """Return the stem of a contestant's install; `digest` is hex, of what is installed."""
    return f"{name}-{digest[:12]}"


def stems(base: Path) -> dict[str, set[str]]:
    """Return by contestant's name the stems of all that lies beneath `base`, whole or not."""
    found: dict[str, set[str]] = {}
    for path in base.iterdir() if base.is_dir() else ():
        if match := _STEM.fullmatch(path.name):
            found.setdefault(match[2], set()).add(match[1])
    return dict(sorted(found.items()))


def record_of(folder: Path) -> Path:
    """Return the file that is there when, and only when, what is in a folder is whole."""
    return folder.with_name(f"{folder.name}.json")


def remove(folder: Path) -> None:
    """Remove a folder if it is there, also with folders in it that nobody may write to: Go makes such."""
    for path, below, _ in os.walk(folder):
        for each in (Path(path, name) for name in below):
            if not each.is_symlink():
                each.chmod(0o700)
    if folder.exists():
        shutil.rmtree(folder)


def remove_all(folder: Path) -> int:
    """Remove a folder and what stands beside it, but for the lock; return how many bytes of the disk that frees."""
    beside = [folder.with_name(f"{folder.name}.{ending}") for ending in ("json", "part", "log")]
    there = [path for path in beside if path.exists()]
    freed = disk_bytes(folder) + sum(disk_bytes(path) for path in there)
    for path in there:  # the record first: what is torn from here on is not taken for whole
        path.unlink()
    remove(folder)
    return freed


def disk_bytes(path: Path) -> int:
    """Return what a file, or a folder with all in it, takes of the disk; what has several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(path) if path.is_dir() else ():
        for each in (folder, *(f"{folder}/{name}" for name in names)):
            facts = os.lstat(each)
            seen[facts.st_dev, facts.st_ino] = facts.st_blocks * _BLOCK_BYTES
    return sum(seen.values()) if path.is_dir() else path.lstat().st_blocks * _BLOCK_BYTES if path.exists() else 0


def megabytes(count: int) -> str:
    """Return bytes in words: whole MB (10^6 bytes), and tenths of few."""
    return f"{count / 1e6:.1f} MB" if count < 10e6 else f"{count / 1e6:.0f} MB"  # noqa: PLR2004 - two digits do


@contextmanager
def locked(folder: Path, busy: Callable[[], None]) -> Iterator[Path]:
    """
    Hold the lock of a folder and give its file; the kernel lets go of it when its holder dies.

    `busy` is called when somebody else holds it; if it returns, that one is waited for.
    """
    path = folder.with_name(f"{folder.name}.lock")
    held = False
    while not held:
        with path.open("w") as file:
            caller.give(path)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(file, fcntl.LOCK_EX)
            held = _is(path, file.fileno())  # who had it may have removed it: then it keeps nobody out
            if held:
                yield path


def _is(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
