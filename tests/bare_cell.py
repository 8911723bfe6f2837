"""
A cell that contains nothing: speaks the protocol of `btgames.agents.cell`, for tests and benchmarks of the stopwatch.

The spec's field ``mode`` makes it misbehave: ``dies`` right after the exec, ``mute`` never says a word, ``babbles``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def say(**event: object) -> None:
    """Write one event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def descendants(pid: int) -> list[int]:
    """Return every process beneath `pid`, daemons included, as this process adopts them."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def tell_all(name: str) -> None:
    """Send a signal to every process of the contestant."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[f"SIG{name}"])


def start(command: dict[str, Any], log: str | None) -> int:
    """Start the command and say so; return its PID, 0 when there is no such program."""
    with open(log or os.devnull, "wb") as output:  # noqa: PTH123 - None is no path
        at_s = time.monotonic()
        try:
            process = subprocess.Popen(
                command["argv"], env=command["env"], cwd=command["cwd"], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one thread
            )  # fmt: skip
        except OSError as error:
            say(event="failed", who="command", reason=f"{command['argv'][0]}: {error.strerror}")
            return 0
    say(event="exec", at_s=at_s)
    process.returncode = 0  # waited for below, with everybody else
    return process.pid


def reap(main: int) -> bool:
    """Collect who has ended; return whether somebody is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == main:
            say(event="exit", at_s=time.monotonic(), status=os.waitstatus_to_exitcode(status))


def attend(main: int, wake: int) -> None:
    """Do what stdin says until nobody is left."""
    sources = [0, wake]
    while reap(main):
        for source in select.select(sources, [], [])[0]:
            data = os.read(source, 4096)
            if source == 0:
                for name in data.decode().split() if data else ["KILL"]:
                    tell_all(name)
                if not data:
                    sources.remove(0)


def run() -> None:
    """Be a cell."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1 << 16)
    spec = json.loads(line)
    mode = spec.get("mode")
    if mode == "mute":
        os.read(0, 1)
        return
    if mode == "babbles":
        sys.stdout.write("Hello, world\n")
        return
    wake, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    main = start(spec["command"], spec["log"])
    if not main:
        return
    if mode == "dies":
        tell_all("KILL")
        os._exit(9)
    attend(main, wake)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * 1024
    say(
        event="empty", at_s=time.monotonic(), cpu_user_s=used.ru_utime, cpu_system_s=used.ru_stime,
        peak_rss_bytes=peak, limit=spec.get("limit"),
    )  # fmt: skip


if __name__ == "__main__":
    run()
