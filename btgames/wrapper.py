"""A contestant's three functions, called in a child process (worker.py), each with a time limit."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.hosts import Agent
from btgames.hosts.here import Here

if TYPE_CHECKING:
    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts.namespace import NamespaceHost
    from btgames.torrent import Torrent

INSTALL_S = 1800.0
"""Time limit of an install: cargo takes 12 minutes on two cores."""

CALL_S = 20.0
"""Time limit of any other call: it puts a file, or returns data."""


class ModuleError(Unsupported):
    """The module is broken: it raised, hung, or returned what it must not; the message names file and line."""


@dataclass(frozen=True)
class Argv:
    """The command that download() returned, as data."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None


class Wrapper:
    """The functions of one contestant's module. A context manager; its process starts with the first call."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._agent: Agent | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self._agent.__exit__()
            self._agent = None

    def install(self, cell: Cell, timeout_s: float = INSTALL_S) -> tuple[str, ...]:
        """Install into the cell's directory; return the paths that a race must show beside it."""
        source = self._contestant.source
        request = {
            "cell": asdict(cell),
            "version": self._contestant.pin or None,
            "source": None if source is None else str(source),
        }
        return tuple(self._call("install", timeout_s, request))

    def version(self, cell: Cell) -> str:
        """Return what is really installed, by the module's word; "" where it has none."""
        return str(self._call("version", CALL_S, {"cell": asdict(cell)}))

    def torrentfile(self, host: NamespaceHost, cell: Cell, folder: str, torrent: Torrent) -> str:
        """Have the torrent put where the client wants it; return its path on the host."""
        packed = {
            **asdict(torrent),
            "data": base64.b64encode(torrent.data).decode(),
            "pieces": base64.b64encode(torrent.pieces).decode(),
        }
        request = {"host": asdict(host), "cell": asdict(cell), "folder": folder, "torrent": packed}
        return str(self._call("torrentfile", CALL_S, request))

    def download(self, torrentfile: str, into: str) -> Argv:
        """Return the command that downloads."""
        made = self._call("download", CALL_S, {"torrentfile": torrentfile, "into": into})
        return Argv(tuple(made["argv"]), made["env"], made["cwd"])

    def _call(self, function: str, timeout_s: float, request: dict[str, Any]) -> Any:
        """
        Call one of the module's functions.

        Raises:
            NeedsPackages, Unsupported: by the module's own word.
            CommandFailed: a command that the module had run failed.
            ModuleError: it is broken.

        """
        path = self._contestant.path
        if self._contestant.problem:
            raise ModuleError(self._contestant.problem)
        try:
            answer = self._running().ask(function, timeout_s=timeout_s, **request)
        except HostError as error:
            # The process is gone or will never answer; the next call starts another.
            self.__exit__()
            raise ModuleError(f"{path}: {function}() did not return within {timeout_s:g} s ({error})") from error
        return _value(answer)

    def _running(self) -> Agent:
        if self._agent is None:
            agent = Agent(Here(), "worker", str(self._contestant.path), start_timeout_s=CALL_S, package="btgames")
            agent.__enter__()
            self._agent = agent
            _value(agent.ready)
        return self._agent


def _value(answer: dict[str, Any]) -> Any:
    if "needs" in answer:
        raise NeedsPackages(*answer["needs"])
    if "failed" in answer:
        raise CommandFailed(answer["failed"])
    if "unsupported" in answer:
        raise Unsupported(answer["unsupported"])
    if "problem" in answer:
        raise ModuleError(answer["problem"])
    return answer["value"]
