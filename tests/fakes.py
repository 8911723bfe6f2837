"""Fakes that record: what the code under test did, in order, without any host."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from btgames.errors import HostError
from btgames.hosts import Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from btgames.hosts.namespace import NamespaceHost

Answer: TypeAlias = "dict[str, Any] | list[dict[str, Any]] | None"


@dataclass
class FakeProcess:
    """A process that answers each line it is sent by a function; None from it leaves the asker waiting."""

    answer: Callable[[dict[str, Any]], Answer]
    stopped: Callable[[], None] = lambda: None  # called when it is stopped for the first time
    said: deque[bytes] = field(default_factory=deque)  # lines of stdout that nobody has read yet
    status: int | None = None
    words: str = ""

    def send(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002 - the protocol's signature
        """Note the answer to each line."""
        if self.status is not None:
            raise BrokenPipeError("ended")
        for line in data.splitlines():
            answer = self.answer(json.loads(line))
            answers = answer if isinstance(answer, list) else [] if answer is None else [answer]
            self.said += [json.dumps(each).encode() + b"\n" for each in answers]

    def receive(self, timeout_s: float) -> bytes | None:  # noqa: ARG002 - the protocol's signature
        """Return the next line at once; None when there is none."""
        if self.said:
            return self.said.popleft()
        return None if self.status is None else b""

    def poll(self) -> int | None:
        """Return the status."""
        return self.status

    def wait(self, timeout_s: float) -> int | None:  # noqa: ARG002 - the protocol's signature
        """Return the status."""
        return self.status

    def stop(self, grace_s: float = 1.0) -> int:  # noqa: ARG002 - the protocol's signature
        """End with status 0, unless it ended before."""
        self.stopped()
        self.stopped = lambda: None
        if self.status is None:
            self.status = 0
        return self.status

    def last_words(self) -> str:
        """Return what the test gave."""
        return self.words


@dataclass
class FakeHost:
    """
    A host that only records: `calls` has (host, verb, detail) in order; share one list to see the order across hosts.

    `agents` gives, by agent name, a function from request to answer (None: no answer comes; a list: one after the
    other); `results` gives what a command leaves, by argv[0]; other commands succeed and print nothing.
    """

    name: str = "client"
    address: str = "198.18.0.1"
    folder: str = "/fake"
    python: str = "python3"
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    results: dict[str, Finished] = field(default_factory=dict)
    agents: dict[str, Callable[[dict[str, Any]], Answer]] = field(default_factory=dict)
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)  # what an agent adds to its ready line
    silent: tuple[str, ...] = ("stopwatch",)  # agents that have no ready line
    record_stops: bool = False  # whether `calls` has (host, "stop", agent) too
    processes: list[FakeProcess] = field(default_factory=list)

    @property
    def within(self) -> NamespaceHost:
        """Itself, which whoever is handed it takes for one."""
        return cast("NamespaceHost", self)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002, ARG002 - the protocol's signature
        timeout_s: float = 60.0,  # noqa: ARG002 - the protocol's signature
        check: bool = True,
    ) -> Finished:
        """Record the command and return what `results` has for it."""
        self.calls.append((self.name, "run", list(argv)))
        result = self.results.get(argv[0], Finished(0, b"", b""))
        if check and result.status:
            raise HostError(f"{self.name}: {argv[0]} ended with status {result.status}")
        return result

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> FakeProcess:  # noqa: ARG002 - same
        """Record the command; an agent of ours says that it is ready and answers as `agents` has it."""
        self.calls.append((self.name, "start", list(argv)))
        agent = argv[2].rpartition(".")[2] if list(argv[1:2]) == ["-m"] else ""
        process = FakeProcess(lambda request: self._answer(agent, request))
        if self.record_stops:
            process.stopped = lambda: self.calls.append((self.name, "stop", agent or argv[0]))
        if agent and agent not in self.silent:
            process.said.append(json.dumps({"ready": True, **self.ready.get(agent, {})}).encode() + b"\n")
        self.processes.append(process)
        return process

    def put(self, data: bytes, path: str, mode: int = 0o644) -> None:  # noqa: ARG002 - the protocol's signature
        """Record the path and keep the bytes."""
        self.calls.append((self.name, "put", path))
        self.files[path] = data

    def get(self, path: str) -> bytes:
        """Record the path and return what was put there."""
        self.calls.append((self.name, "get", path))
        if path not in self.files:
            raise HostError(f"{self.name}: cat -- {path} ended with status 1: No such file or directory")
        return self.files[path]

    def _answer(self, agent: str, request: dict[str, Any]) -> Answer:
        self.calls.append((self.name, agent, dict(request)))
        handler = self.agents.get(agent)
        return {"ok": True} if handler is None else handler(request)
