"""Processes that are spoken to over pipes, with deadlines, and ended whole."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from btgames.hosts import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHUNK_BYTES = 65_536  # a pipe's capacity
_STDERR_TAIL_BYTES = 4_096
_REAP_S = 1.0  # in which nsenter or unshare starts the one it waits for, and ends after it


class Entry(NamedTuple):
    """One process of this machine, from /proc/PID/stat."""

    pid: int
    state: str  # Z is a zombie
    parent: int
    session: int


def processes() -> Iterator[Entry]:
    """Give all processes of this machine that there are at the moment."""
    # Not a glob: that looks at each file first, and fails when its process ends in that instant.
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                # The name, in parentheses, may hold anything.
                fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:  # ended meanwhile
                continue
            yield Entry(int(process.name), fields[0], int(fields[1]), int(fields[3]))


def kill_session(popen: subprocess.Popen[bytes]) -> int:
    """
    Kill all of a session whose leader is a child of ours, and return the leader's status.

    The leader is nsenter or unshare, and comes last: it reaps the one it waits for. Were it killed first, that one
    would be left to the first process of the machine, which in a container may reap late or never, and until then
    the keeper cannot end.
    """
    deadline = time.monotonic() + _REAP_S
    while popen.poll() is None and time.monotonic() < deadline:
        # Again and again: one may fork while we look, the leader itself to begin with.
        for member in processes():
            if member.session == popen.pid != member.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(0.005)
    popen.kill()
    return popen.wait()


class PipedProcess:
    """A local process in a session of its own (Ctrl-C is the harness's alone); see `btgames.hosts.Process`."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], *, waits: bool = True) -> None:
        """
        Start it. Its stderr goes to a file without a name, so nothing is left behind however we end.

        `waits` is whether it only waits for another process, as nsenter and unshare do: see `kill_session`.
        """
        self._waits = waits
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process, closed by stop
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=env,
            bufsize=0,
            start_new_session=True,
        )
        if self._popen.stdin is None or self._popen.stdout is None:
            raise AssertionError("Popen gives the pipes that it was asked for")
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._unread = b""
        self._words = ""

    @property
    def pid(self) -> int:
        """Its process id, as this machine sees it."""
        return self._popen.pid

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write to its stdin. Raises OSError when it no longer reads, TimeoutError when it does not read in time."""
        if self._stdin.closed:
            raise BrokenPipeError("stopped already")
        deadline = time.monotonic() + timeout_s
        rest = memoryview(data)
        while rest:
            if not _ready(self._stdin.fileno(), select.POLLOUT, deadline):
                raise TimeoutError("stdin is full and nobody reads it")
            rest = rest[os.write(self._stdin.fileno(), rest[:_CHUNK_BYTES]) :]

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next line of its stdout with its newline; None when none came in time, b"" when stdout ended."""
        deadline = time.monotonic() + timeout_s
        chunks = [self._unread]
        while b"\n" not in chunks[-1]:
            if self._stdout.closed or not _ready(self._stdout.fileno(), select.POLLIN, deadline):
                self._unread = b"".join(chunks)
                return b"" if self._stdout.closed else None
            chunk = os.read(self._stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                self._unread = b"".join(chunks)
                return b""
            chunks.append(chunk)
        line, newline, self._unread = b"".join(chunks).partition(b"\n")
        return line + newline

    def poll(self) -> int | None:
        """Return its exit status (-N when signal N ended it), or None while it runs."""
        return self._popen.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends and return its exit status, or None when it still runs after `timeout_s`."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float = 1.0) -> int:
        """End its stdin, then, after `grace_s`, kill it; return its exit status. Fine to call again."""
        self._stdin.close()
        status = self.wait(grace_s)
        if status is None and not self._waits:
            os.killpg(self._popen.pid, signal.SIGKILL)  # and its children, if they did not leave its group
            status = self._popen.wait()
        elif status is None:
            status = kill_session(self._popen)
        if not self._stderr.closed:
            self._words = self.last_words()
            self._stderr.close()
            self._stdout.close()
        return status

    def last_words(self) -> str:
        """Return the last few lines of its stderr."""
        if self._stderr.closed:
            return self._words
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _STDERR_TAIL_BYTES, max(0, size - _STDERR_TAIL_BYTES))
        return last_lines(tail)


def _ready(fd: int, event: int, deadline: float) -> bool:
    """Wait until the file descriptor is ready, or its other end is gone; False at the deadline (monotonic seconds)."""
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
