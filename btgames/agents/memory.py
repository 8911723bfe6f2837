"""The files of a race live in memory: a tmpfs of limited size, seen within the race's own mount namespace only."""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path("/run/btgames")
RUN_BYTES = 1_048_576  # mount points only
SHARED_BYTES = 67_108_864  # POSIX shared memory of programs that want some


def mount_memory(memory_bytes: int) -> None:
    """
    Mount /run, the race's files and shared memory, all private.

    Raises:
        OSError: a folder cannot be made.
        subprocess.CalledProcessError: the kernel refuses a mount; its stderr says why.

    """
    _mount(Path("/run"), RUN_BYTES)
    FOLDER.mkdir()
    _mount(FOLDER, memory_bytes)
    if Path("/dev/shm").is_dir():  # noqa: S108 - the mount point itself
        _mount(Path("/dev/shm"), SHARED_BYTES, mode="1777")  # noqa: S108 - the mount point itself


def _mount(where: Path, size_bytes: int, mode: str = "755") -> None:
    options = f"size={size_bytes},mode={mode},nosuid,nodev"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "btgames", str(where)], check=True, capture_output=True)
