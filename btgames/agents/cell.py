"""
The cell: runs one command of a contestant where it can do no harm, and tells when it began and when all of it ended.

    stopwatch -> cell -> init (PID 1 of a new PID, mount, IPC and UTS namespace) -> the command, without any rights

The first line of stdin is the spec (`Spec`). Each later line, INT, TERM or KILL, is sent as a signal to every process
inside; when stdin ends, everything inside is killed. Stdout gets one JSON object a line, its times CLOCK_MONOTONIC:

- ``exec``: the command's final exec succeeded; ``at_s`` was taken just before it
- ``failed``: it never began; ``who`` is ``command`` (no such program, say) or ``cell``; ``reason``
- ``exit``: the command itself ended; ``status`` is its exit status, or -N when signal N ended it
- ``empty``: no process is left inside; CPU seconds and peak RSS of all of them; ``limit`` names one that was overrun

What is inside sees a fresh root (`cellroot`): the system's programs, the paths named in the spec, nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

from btgames.agents import cell_command, cellroot, kernel
from btgames.agents.cell_log import Log
from btgames.agents.cell_warden import Warden
from btgames.agents.talk import say


@dataclass(frozen=True)
class Spec:
    """What to run and within which bounds."""

    command: Dict[str, Any]  # argv: list; env: dict, the whole environment; cwd: a path inside
    uid: int | None  # what the command runs as; None: another uid in a user namespace of its own (no root needed)
    read_only: List[str] = field(default_factory=list)  # seen inside at their own paths
    writable: List[str] = field(default_factory=list)
    log: str | None = None  # file for what the command prints, outside; None: thrown away
    log_bytes: int = 1 << 20  # kept of the beginning, and as much of the end
    processes: int = 512  # threads count too
    open_files: int = 4096  # of one process
    memory_bytes: int = 4 << 30  # of all processes together
    file_bytes: int = 16 << 30  # of one file
    tmp_bytes: int = 64 << 20  # of /tmp, the home directory included
    lingers: bool = True  # what the command leaves running when it ends may run on; else it is killed
    interactive: bool = False  # stdin, stdout and stderr are the command's; all that we say there is why it failed


def main() -> int:
    """Make the cell, wait for it, and end with its init's exit status."""
    kernel.die_with_parent(signal.SIGKILL)
    try:
        text, orders = _read_spec()
        spec = Spec(**json.loads(text))
    except (OSError, ValueError, TypeError) as error:
        return _fail("cell", f"no spec: {error}")
    try:
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    except OSError as error:
        return _fail("cell", f"no namespaces: {error}")
    child = os.fork()
    if child == 0:
        kernel.die_with_parent(signal.SIGKILL)
        os._exit(_init(spec, orders))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read_spec() -> Tuple[bytes, bytes]:
    """Return the spec, and what of the lines after it came with it."""
    if len(sys.argv) > 1:
        with open(sys.argv[1], "rb") as file:
            return file.read(), b""
    text = bytearray()
    while b"\n" not in text:
        chunk = os.read(0, 65536)
        if not chunk:
            raise ValueError("stdin ended before it did")
        text += chunk
    line, _, orders = bytes(text).partition(b"\n")
    return line, orders


def _fail(who: str, reason: str) -> int:
    say({"event": "failed", "who": who, "reason": reason})
    return 1


def _init(spec: Spec, orders: bytes) -> int:
    """Build the root, start the command, and live until nothing else does: the life of PID 1."""
    try:
        log = Log(spec.log, spec.log_bytes)
        cellroot.build(spec.read_only, spec.writable, spec.uid, spec.tmp_bytes)
    except OSError as error:
        return _fail("cell", f"cannot build its root: {error}")
    if spec.interactive:
        return _interact(spec)
    try:
        return Warden(spec, log, orders).watch()
    finally:
        log.close()


def _interact(spec: Spec) -> int:
    """Give the command our stdin, stdout and stderr; its end is the end of all inside, and its status ours."""
    started = cell_command.start(spec, _take_the_terminal)
    if started.reason:
        sys.stderr.write(f"{started.reason}\n")
    while True:
        pid, status = os.wait()
        if pid == started.pid:
            return os.waitstatus_to_exitcode(status)


def _take_the_terminal() -> None:
    """Have a session of its own: a shell's job control needs a terminal that is its session's, made by the harness."""
    os.setsid()
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


if __name__ == "__main__":
    sys.exit(main())
