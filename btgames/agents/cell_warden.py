"""PID 1 of a cell: starts the command and watches over it: orders, output, memory, and the end of all of it."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from btgames.agents import cell_command
from btgames.agents.cell_memory import Memory
from btgames.agents.talk import say

if TYPE_CHECKING:
    from btgames.agents.cell import Spec
    from btgames.agents.cell_log import Log

SAMPLE_S = 0.02
"""Seconds between two looks at the memory of what runs inside."""

COPY_BYTES = 4 << 20
"""What the command's process may take beyond what PID 1 has, on its way from the fork to the exec."""

CHUNK_BYTES = 65_536


class Warden:
    """One command, from its start to the end of the last process that came of it."""

    def __init__(self, spec: Spec, log: Log, orders: bytes = b"") -> None:
        """`orders` are lines of stdin that have been read already."""
        self._spec = spec
        self._log = log
        self._orders = orders
        self._own_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._memory = Memory(spec.writable)
        self._limit: str | None = None
        self._next_sample = 0.0

    def watch(self) -> int:
        """Run the command to the end of its last process; return 0, or 1 when it never began."""
        wake = _wake_on_children()
        # PID 1 must outlive what the terminal or a clumsy client sends to everybody.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        output, output_in = os.pipe()
        # Whoever runs inside may open this pipe too, and take away what it has just been said to hold.
        os.set_blocking(output, False)
        if self._spec.uid is not None:
            os.fchown(output_in, self._spec.uid, self._spec.uid)  # or it could not open /dev/stdout
        started = cell_command.start(self._spec, partial(_redirect, output_in))
        os.close(output_in)
        if started.at_s is None:
            say({"event": "failed", "who": started.who, "reason": started.reason})
            return 1
        say({"event": "exec", "at_s": started.at_s})
        if self._orders:
            self._obey(self._orders)
        self._listen(started.pid, output, wake)
        while data := _read(output):
            self._log.add(data)
        self._report_empty()
        return 0

    def _listen(self, main_pid: int, output: int, wake: int) -> None:
        """Take in output and orders until no process is left."""
        sources = [0, output, wake]
        while self._reap(main_pid):
            timeout = max(0.0, self._next_sample - time.monotonic())
            for source in select.select(sources, [], [], timeout)[0]:
                data = _read(source)
                if source == output and data:
                    self._log.add(data)
                elif source == 0:
                    self._obey(data or b"KILL")
                if data == b"":
                    sources.remove(source)
            self._sample()

    def _reap(self, main_pid: int) -> bool:
        """Collect who has ended; return False when nobody is left, orphaned daemons included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == main_pid:
                say({"event": "exit", "at_s": time.monotonic(), "status": os.waitstatus_to_exitcode(status)})
                if not self._spec.lingers:
                    self._obey(b"KILL")

    def _obey(self, orders: bytes) -> None:
        for name in orders.decode("ascii", "replace").split():
            # They may have ended in this instant: the next reaping says so.
            with contextlib.suppress(ProcessLookupError):
                # -1 is everybody in this PID namespace but PID 1.
                os.kill(-1, signal.Signals[f"SIG{name}"])

    def _sample(self) -> None:
        """See how much memory is in use; overrunning the limit ends everybody."""
        began = time.monotonic()
        if began < self._next_sample:
            return
        if self._memory.taken() > self._spec.memory_bytes and self._limit is None:
            self._limit = "memory"
            self._obey(b"KILL")
        # A crowd of processes takes long to add up: never spend more than a twentieth of the time on it.
        now = time.monotonic()
        self._next_sample = now + max(SAMPLE_S, 20 * (now - began))

    def _report_empty(self) -> None:
        now = time.monotonic()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The largest process (KiB) sees a peak that fell between two samples; but the command's process was a copy
        # of this one before its exec, and a little more, and the kernel does not forget that.
        largest = usage.ru_maxrss * 1024
        copy = self._own_rss + COPY_BYTES
        say(
            {
                "event": "empty",
                "at_s": now,
                "cpu_user_s": usage.ru_utime,
                "cpu_system_s": usage.ru_stime,
                "peak_rss_bytes": max(self._memory.peak_rss, largest if largest > copy else 0),
                "limit": self._limit,
            }
        )


def _wake_on_children() -> int:
    """Return a descriptor that can be read when a child has ended."""
    wake_out, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    os.set_blocking(wake_out, False)
    signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake_out


def _redirect(output_in: int) -> None:
    """Be the child: nothing to read, and all that is printed goes into one pipe."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output_in, 1)
    os.dup2(output_in, 2)


def _read(fd: int) -> bytes | None:
    """Return what is there, b"" at the end, None when it was there but is no more."""
    try:
        return os.read(fd, CHUNK_BYTES)
    except BlockingIOError:
        return None
