"""
How Debian's opentracker is run for one heat: the tracker of 2013, and of much of the real world.

It is nobody from its start: were it root, it would become somebody else by itself, and the kernel would forget that it
is to die with the process that started it. A user namespace in which only root exists has nobody to become: there it is
started in a further one, in which it is not root to begin with. It changes its directory to `tracker.rootdir` before it
reads its whitelist, whose name is relative to that; nobody must be able to read there. Source: its drop_privileges(),
and trying.

Other than the referee it tells an asker of itself too, and keeps no log. Its scrape registers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePath

USER_ID = 65534
"""
Of nobody, in Debian.
"""

_INFO_HASH_DIGITS = 40


@dataclass(frozen=True)
class Plan:
    """One process for one heat. `directory` needs mode 0755 and the files 0644: see above."""

    directory: PurePath
    files: Mapping[str, str]  # name in `directory` -> text
    argv: tuple[str, ...]


def only_root_exists(uid_map: str) -> bool:
    """Whether a user namespace lacks the user to become; takes the text of ``/proc/self/uid_map``."""
    ranges = (line.split() for line in uid_map.splitlines())
    return not any(int(first) <= USER_ID < int(first) + int(count) for first, _outside, count in ranges)


def plan(directory: PurePath, address: str, port: int, info_hash: str, *, only_root: bool = False) -> Plan:
    """
    Return what serves one info hash, in hex, at one address and port (from 1024 on), over HTTP and UDP.

    The directory is this heat's alone and will hold the plan's files; `only_root` is what `only_root_exists` says of
    the host.
    """
    if len(info_hash) != _INFO_HASH_DIGITS or not set(info_hash.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"not an info hash in hex: {info_hash!r}")
    config = f"listen.tcp_udp {address}:{port}\naccess.whitelist whitelist\ntracker.rootdir {directory}\n"
    nobody: tuple[str, ...] = ("setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups")
    if only_root:
        nobody = ("unshare", "--user", f"--map-user={USER_ID}", f"--map-group={USER_ID}", "setpriv")
    return Plan(
        directory,
        {"opentracker.conf": config, "whitelist": f"{info_hash.lower()}\n"},
        (*nobody, "--pdeathsig=KILL", "opentracker", "-f", str(directory / "opentracker.conf")),
    )
