"""
The testbed of machines that are reached over SSH: a fleet in the cloud, or an inventory of one's own.

Each race host is a machine, or shares one. The same agents as in the local testbed run there, as root, within
namespaces of the race's own (agents/tenant.py); what was started there ends when the connection does.
"""

from __future__ import annotations

import itertools
import secrets
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from btgames.arena import room_bytes
from btgames.containment import PASSING_UIDS, Bounds, memory_bytes, passing_uid
from btgames.errors import GamesError, TestbedError, UserError
from btgames.far_workshop import FarWorkshop
from btgames.needs import needs_of
from btgames.side_by_side import in_parallel
from btgames.spread_workshop import SpreadWorkshop
from btgames.testbeds import shape
from btgames.testbeds.station import Station

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from btgames.hosts.remote import Remote
    from btgames.hosts.ssh import SshHost
    from btgames.scenario import Scenario
    from btgames.testbeds import HostPlan
    from btgames.testbeds.wish import Machines
    from btgames.workshop import Readies

    Notify = Callable[[str], None]

_OWN_BYTES = 32 << 20  # of memory, beside payloads: programs' odds and ends, opentracker's files


class SshTestbed:
    """Hosts on machines that have been reached; see `btgames.testbeds.Testbed`."""

    one_clock: Final = False
    rights: Final = "root"

    def __init__(
        self,
        machines: Machines,
        options: str,
        plan: Sequence[HostPlan],
        stations: Mapping[str, Station],
        pythons: Mapping[str, str],
        programs: Mapping[str, str],
        scenario: Scenario,
    ) -> None:
        """
        Make it of stations that are reached and furnished.

        Args:
            machines: what was asked for.
            options: of the command line, that ask for these.
            plan: the scenario's hosts.
            stations: of each host by its name; several hosts may share one.
            pythons: of each host, the interpreter that runs its agents.
            programs: package and version of what the scenario needs.
            scenario: the one that is raced on.

        """
        self.name = machines.name
        self.programs = dict(programs)
        self.hosts: Mapping[str, SshHost] = {}
        self._plan = {host.name: host for host in plan}
        self._stations = dict(stations)
        self._pythons = dict(pythons)
        self._scenario = scenario
        self._ours, self._options = machines.ours, options
        self._race = secrets.token_hex(8)

    @property
    def links(self) -> dict[str, Any]:
        """The links for the race card, by host name."""
        return {name: host.link() for name, host in self._plan.items()}

    def interface(self, host: str) -> str:
        """Return the interface on which a client host meets the others."""
        return str(self._stations[host].ready["interface"])

    def machine(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return facts of the client host's machine; of several, those of the first, and who races on which."""
        station = self._stations["client"]
        facts = {name: value for name, value in station.facts.items() if name != "available_bytes"}
        spread = {label: self._stations[host].remote.name for label, host in self._dealt(labels).items()}
        words = "; ".join(f"{label} on {name}" for label, name in spread.items())
        # What the machine says of itself counts: a cloud calls its x86_64 amd64.
        return {**station.remote.facts, **facts, **({"spread": words} if len(self._clients) > 1 else {})}

    def workshop(self, labels: Sequence[str]) -> Readies:
        """Return the client machine's workshop; of several machines, theirs, among which contestants are dealt."""
        workshops = {host: self._workshop(host) for host in self._clients}
        if len(workshops) == 1:
            return workshops["client"]
        return SpreadWorkshop({label: workshops[host] for label, host in self._dealt(labels).items()})

    def bounds(self, rng: random.Random, host: str) -> Bounds:
        """Return what a client machine grants."""
        return Bounds(passing_uid(rng), memory_bytes(self._stations[host].facts["available_bytes"]))

    def mend(self) -> None:
        """Bring back what a broken connection took away; a machine that does not answer is gone for good."""
        try:
            in_parallel([station.mend for station in self._own])
        except UserError as error:
            raise TestbedError(str(error)) from error

    def __enter__(self) -> Self:
        try:
            in_parallel([self._moving_in(station) for station in self._own])
        except BaseException:
            self.__exit__()
            raise
        self.hosts = {
            name: station.host(name, address_of(station.remote), self._pythons[name])
            for name, station in self._stations.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        in_parallel([station.move_out for station in self._own])

    def _workshop(self, host: str) -> FarWorkshop:
        station = self._stations[host]
        packages = station.packages if self._ours else None
        return FarWorkshop(station.machine, station.send, packages, self._options, host)

    @property
    def _clients(self) -> list[str]:
        return [name for name in self._stations if name.startswith("client")]

    def _dealt(self, labels: Sequence[str]) -> dict[str, str]:
        """Return the client host of each contestant: dealt like cards, in their order."""
        return dict(zip(labels, itertools.cycle(self._clients), strict=False))

    @property
    def _own(self) -> list[Station]:
        """Each machine once."""
        return list({id(station): station for station in self._stations.values()}.values())

    def _moving_in(self, station: Station) -> Callable[[], None]:
        here = [name for name, each in self._stations.items() if each is station]
        others = {address_of(each.remote) for each in self._own if each is not station}
        copies = sum(name.startswith("seeder") for name in here)
        is_client = any(name in self._clients for name in here)
        room = room_bytes(self._scenario) if is_client else 0
        plans = [self._plan[name] for name in here]
        up = [plan.up_mbit for plan in plans if plan.up_mbit is not None]
        down = [plan.down_mbit for plan in plans if plan.down_mbit is not None]
        order = {
            "race": self._race,
            "memory_bytes": copies * self._scenario.payload.size + room + _OWN_BYTES,
            "folders": here,
            "peers": sorted(others),
            "up": shape(sum(up)) if up else None,
            "down": shape(sum(down)) if down else None,
            "ssh_port": station.remote.port,
            "uids": list(PASSING_UIDS) if is_client else None,
        }
        return lambda: station.move_in(order)


def address_of(remote: Remote) -> str:
    """Return the IPv4 address under which the other machines reach one."""
    if remote.private_address:
        return remote.private_address
    try:
        return socket.gethostbyname(remote.address)
    except OSError as error:
        raise UserError(
            f"{remote.name}: no machine is called {remote.address}; where that is a name of ~/.ssh/config, "
            "private_address says where the other machines reach it"
        ) from error


@contextmanager
def reached(
    machines: Machines,
    options: str,
    plan: Sequence[HostPlan],
    remotes: Mapping[str, Remote],
    scenario: Scenario,
    notify: Notify,
) -> Iterator[SshTestbed]:
    """
    Reach the machines of a scenario's hosts, furnish them, and give the testbed, not yet up; hang up in the end.

    Args:
        machines: what was asked for.
        options: of the command line, that ask for these.
        plan: the scenario's hosts.
        remotes: the machine of each host, by the host's name.
        scenario: the one that is raced on.
        notify: takes lines.

    Raises:
        UserError: a machine refuses us or lacks something; says what to do.
        HostError: a machine does not answer.

    """
    every = {remote: Station(remote) for remote in dict.fromkeys(remotes.values())}
    stations = {host: every[remote] for host, remote in remotes.items()}
    pythons = dict.fromkeys(remotes, "python3")
    programs: dict[str, str] = {}  # of several machines, one's: a fleet's are alike

    def furnish(remote: Remote, station: Station) -> None:
        station.reach()
        here = [host for host in remotes if remotes[host] == remote]
        seeders = [host for host in here if host.startswith("seeder")]
        if seeders and scenario.seeder == "libtorrent":
            python = station.libtorrent(notify)
            pythons.update(dict.fromkeys(seeders, python))
        for need in needs_of(scenario):
            if any(host.startswith(need.role) for host in here):
                programs[need.package] = station.provide(need, notify, ours=machines.ours)

    try:
        try:
            in_parallel([partial(furnish, remote, station) for remote, station in every.items()])
        except UserError:
            raise
        except GamesError as error:
            raise UserError(f"{error}\nnothing was started") from error
        yield SshTestbed(machines, options, plan, stations, pythons, programs, scenario)
    finally:
        for station in every.values():
            station.close()
