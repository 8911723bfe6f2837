"""
The root directory of a cell: the system's programs read-only, the paths that the contestant needs, nothing else.

Built on a small tmpfs inside a mount namespace of its own. What is not bound here does not exist for the contestant.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import List

from btgames.agents import kernel

INSIDE_UID = 1000
"""What a contestant sees as its own uid where it lives in a user namespace."""

HOME = "/tmp/home"
"""A contestant's home directory: empty at the start of each heat, gone after it."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")
# Where the fresh root is mounted before it becomes "/": a directory that always exists and is never shown inside.
_MOUNT_POINT = "/sys"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Where /etc/resolv.conf may lead; absent in a race, which has no names to look up, needed by an install.
_RESOLVERS = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/mnt/wsl")


def build(read_only: List[str], writable: List[str], uid: int | None, tmp_bytes: int) -> None:
    """
    Mount the fresh root and enter it.

    Args:
        read_only: directories or files to be seen at their own paths; those that do not exist are left out.
        writable: the same, writable.
        uid: owner of the home directory, None in a user namespace.
        tmp_bytes: size of /tmp.

    Raises:
        OSError: the kernel refused a step; its `filename` names it.

    """
    root = _MOUNT_POINT
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    for path in _SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        else:
            _bind(root, path, writable=False)
    _small_places(root, uid, tmp_bytes)
    for path in [*_RESOLVERS, *sorted(read_only)]:
        _bind(root, path, writable=False)
    # Last, so that a writable directory inside a read-only one stays writable.
    for path in sorted(writable):
        _bind(root, path, writable=True)
    socket.sethostname("client")
    kernel.enter_root(root)
    # The old root is out of reach; this empty frame around the binds need not be writable either.
    kernel.mount(
        "none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    )


def _bind(root: str, path: str, *, writable: bool) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    target = root + path
    if stat.S_ISDIR(mode):
        os.makedirs(target, 0o755, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(path, target, flags=kernel.MS_BIND | kernel.MS_REC)
    if not writable:
        kernel.make_read_only(target)


def _small_places(root: str, uid: int | None, tmp_bytes: int) -> None:
    """Mount what programs expect: /proc, /dev, /tmp with the home directory in it, /run, /var/tmp, an identity."""
    safe = kernel.MS_NOSUID | kernel.MS_NODEV
    for name in ("proc", "dev", "tmp", "run", "var"):
        os.mkdir(f"{root}/{name}", 0o755)
    kernel.mount("proc", f"{root}/proc", "proc", safe | kernel.MS_NOEXEC)
    kernel.mount("tmpfs", f"{root}/dev", "tmpfs", kernel.MS_NOSUID, "size=64k,mode=755")
    for name in _DEVICES:
        path = f"{root}/dev/{name}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.mount(f"/dev/{name}", path, flags=kernel.MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")
    os.mkdir(f"{root}/dev/shm", 0o755)
    kernel.mount("tmpfs", f"{root}/dev/shm", "tmpfs", safe, f"size={tmp_bytes},mode=1777")
    kernel.mount("tmpfs", f"{root}/tmp", "tmpfs", safe, f"size={tmp_bytes},mode=1777")
    kernel.mount("tmpfs", f"{root}/run", "tmpfs", safe, "size=1m,mode=755")
    os.symlink("/tmp", f"{root}/var/tmp")
    os.mkdir(root + HOME, 0o755)
    os.chown(root + HOME, uid or 0, uid or 0)
    _identity(root, uid or INSIDE_UID)


def _identity(root: str, uid: int) -> None:
    """Give the uid a name, since some programs will not start without one."""
    for name, text in (
        ("passwd", f"root:x:0:0::/:/bin/sh\ncontestant:x:{uid}:{uid}::{HOME}:/bin/sh\n"),
        ("group", f"root:x:0:\ncontestant:x:{uid}:\n"),
    ):
        source = f"{root}/run/{name}"
        with open(source, "w", encoding="ascii") as file:
            file.write(text)
        kernel.mount(source, f"{root}/etc/{name}", flags=kernel.MS_BIND)
