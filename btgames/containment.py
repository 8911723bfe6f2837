"""
How a command of a contestant is contained: what its cell (agents/cell.py) may see, as whom it runs, and running one.

The stopwatch starts a cell for the timed command; `run` starts one for everything else that a contestant's module
wants run, on this machine (installs) or on a host (preparations of a heat).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import btgames
from btgames import caller
from btgames.agents.cellroot import HOME
from btgames.contract import SYSTEM_PATH
from btgames.testbeds.precheck import USER_NAMESPACE, available_bytes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from btgames.hosts import Starter
    from btgames.hosts.namespace import NamespaceHost

_TOOLS_OWN = re.compile(
    r"(?:PIP|NPM_CONFIG|CARGO_HTTP|CARGO_NET|CARGO_REGISTRIES|CARGO_SOURCE|SSL_CERT|CURL_CA|REQUESTS_CA|NODE_EXTRA_CA)_.+"
    r"|GO(?:PROXY|NOPROXY|PRIVATE|SUMDB|NOSUMDB|INSECURE|VCS|FLAGS|TOOLCHAIN)|(?:HTTPS?|ALL|NO)_PROXY",
    re.IGNORECASE,
)
"""
Variables with which users tell package tools about mirrors, proxies and certificates; an install gets these of the
user's environment and nothing else: the rest may hold secrets.
"""
_SECRET = re.compile(r"TOKEN|AUTH|PASS|SECRET|CREDENTIAL|CLIENT_CERT|_KEY", re.IGNORECASE)

_MEMORY_BYTES = 4 << 30  # of all that runs in a cell together, at most; less where the machine has less

PASSING_UIDS = (61184, 65519)
"""Uids that systemd gives to passing services: nobody's files, mapped in containers, and hardly ever in use."""

_NOBODY = 65534
_CHUNK_BYTES = 65_536  # a pipe's capacity
_DRAIN_S = 5.0  # in which the end of a cell is seen on its pipe, too


@dataclass(frozen=True)
class Cell:
    """A cell to be started: how, and what is seen inside. Plain data, so that it can be handed to a child process."""

    argv: tuple[str, ...]  # starts agents/cell.py with the rights it needs
    uid: int | None  # what the command runs as; None: a user namespace without root
    installed: str  # the contestant's directory of installed things
    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    tmp_bytes: int = 64 << 20
    memory_bytes: int = _MEMORY_BYTES
    file_bytes: int = 16 << 30

    def spec(self) -> dict[str, Any]:
        """Return the cell's spec but for command and log."""
        return {
            "uid": self.uid,
            "read_only": list(self.read_only),
            "writable": list(self.writable),
            "tmp_bytes": self.tmp_bytes,
            "memory_bytes": self.memory_bytes,
            "file_bytes": self.file_bytes,
        }

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> dict[str, Any]:
        """Return the cell's `command`: the environment is a small one, with `env` added."""
        path = f"{self.installed}/venv/bin:{self.installed}/bin:{SYSTEM_PATH}"
        base = {"PATH": path, "HOME": HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "INSTALLED": self.installed}  # noqa: S108 - the cell's own
        return {"argv": list(argv), "env": {**base, **env}, "cwd": cwd}


@dataclass(frozen=True)
class Bounds:
    """What a machine grants the contestants of a race."""

    uid: int | None  # what they run as; None in a user namespace
    memory_bytes: int  # of all that runs in a cell together, at most


def passing_uid(rng: random.Random) -> int:
    """Return an unprivileged uid that hardly anybody uses: a race's own."""
    return rng.randint(*PASSING_UIDS)


def bounds_here(rng: random.Random) -> Bounds:
    """Return what this machine grants: no uid without the rights to become it."""
    uid = passing_uid(rng)
    return Bounds(uid if _may_become(uid) else None, memory_bytes(available_bytes()))


