"""The workshop of a client host far away, from the harness's side: modules are sent there and run there."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from btgames.contract import NeedsPackages
from btgames.errors import HostError, HostLostError
from btgames.hosts import Agent
from btgames.installing import Installed
from btgames.workshop import Racer
from btgames.wrapper import CALL_S, INSTALL_S, Argv, ModuleError, packed, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts import Starter
    from btgames.hosts.namespace import NamespaceHost
    from btgames.installing import Notify
    from btgames.torrent import Torrent

_LATER_S = 30.0  # the workshop there has limits of its own, and says what was late


class FarWorkshop:
    """See `btgames.workshop.Readies`; what it starts lives as long as the context, and starts again when lost."""

    side_by_side = 1

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

    def _ready(self, one: Contestant, notify: Notify) -> Racer:
        try:
            made = self.call(one, "ready", INSTALL_S, notify=notify)
        except HostLostError:  # what was half installed is done again from the start
            made = self.call(one, "ready", INSTALL_S, notify=notify)
        fields = made["installed"]
        installed = Installed(**{**fields, "read_only": tuple(fields["read_only"])})
        return Racer(one, FarFunctions(self, one), installed, made["version"], self.host)

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
        if one.label not in self._sent:
            self._sent[one.label] = self._packed(one)
        try:
            agent = self._running()
            agent.tell(do, **{**(fields or {}), "contestant": self._sent[one.label]})
            while (answer := agent.hear(timeout_s + _LATER_S)) is not None and "note" in answer:
                notify(self._as_here(one, answer["note"]))
        except BaseException:
            self.__exit__()
            raise
        if answer is None:
            self.__exit__()
            raise HostError(f"{self._machine.name}: {do} of {one.label} was not done in time")
        try:
            return value_of(answer)
        except ModuleError as error:
            raise ModuleError(self._as_here(one, str(error))) from error

    def _running(self) -> Agent:
        if self._agent is None or not self._agent.alive:
            self.__exit__()
            agent = Agent(self._machine, "workshop_agent", package="btgames", start_timeout_s=CALL_S)
            self._agent = agent.__enter__()
        return self._agent

    def _packed(self, one: Contestant) -> dict[str, Any]:
        path, source = self._send(one)
        return {**asdict(one), "path": path, "source": source}

    def _as_here(self, one: Contestant, text: str) -> str:
        """Return a message that names the user's own file, not its copy."""
        return text.replace(self._sent[one.label]["path"], str(one.path))


class SpreadWorkshop:
    """The workshops of several client hosts, among which the contestants are dealt; see `btgames.workshop.Readies`."""

    def __init__(self, workshops: Mapping[str, FarWorkshop]) -> None:
        """`workshops` has that of each contestant, by label; several contestants may share one."""
        self._workshops = workshops
        self._locks = {workshop: threading.Lock() for workshop in workshops.values()}

    @property
    def options(self) -> str:
        """See `btgames.workshop.Readies`."""
        return next(iter(self._locks)).options

    @property
    def side_by_side(self) -> int:
        """As many as there are client hosts."""
        return len(self._locks)

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """Make a contestant ready on its own client host, one after the other there."""
        workshop = self._workshops[one.label]
        with self._locks[workshop]:
            return workshop.ready(one, lambda text: notify(f"{workshop.host}: {text}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for workshop in self._locks:
            workshop.__exit__(*exc)


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
