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

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import sys
import termios
import time
from dataclasses import dataclass, field
from typing import Any, Dict, List, NoReturn, Tuple

from btgames.agents import cellroot, kernel
from btgames.agents.talk import say

SAMPLE_S = 0.02
"""Seconds between two looks at the memory of what runs inside."""


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
    memory_bytes: int = 4 << 30  # of all processes together
    file_bytes: int = 16 << 30  # of one file
    tmp_bytes: int = 64 << 20  # of /tmp, the home directory included
    interactive: bool = False  # stdin, stdout and stderr are the command's; all that we say there is why it failed


def main() -> int:
    """Make the cell, wait for it, and end with its init's exit status."""
    kernel.die_with_parent(signal.SIGKILL)
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            spec = Spec(**json.load(file))
    else:
        spec = Spec(**json.loads(_first_line()))
    try:
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    except OSError as error:
        return _fail("cell", f"no namespaces: {error}")
    child = os.fork()
    if child == 0:
        kernel.die_with_parent(signal.SIGKILL)
        os._exit(_init(spec))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _first_line() -> bytes:
    """Read the spec byte by byte from the unbuffered pipe, so that the lines after it stay in the pipe."""
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            sys.exit("cell: stdin ended before the spec")
        line += chunk
    return bytes(line)


def _fail(who: str, reason: str) -> int:
    say({"event": "failed", "who": who, "reason": reason})
    return 1


def _init(spec: Spec) -> int:
    """Build the root, start the command, and live until nothing else does: the life of PID 1."""
    log = Log(spec.log, spec.log_bytes)
    try:
        cellroot.build(spec.read_only, spec.writable, spec.uid, spec.tmp_bytes)
    except OSError as error:
        return _fail("cell", f"cannot build its root: {error}")
    if spec.interactive:
        return _interact(spec)
    warden = Warden(spec, log)
    try:
        return warden.watch()
    finally:
        log.close()


