"""
The root directory of a cell: the system's programs read-only, the paths that the contestant needs, nothing else.

Built on a small tmpfs inside a mount namespace of its own. What is not bound here does not exist for the contestant.
"""

from __future__ import annotations

import errno
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
# Where the fresh root is mounted before it becomes "/": the first that exists and hides nothing that is shown inside.
_MOUNT_POINTS = ("/sys", "/boot", "/media", "/srv", "/mnt")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Often a symlink to somewhere in /run; what it leads to is absent in a race, which has no names to look up.
_RESOLV_CONF = "/etc/resolv.conf"


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
    root = _mount_point([*read_only, *writable])
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    for path in _SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        else:
            _bind(root, path, read_only=True)
    _small_places(root, uid, tmp_bytes)
    for path in sorted({os.path.realpath(_RESOLV_CONF), *read_only}):
        _bind(root, path, read_only=True)
    # Last, so that a writable directory inside a read-only one stays writable.
    for path in sorted(writable):
        _bind(root, path, read_only=False)
    socket.sethostname("client")
    kernel.enter_root(root)
    # The old root is out of reach; the empty frames around the binds need not be writable either.
    frozen = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    for frame in ("/", "/dev", "/run"):
        kernel.mount("none", frame, flags=frozen)


def _mount_point(shown: List[str]) -> str:
    for place in _MOUNT_POINTS:
        if os.path.isdir(place) and not any(os.path.realpath(path).startswith(f"{place}/") for path in shown):
            return place
    raise FileNotFoundError(errno.ENOENT, f"none of these is there and free: {' '.join(_MOUNT_POINTS)}")


def _bind(root: str, path: str, *, read_only: bool) -> None:
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
    _bind_over(path, target, read_only=read_only)


def _bind_over(source: str, target: str, *, read_only: bool) -> None:
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.restrict(target, read_only=read_only)


def _small_places(root: str, uid: int | None, tmp_bytes: int) -> None:
    """Mount what programs expect: /proc, /dev, /tmp with the home directory in it, /run, /var/tmp, an identity."""
    safe = kernel.MS_NOSUID | kernel.MS_NODEV
    for name in ("proc", "dev", "tmp", "run", "var", "var/tmp"):
        os.mkdir(f"{root}/{name}", 0o755)
    # hidepid=2: for a process, others that it may not trace do not exist, PID 1 above all (proc(5)).
    kernel.mount("proc", f"{root}/proc", "proc", safe | kernel.MS_NOEXEC, "hidepid=2")
    for name in ("keys", "key-users"):
        # Without root, keys of the user's that any process of the user may read would be named here.
        if os.path.exists(f"{root}/proc/{name}"):
            kernel.mount("/dev/null", f"{root}/proc/{name}", flags=kernel.MS_BIND)
    kernel.mount("tmpfs", f"{root}/dev", "tmpfs", kernel.MS_NOSUID, "size=64k,nr_inodes=64,mode=755")
    for name in _DEVICES:
        path = f"{root}/dev/{name}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.mount(f"/dev/{name}", path, flags=kernel.MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")
    os.mkdir(f"{root}/dev/shm", 0o755)
    # An inode takes about 1 KiB of the kernel's memory, however empty: one for each page is enough for anyone.
    room = f"size={tmp_bytes},nr_inodes={tmp_bytes >> 12},mode=1777"
    kernel.mount("tmpfs", f"{root}/dev/shm", "tmpfs", safe, room)
    kernel.mount("tmpfs", f"{root}/tmp", "tmpfs", safe, room)
    kernel.mount(f"{root}/tmp", f"{root}/var/tmp", flags=kernel.MS_BIND)
    kernel.mount("tmpfs", f"{root}/run", "tmpfs", safe, "size=1m,mode=755")
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
        _bind_over(source, f"{root}/etc/{name}", read_only=True)
