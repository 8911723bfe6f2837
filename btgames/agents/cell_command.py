"""
The command in a cell: from a fork of PID 1, which may do anything there, to its exec, without rights and within limits.

The command gets a user namespace of its own in which no further one can be made: there it could mount as much memory
as it likes, and reach parts of the kernel that are nobody's business. Its limits count what runs inside, not what else
its user runs on this machine. And to PID 1, whose rights are those of the namespace around it, it is a stranger, even
where both belong to the same user: it may neither trace it nor look through its entries in /proc.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, NoReturn

from btgames.agents import cellroot, kernel

if TYPE_CHECKING:
    from btgames.agents.cell import Spec

_MAPPED = b"."
_STDERR = 2


@dataclass(frozen=True)
class Started:
    """What came of starting a command."""

    pid: int
    at_s: float | None = None  # CLOCK_MONOTONIC just before the exec; None: it never began
    who: str = ""  # is to blame that it never began: ``command`` (no such program, say) or ``cell``
    reason: str = ""


def start(spec: Spec, prepare: Callable[[], None]) -> Started:
    """Fork and exec the command. The child calls `prepare` first: it sees to stdin, stdout and stderr."""
    descent = _Descent(spec)
    said_out, said_in = os.pipe()  # closed by a successful exec, which is how its success is known
    child = os.fork()
    if child == 0:
        _exec(spec, descent, prepare, said_in)
    os.close(said_in)
    descent.assist(child)
    with open(said_out, "rb") as pipe:
        began, newline, problem = pipe.read().decode("utf-8", "replace").partition("\n")
    if not newline:
        return Started(child, who="cell", reason=f"the command cannot give up its rights: {began}")
    return Started(child, who="command", reason=problem.strip()) if problem else Started(child, at_s=float(began))


class _Descent:
    """The way from PID 1's rights to none. Made before the fork; the child walks it, its parent assists."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._ask_out, self._ask_in = os.pipe()
        self._answer_out, self._answer_in = os.pipe()

    def assist(self, child: int) -> None:
        """Be the parent: map the child's ids when it asks for that, which needs rights outside its namespace."""
        os.close(self._ask_in)
        os.close(self._answer_out)
        if os.read(self._ask_out, 1):
            with contextlib.suppress(BrokenPipeError):
                os.write(self._answer_in, self._map(child))
        os.close(self._ask_out)
        os.close(self._answer_in)

    def _map(self, child: int) -> bytes:
        uid, gid = (os.getuid(), os.getgid()) if self._spec.uid is None else (self._spec.uid, self._spec.uid)
        try:
            _write(f"/proc/{child}/uid_map", f"{self._inside} {uid} 1")
            _write(f"/proc/{child}/gid_map", f"{self._inside} {gid} 1")
        except OSError as error:
            return str(error).encode()
        return _MAPPED

    @property
    def _inside(self) -> int:
        """The uid and gid that the command sees as its own."""
        return cellroot.INSIDE_UID if self._spec.uid is None else self._spec.uid

    def walk(self) -> None:
        """Be the child: give up every right, accept every limit; OSError where the kernel refuses."""
        os.close(self._ask_out)
        os.close(self._answer_in)
        # Should memory run out all the same, the kernel ends this first.
        _write("/proc/self/oom_score_adj", "1000")
        if self._spec.uid is not None:
            os.setgroups([])
        self._enter_user_namespace()
        kernel.drop_bounding_set()
        os.setresgid(self._inside, self._inside, self._inside)
        os.setresuid(self._inside, self._inside, self._inside)
        kernel.no_new_privileges()
        kernel.leave_session_keyring()
        _accept_limits(self._spec)

    def _enter_user_namespace(self) -> None:
        try:
            kernel.unshare(kernel.CLONE_NEWUSER)
        except OSError:
            if self._spec.uid is None:
                raise
            return  # where root gets none, nobody makes one further in
        os.write(self._ask_in, b"?")
        answer = os.read(self._answer_out, 4096)
        if answer != _MAPPED:
            raise OSError(answer.decode("utf-8", "replace") or "its parent has ended")
        _write("/proc/sys/user/max_user_namespaces", "0")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _accept_limits(spec: Spec) -> None:
    for what, amount in (
        (resource.RLIMIT_NPROC, spec.processes),
        (resource.RLIMIT_NOFILE, spec.open_files),
        (resource.RLIMIT_FSIZE, spec.file_bytes),
        (resource.RLIMIT_DATA, spec.memory_bytes),
        # No real time, no better place in the queue than others, whatever the user may have.
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
        # Of no core file one byte is written, and with 1 instead of 0 no crash handler runs either (core(5)).
        (resource.RLIMIT_CORE, 1),
    ):
        _, most = resource.getrlimit(what)
        limit = amount if most == resource.RLIM_INFINITY else min(amount, most)
        resource.setrlimit(what, (limit, limit))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _exec(spec: Spec, descent: _Descent, prepare: Callable[[], None], said_in: int) -> NoReturn:
    """Be the child; what goes wrong before a newline is the cell's fault, after it the command's."""
    argv = spec.command["argv"]
    try:
        prepare()
        descent.walk()
        _close_on_exec()
    except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happened
        os.write(said_in, str(error).replace("\n", " ").encode())
        os._exit(126)
    what = spec.command["cwd"]
    try:
        os.chdir(what)
        os.umask(0o022)
        what = argv[0]
        os.write(said_in, f"{time.monotonic()}\n".encode())
        os.execvpe(what, argv, spec.command["env"])
    except (OSError, ValueError) as error:
        os.write(said_in, f"\n{what}: {error.strerror if isinstance(error, OSError) else error}".encode())
    os._exit(127)


def _close_on_exec() -> None:
    """Keep what this process has open to itself, whoever may have left it open to be inherited."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > _STDERR:
            with contextlib.suppress(OSError):  # the listing's own descriptor
                os.set_inheritable(int(name), False)
