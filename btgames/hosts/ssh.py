"""A host on a machine that is reached over SSH, within the private namespaces that a race has there (agents/tenant)."""

from __future__ import annotations

import contextlib
import re
import shlex
import threading
import time
from typing import TYPE_CHECKING

from btgames.errors import GamesError, HostLostError
from btgames.hosts import Finished, failure, last_lines
from btgames.hosts.namespace import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import paramiko

    from btgames.hosts.line import Line
    from btgames.hosts.namespace import NamespaceHost

_CHUNK_BYTES = 65_536
_STDERR_TAIL_BYTES = 4_096
_LOOK_S = 0.1  # between two looks at a stderr that nobody waits for
_KILL_S = 5.0
_ENDS_S = 0.1  # from a connection's telling its channels that it ends until it has ended
_SIGNALLED = 128  # of a shell's exit status: what is above is the number of a signal
_MOST_SIGNALS = 64

# A line of stderr tells the process group's number, by which all of it can be killed; sudo's own words may come before.
_LEADER = 'echo "btgames group $$" >&2; "$@"; exit $?'
_GROUP = re.compile(rb"^btgames group ([0-9]+)\n", re.MULTILINE)


class SshMachine:
    """A machine at the other end of a line: commands as root, outside of any race."""

    def __init__(self, line: Line, environment: Mapping[str, str]) -> None:
        """`environment` is all that commands find in theirs."""
        self.line = line
        self._environment = dict(environment)

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.line.remote.name

    @property
    def python(self) -> str:
        """The machine's interpreter."""
        return "python3"

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> SshProcess:
        """Start a command and return at once; see `btgames.hosts.Starter`."""
        variables = [f"{name}={value}" for name, value in {**self._environment, **(env or {})}.items()]
        sudo = [] if self.line.remote.user == "root" else ["sudo", "-n", "--"]
        command = [*sudo, "env", "-i", *variables, "setsid", "-w", "sh", "-c", _LEADER, "sh", *argv]
        return SshProcess(self, self.line.channel(f"exec {shlex.join(command)}"))

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002 - the name that subprocess.run uses
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> Finished:
        """Run a command to its end; see `btgames.hosts.Host.run`."""
        process = self.start(argv)
        try:
            out = process.communicate(input, timeout_s)
        except BaseException:  # Ctrl-C, say
            process.stop(grace_s=0)
            raise
        status = process.stop(grace_s=0 if out is None else timeout_s)
        if process.lost:
            raise process.loss()
        if out is None:
            raise failure(self.name, argv, f"was killed after {timeout_s:g} s", process.tail)
        if check and status:
            raise failure(self.name, argv, f"ended with status {status}", process.tail)
        return Finished(status, out, process.tail)

    def put(self, data: bytes, path: str, mode: int = 0o644) -> None:
        """Write a file, making its folders; a file or symlink of that name is replaced, not written through."""
        # Not install(1) from /dev/stdin: sshd's is a socket, which cannot be opened by name.
        script = 'mkdir -p -- "$(dirname -- "$1")" && rm -f -- "$1" && umask 077 && cat > "$1" && chmod "$2" -- "$1"'
        self.run(["sh", "-c", script, "put", path, f"{mode:o}"], input=data, timeout_s=300.0)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return self.run(["cat", "--", path]).out

    def kill(self, group: int) -> None:
        """Kill a process group there, if the machine can be reached."""
        sudo = "" if self.line.remote.user == "root" else "sudo -n -- "
        # Not "-- -GROUP", which Debian's sh does not understand.
        channel = self.line.channel(f"{sudo}sh -c 'kill -KILL -{group}'", 0.0)
        with channel:
            channel.settimeout(_KILL_S)
            channel.makefile_stderr("rb").read()


class SshHost(SshMachine):
    """A host of a race; see `btgames.hosts.Host`."""

    def __init__(self, line: Line, environment: Mapping[str, str], inner: Callable[[], NamespaceHost]) -> None:
        """`inner` gives the host as it is at the moment, seen from its machine: one that was lost comes back."""
        super().__init__(line, {**environment, "PATH": PATH})
        self._inner = inner

    @property
    def within(self) -> NamespaceHost:
        """The host as programs on its own machine reach it."""
        return self._inner()

    @property
    def name(self) -> str:
        """Its name in the race."""
        return self.within.name

    @property
    def address(self) -> str:
        """Its private address."""
        return self.within.address

    @property
    def folder(self) -> str:
        """Its scratch folder, in memory."""
        return self.within.folder

    @property
    def python(self) -> str:
        """An interpreter there that runs our agents."""
        return self.within.python

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> SshProcess:
        """Start a command within the race's namespaces."""
        within = self.within
        return super().start(within.command(argv), env={**within.environment(), **(env or {})})


