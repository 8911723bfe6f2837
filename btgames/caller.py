"""Who called: what a command writes under sudo belongs to the user who called sudo."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def uid_gid() -> tuple[int, int] | None:
    """Return the ids of who called sudo; None without sudo."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    return (int(uid), int(gid)) if os.geteuid() == 0 and uid.isdigit() and gid.isdigit() else None


def give(*paths: Path) -> None:
    """Give files and folders that root has just made to who called sudo; nothing happens without sudo."""
    ids = uid_gid()
    for path in paths if ids else ():
        if ids and path.lstat().st_uid == 0:
            os.chown(path, *ids, follow_symlinks=False)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, and give them away; what is there stays whose it is."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    give(*missing)
