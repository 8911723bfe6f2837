"""How much memory the processes in a cell take together, wherever they hide it."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Tuple

_TMPFS = ("/tmp", "/dev/shm")


class Memory:
    """What processes have taken since this object was made. To be asked by PID 1 of the cell, in its mounts."""

    def __init__(self, writable: List[str]) -> None:
        """`writable` are the directories that they may fill, each with a limit of its own."""
        self.peak_rss = 0  # bytes resident in all processes together, at the worst of the moments looked at
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._folders = [path for path in [*_TMPFS, *writable] if os.path.isdir(path)]
        self._files = self._in_files()
        self._shared = _shared()

    def taken(self) -> int:
        """
        Return bytes: what is private to processes, and shared memory that lies in no directory.

        The latter (memfd_create, shmget, MAP_SHARED without a file) belongs to nobody in particular, and need not be
        mapped by anybody: it shows as growth of the machine's, of which files in memory are taken off.
        """
        resident = private = 0
        for name in os.listdir("/proc"):
            if name.isdigit() and name != "1":
                pages, shared = _pages(name)
                resident += pages
                private += pages - shared
        self.peak_rss = max(self.peak_rss, resident * self._page)
        files = self._in_files()
        grown = sum(max(0, used - self._files.get(device, 0)) for device, used in files.items())
        return private * self._page + max(0, _shared() - self._shared - grown)

    def _in_files(self) -> Dict[int, int]:
        """Return bytes in use of each file system that can be filled, by device: on a disk they hide nothing."""
        used = {}
        for path in self._folders:
            facts = os.statvfs(path)
            used[os.stat(path).st_dev] = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
        return used


def _shared() -> int:
    """Return bytes of shared memory and of files in memory, of the whole machine."""
    with open("/proc/meminfo", "rb", buffering=0) as file:
        found = re.search(rb"^Shmem: +(\d+) kB", file.read(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _pages(pid: str) -> Tuple[int, int]:
    """Return (resident, shared) pages of a process; zeros when it has just ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return 0, 0
    return (int(fields[1]), int(fields[2])) if fields else (0, 0)
