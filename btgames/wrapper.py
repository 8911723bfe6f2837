"""A contestant's three functions, called in a child process (worker.py), each with a time limit."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.hosts import Agent
from btgames.hosts.here import Here

if TYPE_CHECKING:
    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts.namespace import NamespaceHost
    from btgames.torrent import Torrent

INSTALL_S = 900.0
"""Time limit of an install, which should take under two minutes; the machine may be busy."""

SLOW_INSTALL_S = 3600.0
"""The same where a module says that it takes longer: cargo takes 12 minutes on two cores that do nothing else."""

CALL_S = 20.0
"""Time limit of any other call: it puts a file, or returns data."""

NEWS_S = 15.0
"""Seconds after which an install that goes on is told of, again and again."""

GoesOn = Callable[[], None]

_LATER_S = 2.0  # a module that is late is told so by its own process first, which knows the line


class ModuleError(Unsupported):
    """The module is broken: it raised, hung, or returned what it must not; the message names file and line."""


@dataclass(frozen=True)
class Argv:
    """The command that download() returned, as data."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None


class Functions(Protocol):
    """The two functions of a contestant that a heat calls."""

    def torrentfile(self, host: NamespaceHost, cell: Cell, folder: str, torrent: Torrent) -> str:
        """Have the torrent put where the client wants it; return its path on the host."""

    def download(self, torrentfile: str, into: str) -> Argv:
        """Return the command that downloads."""


class Wrapper:
    """The functions of one contestant's module. A context manager; its process starts with the first call."""

    def __init__(self, contestant: Contestant, *, call_s: float = CALL_S) -> None:
        """Time limit of the module's import, and of every call but install's: `call_s` seconds."""
        self._contestant = contestant
        self._call_s = call_s
        self._agent: Agent | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self._agent.__exit__()
            self._agent = None

    def install(
        self, cell: Cell, timeout_s: float = INSTALL_S, *, log: str | None = None, goes_on: GoesOn = lambda: None
    ) -> tuple[str, ...]:
        """
        Install into the cell's directory; return the paths that a race must show beside it.

        What its commands print goes into the file `log`; `goes_on` is called every `NEWS_S` seconds meanwhile.
        """
        source = self._contestant.source
        request = {
            "cell": asdict(cell),
            "version": self._contestant.pin or None,
            "source": None if source is None else str(source),
            "log": log,
        }
        return tuple(self._call("install", timeout_s, request, goes_on))

    def version(self, cell: Cell) -> str:
        """Return what is really installed, by the module's word; "" where it has none."""
        return str(self._call("version", self._call_s, {"cell": asdict(cell)}))

    def torrentfile(self, host: NamespaceHost, cell: Cell, folder: str, torrent: Torrent) -> str:
        """Have the torrent put where the client wants it; return its path on the host."""
        request = {"host": asdict(host), "cell": asdict(cell), "folder": folder, "torrent": packed(torrent)}
        return str(self._call("torrentfile", self._call_s, request))

    def download(self, torrentfile: str, into: str) -> Argv:
        """Return the command that downloads."""
        made = self._call("download", self._call_s, {"torrentfile": torrentfile, "into": into})
        return Argv(tuple(made["argv"]), made["env"], made["cwd"])

    def _call(self, function: str, timeout_s: float, request: dict[str, Any], goes_on: GoesOn = lambda: None) -> Any:
        """
        Call one of the module's functions.

        Raises:
            NeedsPackages, Unsupported: by the module's own word.
            CommandFailed: a command that the module had run failed.
            ModuleError: it is broken.
            HostError: the host on which it put a file failed.

        """
        if self._contestant.problem:
            raise ModuleError(self._contestant.problem)
        agent = self._running()
        try:
            agent.tell(function, within_s=timeout_s, **request)
            answer = _heard(agent, timeout_s + _LATER_S, goes_on)
        except BaseException as error:  # of Ctrl-C, too: what goes on in that process is not wanted any more
            agent.kill()
            self._agent = None  # the next call starts another
            if isinstance(error, HostError):
                raise self._no_answer(f"{function}()", timeout_s, error) from error
            raise
        return value_of(answer)

    def _running(self) -> Agent:
        """Return the process; start it and have it import the module where there is none, or it died between calls."""
        if self._agent is not None and not self._agent.alive:  # for want of memory, say: no call was under way in it
            self.__exit__()
        if self._agent is None:
            arguments = (str(self._contestant.path), str(self._call_s))
            agent = Agent(Here(), "worker", *arguments, start_timeout_s=self._call_s + _LATER_S, package="btgames")
            try:
                agent.__enter__()
            except HostError as error:
                raise self._no_answer("its import", self._call_s, error) from error
            self._agent = agent
        value_of(self._agent.ready)
        return self._agent

    def _no_answer(self, what: str, timeout_s: float, error: HostError) -> ModuleError:
        return ModuleError(f"{self._contestant.path}: {what} did not return, within {timeout_s:g} s at most: {error}")


def _heard(agent: Agent, within_s: float, goes_on: GoesOn) -> dict[str, Any]:
    """Return the answer to the last request; say every now and then that it is waited for."""
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        if (answer := agent.hear(min(left_s, NEWS_S))) is not None:
            return answer
        goes_on()
    raise HostError("no answer came")


def packed(torrent: Torrent) -> dict[str, Any]:
    """Return a torrent as JSON takes it; `btgames.worker.unpacked` undoes this."""
    return {
        **asdict(torrent),
        "data": base64.b64encode(torrent.data).decode(),
        "pieces": base64.b64encode(torrent.pieces).decode(),
    }


def value_of(answer: dict[str, Any]) -> Any:
    """
    Return the value in a worker's answer.

    Raises:
        NeedsPackages, CommandFailed, Unsupported, ModuleError, HostError: what the answer says instead.

    """
    if "needs" in answer:
        raise NeedsPackages(*answer["needs"])
    if "failed" in answer:
        raise CommandFailed(answer["failed"])
    if "unsupported" in answer:
        raise Unsupported(answer["unsupported"])
    if "problem" in answer:
        raise ModuleError(answer["problem"])
    if "host" in answer:
        raise HostError(answer["host"])
    return answer["value"]