def _may_become(uid: int) -> bool:
    """Tell whether this is root, and not just of a user namespace that has no such uid."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    return os.geteuid() == 0 and any(int(first) <= uid < int(first) + int(count) for first, _, count in ranges)


def cell_here(installed: Path, read_only: Sequence[str]) -> Cell:
    """Return a cell on this machine, its network included, whose `installed` is writable: for an install."""
    argv: tuple[str, ...] = (sys.executable, "-m", "btgames.agents.cell")
    # Under sudo an install belongs to who called it; else to nobody in particular.
    uid, _ = caller.uid_gid() or (_NOBODY, _NOBODY)
    return Cell(
        argv if os.geteuid() == 0 else ("unshare", *USER_NAMESPACE, "--", *argv),
        uid if _may_become(uid) else None,
        str(installed),
        read_only=tuple(read_only),
        writable=(str(installed),),
        tmp_bytes=2 << 30,
        memory_bytes=memory_bytes(available_bytes()),
    )


def cell_on(host: Starter, bounds: Bounds, installed: str) -> Cell:
    """Return a cell on a race's host, whose `installed` is read-only: for the commands of a heat."""
    argv = (host.python, "-m", "btgames.agents.cell")
    return Cell(argv, bounds.uid, installed, read_only=(installed,), memory_bytes=bounds.memory_bytes)


def memory_bytes(available: int) -> int:
    """Return what a cell may take of so much memory."""
    return min(_MEMORY_BYTES, available * 3 // 4)


def from_here(cell: Cell, host: NamespaceHost) -> Cell:
    """Return a cell of `cell_on` to be started from this machine, as `run` does, and not by a program on the host."""
    return replace(cell, argv=tuple(host.command(cell.argv)))


def install_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return of the user's environment what package tools need: see `_TOOLS_OWN`."""
    return {name: value for name, value in environ.items() if _TOOLS_OWN.fullmatch(name) and not _SECRET.search(name)}


def run(
    cell: Cell,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    timeout_s: float,
    also: Callable[[bytes], None] = lambda _: None,
) -> tuple[int, str]:
    """
    Run a command in a cell to its end; return its exit status and what it printed (head and tail).

    The status is -9 when it took longer than `timeout_s` or overran a limit and was killed; 127 when it could not be
    started. `also` gets what it prints as it is printed, from another thread.
    """
    # The cell writes the command's output to its own stderr, and what it has to say itself to stdout.
    spec = {**cell.spec(), "command": cell.command(argv, env, cwd), "log": "/proc/self/fd/2", "lingers": False}
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as events:
        process = subprocess.Popen(
            cell.argv, stdin=pipe, stdout=events, stderr=pipe, env=_harness_env(), start_new_session=True
        )
        if process.stdin is None or process.stderr is None:
            raise AssertionError("Popen gives the pipes that it was asked for")
        printed = bytearray()
        reader = threading.Thread(target=_drain, args=(process.stderr, printed, also), daemon=True)
        reader.start()
        late = False
        try:
            # That it reads no more shows by what it said.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(spec).encode() + b"\n")
                process.stdin.flush()
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            # The end of its stdin makes the cell kill everything inside and end.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            reader.join(_DRAIN_S)
        events.seek(0)
        said = {event["event"]: event for event in map(json.loads, events.read().splitlines())}
        return _judge(said, printed.decode(errors="replace"), late=late)


def _drain(pipe: IO[bytes], printed: bytearray, also: Callable[[bytes], None]) -> None:
    """Take in what comes until nobody is left to write."""
    with pipe:
        while data := os.read(pipe.fileno(), _CHUNK_BYTES):
            printed += data
            also(data)


def _judge(said: Mapping[str, dict[str, Any]], printed: str, *, late: bool) -> tuple[int, str]:
    if "failed" in said:
        return 127, f"{printed}\n{said['failed']['reason']}".strip()
    if late:
        return -9, printed
    if "empty" not in said:
        return 127, f"{printed}\nits cell broke".strip()
    if (limit := said["empty"]["limit"]) is not None:
        return -9, f"{printed}\nended for using too much {limit}".strip()
    return int(said["exit"]["status"]), printed


def _harness_env() -> dict[str, str]:
    """Return the environment of the cell itself, which is ours: the command gets its own."""
    project = str(Path(btgames.__file__).resolve().parent.parent)
    return {"PATH": SYSTEM_PATH, "PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}


def with_paths(cell: Cell, *, read_only: Sequence[str] = (), writable: Sequence[str] = ()) -> Cell:
    """Return the cell with more to be seen inside."""
    return replace(cell, read_only=(*cell.read_only, *read_only), writable=(*cell.writable, *writable))
