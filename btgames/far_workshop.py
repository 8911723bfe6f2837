"""The workshop of a client host far away, from the harness's side: modules are sent there and run there."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self

from btgames.contract import NeedsPackages
from btgames.errors import HostError, HostLostError, Unsupported
from btgames.hosts import Agent
from btgames.installing import Installed
from btgames.workshop import Racer
from btgames.wrapper import CALL_S, SLOW_INSTALL_S, Argv, ModuleError, packed, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts import Starter
    from btgames.hosts.namespace import NamespaceHost
    from btgames.installing import Notify
    from btgames.torrent import Torrent

_LATER_S = 30.0  # the workshop there has limits of its own, and says what was late


class FarWorkshop:
    """See `btgames.workshop.Readies`; what it starts lives as long as the context, and starts again when lost."""

    def __init__(
        self,
        machine: Starter,
        send: Callable[[Contestant], tuple[str, str | None]],
        packages: Callable[[Sequence[str], Notify], None] | None,
        options: str = "",
        host: str = "client",
    ) -> None:
        """
        Make it.

        Args:
            machine: where it is.
            send: sends a contestant's module and source; returns their paths there.
            packages: installs packages of the system there; None: nobody may.
            options: see `btgames.workshop.Readies`.
            host: its name in the race.

        """
        self.options = options
        self.host = host
        self._machine = machine
        self._send = send
        self._packages = packages
        self._sent: dict[str, dict[str, Any]] = {}  # contestants by label, as the workshop there knows them
        self._own: dict[str, str] = {}  # paths of the user's modules by those of their copies there
        self._agent: Agent | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent = None

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """Make a contestant ready; see `btgames.workshop.Readies.ready`."""
        if one.problem:
            raise ModuleError(one.problem)
        try:
            return self._ready(one, notify)
        except NeedsPackages as needs:
            if self._packages is None:
                raise
            self._packages(needs.packages, notify)
            return self._ready(one, notify)

    def ready_all(self, everyone: Sequence[Contestant], notify: Notify) -> list[Racer | Unsupported]:
        """Make several ready; see `btgames.workshop.Readies.ready_all`."""
        made = self._install(everyone, notify)
        needs = {label: why for label, why in made.items() if isinstance(why, NeedsPackages)}
        if needs and self._packages is not None:
            self._packages(sorted({package for why in needs.values() for package in why.packages}), notify)
            made |= self._install([one for one in everyone if one.label in needs], notify)
        return [self._made(one, made[one.label], notify) for one in everyone]

    def _install(self, everyone: Sequence[Contestant], notify: Notify) -> dict[str, Installed | Unsupported]:
        """Have contestants installed; return by label what came of each."""
        made: dict[str, Installed | Unsupported] = {}
        sound = [one for one in everyone if not one.problem]
        request = {"contestants": [self._as_sent(one) for one in sound]}
        answers = (
            _once_more(lambda: self._ask("install", "an install", SLOW_INSTALL_S, request, notify)) if sound else []
        )
        for one, answer in zip(sound, answers, strict=True):
            try:
                made[one.label] = _installed(self._value(answer))
            except Unsupported as why:
                made[one.label] = why
        return {one.label: ModuleError(one.problem) for one in everyone if one.problem} | made

    def _made(self, one: Contestant, installed: Installed | Unsupported, notify: Notify) -> Racer | Unsupported:
        try:
            if isinstance(installed, Unsupported):
                raise installed
            return replace(self._ready(one, notify), installed=installed)
        except Unsupported as why:
            return why

    def _ready(self, one: Contestant, notify: Notify) -> Racer:
        made = _once_more(lambda: self.call(one, "ready", SLOW_INSTALL_S, notify=notify))
        return Racer(one, FarFunctions(self, one), _installed(made["installed"]), made["version"], self.host)

    def call(
        self,
        one: Contestant,
        do: str,
        timeout_s: float,
        fields: dict[str, Any] | None = None,
        notify: Notify = lambda _: None,
    ) -> Any:
        """
        Have something done, and return its value.

        Raises:
            NeedsPackages, Unsupported, ModuleError: as the module has it.
            HostError: the machine is gone, or its workshop died.

        """
        request = {**(fields or {}), "contestant": self._as_sent(one)}
        return self._ask(do, f"{do} of {one.label}", timeout_s, request, notify)

    def _ask(self, do: str, what: str, timeout_s: float, request: dict[str, Any], notify: Notify) -> Any:
        """Have something done; `timeout_s` is how long nothing may be heard of it."""
        try:
            agent = self._running()
            agent.tell(do, **request)
            while (answer := agent.hear(timeout_s + _LATER_S)) is not None and "note" in answer:
                notify(self._as_here(answer["note"]))
        except BaseException:
            self.__exit__()
            raise
        if answer is None:
            self.__exit__()
            raise HostError(f"{self._machine.name}: {what} was not done in time")
        return self._value(answer)

    def _value(self, answer: dict[str, Any]) -> Any:
        try:
            return value_of(answer)
        except ModuleError as error:
            raise ModuleError(self._as_here(str(error))) from error

    def _running(self) -> Agent:
        if self._agent is None or not self._agent.alive:
            self.__exit__()
            agent = Agent(self._machine, "workshop_agent", package="btgames", start_timeout_s=CALL_S)
            self._agent = agent.__enter__()
        return self._agent

    def _as_sent(self, one: Contestant) -> dict[str, Any]:
        """Return a contestant as the workshop there knows it; send it first, once."""
        if one.label not in self._sent:
            path, source = self._send(one)
            self._sent[one.label] = {**asdict(one), "path": path, "source": source}
            self._own[path] = str(one.path)
        return self._sent[one.label]

    def _as_here(self, text: str) -> str:
        """Return a message that names the user's own files, not their copies."""
        for there, here in self._own.items():
            text = text.replace(there, here)
        return text


def _once_more(call: Callable[[], Any]) -> Any:
    """Do it again, once, when the connection broke: what was half installed is done again from the start."""
    try:
        return call()
    except HostLostError:
        return call()


def _installed(fields: dict[str, Any]) -> Installed:
    return Installed(**{**fields, "read_only": tuple(fields["read_only"])})


class FarFunctions:
    """The functions of a contestant that run far away; see `btgames.wrapper.Functions`."""

    def __init__(self, workshop: FarWorkshop, one: Contestant) -> None:
        self._workshop = workshop
        self._one = one

    def torrentfile(self, host: NamespaceHost, cell: Cell, folder: str, torrent: Torrent) -> str:
        """Have the torrent put where the client wants it; return its path on the host."""
        fields = {"host": asdict(host), "cell": asdict(cell), "folder": folder, "torrent": packed(torrent)}
        return str(self._workshop.call(self._one, "torrentfile", CALL_S, fields))

    def download(self, torrentfile: str, into: str) -> Argv:
        """Return the command that downloads."""
        made = self._workshop.call(self._one, "download", CALL_S, {"torrentfile": torrentfile, "into": into})
        return Argv(tuple(made["argv"]), made["env"], made["cwd"])