class SshProcess:
    """A process at the other end of a channel; see `btgames.hosts.Process`."""

    def __init__(self, machine: SshMachine, channel: paramiko.Channel) -> None:
        self._machine = machine
        self._channel = channel
        self._unread = b""
        self._group: int | None = None
        self._stderr = b""
        self._status: int | None = None
        self._stopped = False
        self._was_lost = False  # when it was stopped

    @property
    def tail(self) -> bytes:
        """The end of its stderr."""
        self._take_stderr()
        return self._stderr

    @property
    def lost(self) -> bool:
        """Whether the connection broke before it was known how the process ended."""
        channel = self._channel
        if self._stopped or not channel.closed or channel.exit_status >= 0:
            return self._was_lost
        # Where a machine ends a session properly, the end of stdout comes first; or the connection ends right now.
        if channel.eof_received:
            channel.get_transport().join(_ENDS_S)
        return not (channel.eof_received and channel.get_transport().is_active())

    def loss(self) -> HostLostError:
        """Return the error of a connection that broke."""
        return HostLostError(f"{self._machine.name}: the connection broke")

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write to its stdin. Raises OSError when it no longer reads, TimeoutError when it does not read in time."""
        self._channel.settimeout(timeout_s)
        try:
            self._channel.sendall(data)
        except EOFError as error:  # nothing can be sent any more
            raise self.loss() from error
        except OSError as error:
            if self.lost:
                raise self.loss() from error
            raise

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next line of its stdout with its newline; None when none came in time, b"" when stdout ended."""
        deadline = time.monotonic() + timeout_s
        chunks = [self._unread]
        while b"\n" not in chunks[-1]:
            chunk = self._chunk(deadline)
            if not chunk:
                self._unread = b"".join(chunks)
                return chunk
            chunks.append(chunk)
        line, newline, self._unread = b"".join(chunks).partition(b"\n")
        return line + newline

    def communicate(self, data: bytes, timeout_s: float) -> bytes | None:
        """Give it all of its stdin and return all of its stdout; None when it has not ended that within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        writer = threading.Thread(target=self._write, args=(data, deadline), daemon=True)
        writer.start()
        chunks = []
        while chunk := self._chunk(deadline):
            chunks.append(chunk)
        return None if chunk is None else b"".join(chunks)

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs; -1 where nobody can tell since the connection broke."""
        if self._status is None and self._channel.exit_status_ready():
            status = self._channel.recv_exit_status()
            signalled = _SIGNALLED < status <= _SIGNALLED + _MOST_SIGNALS
            self._status = _SIGNALLED - status if signalled else status
        return self._status

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends and return its exit status, or None when it still runs after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self.poll() is None and (left := deadline - time.monotonic()) > 0:
            self._channel.status_event.wait(min(_LOOK_S, left))
            self._take_stderr()  # it may wait for that
        return self._status

    def stop(self, grace_s: float = 1.0) -> int:
        """End its stdin, then, after `grace_s`, kill it; return its exit status. Fine to call again."""
        if self._status is not None and self._channel.closed:
            return self._status
        with contextlib.suppress(OSError, EOFError):  # closed already
            self._channel.shutdown_write()
        status = self.wait(grace_s)
        self._take_stderr()
        if status is None:
            self._kill()
            status = self.wait(_KILL_S)
        self._was_lost, self._stopped = self.lost, True
        with contextlib.suppress(EOFError):  # the same
            self._channel.close()
        self._status = -1 if status is None else status
        return self._status

    def last_words(self) -> str:
        """Return the last few lines of its stderr."""
        return last_lines(self.tail)

    def _chunk(self, deadline: float) -> bytes | None:
        """Return what stdout has next; None at the deadline, b"" at its end; stderr is taken in meanwhile."""
        while True:
            self._take_stderr()
            left = deadline - time.monotonic()
            self._channel.settimeout(max(0.0, min(_LOOK_S, left)))
            try:
                chunk: bytes = self._channel.recv(_CHUNK_BYTES)
            except TimeoutError:
                if left <= 0:
                    return None
                continue
            if not chunk and self.lost:
                raise self.loss()
            return chunk

    def _write(self, data: bytes, deadline: float) -> None:
        at = 0
        with contextlib.suppress(OSError, EOFError):  # it does not read: its status tells why
            while at < len(data) and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):  # the reader's: a channel has one for both directions
                    sent = self._channel.send(data[at : at + _CHUNK_BYTES])
                    if not sent:  # it was stopped
                        return
                    at += sent
            self._channel.shutdown_write()

    def _take_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(_CHUNK_BYTES)
            if self._group is None and (found := _GROUP.search(self._stderr)):
                self._group = int(found[1])
                self._stderr = self._stderr[: found.start()] + self._stderr[found.end() :]
            self._stderr = self._stderr[-_STDERR_TAIL_BYTES:]

    def _kill(self) -> None:
        if self._group is None:
            return
        with contextlib.suppress(GamesError, OSError, EOFError):  # a machine that is gone has ended it
            self._machine.kill(self._group)
