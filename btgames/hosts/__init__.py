"""
One protocol for every host: run a command, start a process, put and get files. And `Agent`, which talks to ours.

Everything above this layer knows hosts by this protocol only; whether one is a network namespace or a machine far away
is the testbed's business.
"""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from btgames.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from btgames.hosts.namespace import NamespaceHost


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    status: int  # exit status; -N when signal N ended it
    out: bytes
    err: bytes


class Process(Protocol):
    """A process on a host, with pipes to its stdin and stdout and the end of its stderr kept."""

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write to its stdin. Raises OSError when it no longer reads, TimeoutError when it does not read in time."""

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next line of its stdout with its newline; None when none came in time, b"" when stdout ended."""

    def poll(self) -> int | None:
        """Return its exit status (-N when signal N ended it), or None while it runs."""

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends and return its exit status, or None when it still runs after `timeout_s`."""

    def stop(self, grace_s: float = 1.0) -> int:
        """End its stdin, then, after `grace_s`, kill it; return its exit status. Fine to call again."""

    def last_words(self) -> str:
        """Return the last few lines of its stderr."""


class Host(Protocol):
    """One machine in a race."""

    @property
    def name(self) -> str:
        """Its name in the testbed: tracker, seeder-1, client, ..."""

    @property
    def address(self) -> str:
        """Its IPv4 address, as the other hosts reach it."""

    @property
    def folder(self) -> str:
        """Its scratch folder, in memory; gone with the testbed."""

    @property
    def python(self) -> str:
        """An interpreter there that runs our agents."""

    @property
    def within(self) -> NamespaceHost:
        """The same host as programs on its machine reach it: what a contestant's module is handed."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002 - the name that subprocess.run uses
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> Finished:
        """
        Run a command to its end.

        Raises:
            HostError: it took longer than `timeout_s` (and was killed), or `check` and its status is not 0.

        """

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start a command and return at once. `env` is added to the host's own small environment."""

    def put(self, data: bytes, path: str, mode: int = 0o644) -> None:
        """Write a file, making its folders; a file or symlink of that name is replaced, not written through."""

    def get(self, path: str) -> bytes:
        """Read a file."""


class Starter(Protocol):
    """What an agent needs of a host: every `Host` is one."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def python(self) -> str:
        """An interpreter there that runs our programs."""

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start a command and return at once."""


class Agent:
    """
    One of our long-lived programs on a host, spoken to as btgames/agents/talk.py says. A context manager.

    Every failure (an error answer, a dead or late agent) is a HostError that names host and agent and quotes them.
    """

    def __init__(
        self,
        host: Starter,
        name: str,
        *args: str,
        start_timeout_s: float = 20.0,
        grace_s: float = 1.0,
        package: str = "btgames.agents",
        python: str = "",
    ) -> None:
        """
        Start ``python -m PACKAGE.NAME ARGS`` when entered, and wait for its ready line.

        At the end of the context it has `grace_s` seconds to end by itself. `python` is the host's where none is named.
        """
        self.ready: dict[str, Any] = {}  # what it said with its ready line
        self._host = host
        self._name = name
        self._args = args
        self._package = package
        self._python = python or host.python
        self._start_timeout_s = start_timeout_s
        self._grace_s = grace_s
        self._process: Process | None = None

    def __enter__(self) -> Self:
        argv = [self._python, "-m", f"{self._package}.{self._name}", *self._args]
        self._process = self._host.start(argv)
        try:
            self.ready = self._heard("its ready line", self._start_timeout_s)
        except BaseException:
            self._process.stop(grace_s=0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop(self._grace_s)

    def kill(self) -> None:
        """End it at once: nobody wants its answers any more."""
        self._running.stop(grace_s=0)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def ask(self, do: str, *, timeout_s: float = 10.0, **fields: object) -> dict[str, Any]:
        """Send one request and return its answer. An agent that is late is killed: its answers would be out of step."""
        deadline = time.monotonic() + timeout_s
        self.tell(do, timeout_s=timeout_s, **fields)
        return self._heard(f"an answer to {do!r}", max(0.0, deadline - time.monotonic()))

    def tell(self, do: str, *, timeout_s: float = 10.0, **fields: object) -> None:
        """Send one request whose answer `hear` returns later; one at a time."""
        line = json.dumps({"do": do, **fields}, separators=(",", ":")).encode() + b"\n"
        try:
            self._running.send(line, timeout_s)
        except OSError as error:  # TimeoutError is one too
            raise self._failure(f"took no request {do!r}") from error

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the answer to the last `tell`, or None when it has not come within `timeout_s`."""
        line = self._running.receive(timeout_s)
        if line is None:
            return None
        if not line:
            raise self._failure("ended")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise self._failure(f"said {line[:200]!r}, which is no message") from error
        if not isinstance(message, dict):
            raise self._failure(f"said {line[:200]!r}, which is no message")
        if "error" in message:
            raise HostError(f"{self._host.name}: {self._name}: {message['error']}")
        return message

    def _heard(self, what: str, timeout_s: float) -> dict[str, Any]:
        message = self.hear(timeout_s)
        if message is None:
            raise self._failure(f"did not give {what} in time")
        return message

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError(f"the agent {self._name} was not entered")
        return self._process

    def _failure(self, what: str) -> HostError:
        status = self._running.stop(grace_s=0)
        words = self._running.last_words()
        return HostError(f"{self._host.name}: {self._name} {what} (status {status})" + (f": {words}" if words else ""))


def failure(host: str, argv: Sequence[str], what: str, err: bytes) -> HostError:
    """Return the error of a command on a host: which, what happened, and the last lines of its stderr."""
    words = last_lines(err)
    command = " ".join(shlex.join(argv).split())[:200]  # on one line, whatever the arguments hold
    return HostError(f"{host}: {command} {what}" + (f": {words}" if words else ""))


def last_lines(err: bytes, count: int = 3) -> str:
    """Return the last non-empty lines of some output, joined into one line of text."""
    lines = [line.strip() for line in err.decode(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-count:])