def _interact(spec: Spec) -> int:
    """Give the command our stdin, stdout and stderr; its end is the end of all inside, and its status ours."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.isatty(0):
                # A shell's job control needs a terminal that is its session's own; the harness made it for us.
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            _become(spec)
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happened
            sys.stderr.write(f"cannot give up its rights: {error}\n")
            os._exit(126)
        _exec(spec, -1)
    # See `Warden.watch`: nothing inside may look at what PID 1 has.
    kernel.hide_from_own_user()
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


class Log:
    """The head and the tail of what the command prints; what lies between is counted, not kept."""

    def __init__(self, path: str | None, keep_bytes: int) -> None:
        # Opened before the root changes: the file lies outside.
        self._fd = os.open(path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._keep_bytes = keep_bytes
        self._head_room = keep_bytes
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        """Take in some output; the head is written at once, so that it can be followed live."""
        head, rest = data[: self._head_room], data[self._head_room :]
        os.write(self._fd, head)
        self._head_room -= len(head)
        self._tail += rest
        surplus = len(self._tail) - self._keep_bytes
        # Twice the tail is kept before it is cut, so that a flood of small writes is not a flood of copies.
        if surplus > self._keep_bytes:
            self._left_out += surplus
            del self._tail[:surplus]

    def close(self) -> None:
        """Write the tail, after a line that says how much was left out."""
        surplus = max(0, len(self._tail) - self._keep_bytes)
        left_out = self._left_out + surplus
        if left_out:
            os.write(self._fd, f"\n[... {left_out} bytes left out ...]\n".encode())
        os.write(self._fd, self._tail[surplus:])
        os.close(self._fd)


class Warden:
    """Starts the command as PID 1's child and watches over it: signals, output, memory, and the end of all of it."""

    def __init__(self, spec: Spec, log: Log) -> None:
        self._spec = spec
        self._log = log
        self._own_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._peak_rss = 0
        self._limit: str | None = None
        self._next_sample = 0.0
        self._page = os.sysconf("SC_PAGE_SIZE")

    def watch(self) -> int:
        """Run the command to the end of its last process; return 0, or 1 when it never began."""
        wake_out, wake_in = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake_out, False)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # PID 1 must outlive what the terminal or a clumsy client sends to everybody.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        main_pid, output, problem = _spawn(self._spec)
        if problem:
            return _fail("command", problem)
        # From here on nothing inside may look at PID 1's descriptors, although without root it is the same user.
        kernel.hide_from_own_user()
        sources = [0, output, wake_out]
        while self._reap(main_pid):
            timeout = max(0.0, self._next_sample - time.monotonic())
            for source in select.select(sources, [], [], timeout)[0]:
                data = _read(source)
                if source == output:
                    self._log.add(data)
                elif source == 0:
                    self._obey(data)
                if not data and source != wake_out:
                    sources.remove(source)
            self._sample()
        self._drain(output)
        self._report_empty()
        return 0

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

    def _obey(self, data: bytes) -> None:
        names = data.decode("ascii", "replace").split() if data else ["KILL"]
        for name in names:
            # They may have ended in this instant: the next reaping says so.
            with contextlib.suppress(ProcessLookupError):
                # -1 is everybody in this PID namespace but PID 1.
                os.kill(-1, signal.Signals[f"SIG{name}"])

    def _sample(self) -> None:
        """Add up the memory of everybody inside; overrunning the limit ends them all."""
        began = time.monotonic()
        if began < self._next_sample:
            return
        resident = private = 0
        for name in os.listdir("/proc"):
            if name.isdigit() and name != "1":
                pages, shared = _memory(name)
                resident += pages
                private += pages - shared
        self._peak_rss = max(self._peak_rss, resident * self._page)
        if private * self._page > self._spec.memory_bytes and self._limit is None:
            self._limit = "memory"
            self._obey(b"KILL")
        # A crowd of processes takes long to add up: never spend more than a twentieth of the time on it.
        now = time.monotonic()
        self._next_sample = now + max(SAMPLE_S, 20 * (now - began))

    def _drain(self, output: int) -> None:
        os.set_blocking(output, False)
        while data := _read(output):
            self._log.add(data)

    def _report_empty(self) -> None:
        now = time.monotonic()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The largest process (KiB) sees a peak that fell between two samples; but the command's process was a copy
        # of this one before its exec, and the kernel does not forget that.
        largest = usage.ru_maxrss * 1024
        say(
            {
                "event": "empty",
                "at_s": now,
                "cpu_user_s": usage.ru_utime,
                "cpu_system_s": usage.ru_stime,
                "peak_rss_bytes": max(self._peak_rss, largest if largest > self._own_rss else 0),
                "limit": self._limit,
            }
        )


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def _memory(pid: str) -> Tuple[int, int]:
    """Return (resident, shared) pages of a process; zeros when it has just ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return 0, 0
    return (int(fields[1]), int(fields[2])) if fields else (0, 0)


def _spawn(spec: Spec) -> Tuple[int, int, str]:
    """Fork and exec the command; return its PID, the pipe of its output, and why it could not start (or "")."""
    output_out, output_in = os.pipe()
    began_out, began_in = os.pipe()  # closed by a successful exec, which is how its success is known
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(output_in, 1)
            os.dup2(output_in, 2)
            _become(spec)
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happened
            os.write(began_in, f"cannot give up its rights: {error}".encode())
            os._exit(126)
        _exec(spec, began_in)
    os.close(output_in)
    os.close(began_in)
    message = b""
    while chunk := os.read(began_out, 4096):
        message += chunk
    os.close(began_out)
    at_s, _, problem = message.decode("utf-8", "replace").partition("\n")
    if not problem and at_s.replace(".", "").isdigit():
        say({"event": "exec", "at_s": float(at_s)})
        return child, output_out, ""
    return child, output_out, problem or at_s


def _become(spec: Spec) -> None:
    """Give up every right and accept every limit; called in the command's process, just before its exec."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    if spec.uid is None:
        _leave_user_namespace()
    else:
        os.setgroups([])
        os.setresgid(spec.uid, spec.uid, spec.uid)
        os.setresuid(spec.uid, spec.uid, spec.uid)
    kernel.no_new_privileges()
    for what, amount in (
        (resource.RLIMIT_NPROC, spec.processes),
        (resource.RLIMIT_FSIZE, spec.file_bytes),
        (resource.RLIMIT_DATA, spec.memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (amount, amount))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _leave_user_namespace() -> None:
    """
    Without root: be uid 1000 of a user namespace in which no further one can be made.

    The process is then a stranger to PID 1, which has its rights in the namespace around it: it may neither trace it
    nor look through its /proc entries, although both belong to the same user outside.
    """
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (
        ("self/setgroups", "deny"),
        ("self/uid_map", f"{cellroot.INSIDE_UID} {uid} 1"),
        ("self/gid_map", f"{cellroot.INSIDE_UID} {gid} 1"),
        ("sys/user/max_user_namespaces", "0"),
    ):
        with open(f"/proc/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _exec(spec: Spec, began_in: int) -> NoReturn:
    argv, env = spec.command["argv"], spec.command["env"]
    try:
        os.chdir(spec.command["cwd"])
        os.umask(0o022)
        if began_in >= 0:
            os.write(began_in, f"{time.monotonic()}\n".encode())
        os.execvpe(argv[0], argv, env)
    except (OSError, ValueError) as error:
        message = f"{argv[0]}: {error.strerror if isinstance(error, OSError) else error}"
        if began_in >= 0:
            os.write(began_in, message.encode())
        else:
            sys.stderr.write(message + "\n")
    os._exit(127)


if __name__ == "__main__":
    sys.exit(main())
