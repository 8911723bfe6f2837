"""
The few system calls of Linux that the standard library of Python 3.9 has no names for.

Each raises OSError with errno and the call's name. Constants are those of the kernel's uapi headers.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import re
from typing import Iterator, Tuple

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38

# mount_setattr(2), Linux 5.12: the same number on every architecture; glibc 2.36 was the first to wrap it.
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4

# keyctl(2), which no C library wraps, by machine; that of newer architectures is asm-generic's.
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "armv7l": 311, "ppc64le": 271, "s390x": 280}
_KEYCTL_JOIN_SESSION_KEYRING = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones; a new PID namespace begins with the next fork."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or bind a path to another (mount(2))."""
    done = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(done, f"mount {target}")


def restrict(target: str, *, read_only: bool) -> None:
    """Take devices and set-uid programs from the mount at `target` and all beneath it, and writing where asked."""
    attributes = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (_MOUNT_ATTR_RDONLY if read_only else 0)
    try:
        _set_attributes(target, attributes)
    except OSError as error:
        # A kernel before 5.12, or a container that has not heard of the call.
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
        flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | (MS_RDONLY if read_only else 0)
        for point, kept in list(_mounts_beneath(target)):
            mount("none", point, flags=flags | kept)


def _set_attributes(target: str, attributes: int) -> None:
    attr = _MountAttr(attributes, 0, 0, 0)
    done = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attr),
        ctypes.c_size_t(ctypes.sizeof(attr)),
    )
    _check(done, f"mount_setattr {target}")


def _mounts_beneath(target: str) -> Iterator[Tuple[str, int]]:
    """Yield (path, flags that a remount must repeat) of the mount at `target` and those beneath it (proc(5))."""
    names = {b"ro": MS_RDONLY, b"nosuid": MS_NOSUID, b"nodev": MS_NODEV, b"noexec": MS_NOEXEC}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.split()
            # Space, tab, newline and backslash are written as three octal digits.
            point = os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), fields[4]))
            if point == target or point.startswith(f"{target}/"):
                yield point, sum(names.get(option, 0) for option in fields[5].split(b","))


def enter_root(new_root: str) -> None:
    """Make `new_root`, a mount point, the root of this mount namespace, and let go of the old one (pivot_root(2))."""
    os.chdir(new_root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    """Ask for `signal_number` when the parent ends; to be asked again after each change of uid."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number)), "prctl")


def no_new_privileges() -> None:
    """No program executed from here on gains rights by being set-uid or having file capabilities."""
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero), "prctl")


def drop_bounding_set() -> None:
    """No program executed from here on can have any capability; needs CAP_SETPCAP (capabilities(7))."""
    zero = ctypes.c_ulong(0)
    capability = 0
    # The first number that the kernel does not know ends the list.
    while _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), zero, zero, zero) == 0:
        capability += 1
    if ctypes.get_errno() != errno.EINVAL:
        _check(-1, "prctl")


def leave_session_keyring() -> None:
    """Have a new, empty session keyring: keys of the session that called are not for everyone (keyrings(7))."""
    number = _SYS_KEYCTL.get(platform.machine())
    if number is not None:
        # Without keys in this kernel, or in a container that denies them to all, there is nothing to leave.
        with contextlib.suppress(OSError):
            none = ctypes.c_void_p(None)
            keyring = _libc.syscall(ctypes.c_long(number), ctypes.c_int(_KEYCTL_JOIN_SESSION_KEYRING), none)
            _check(min(keyring, 0), "keyctl")
