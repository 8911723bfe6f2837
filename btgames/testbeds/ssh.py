"""
The testbed of machines that are reached over SSH: a fleet in the cloud, or an inventory of one's own.

Each race host is a machine, or shares one. The same agents as in the local testbed run there, as root, within
namespaces of the race's own (agents/tenant.py); what was started there ends when the connection does.
"""

from __future__ import annotations

import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from btgames.arena import room_bytes
from btgames.containment import PASSING_UIDS, Bounds, memory_bytes, passing_uid
from btgames.errors import GamesError, TestbedError, UserError
from btgames.far_workshop import FarWorkshop
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
            scenario: the one that is raced on.

        """
        self.name = machines.name
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

    @property
    def interface(self) -> str:
        """The interface on which the client host meets the others."""
        return str(self._client.ready["interface"])

    def machine(self) -> dict[str, Any]:
        """Return facts of the client host's machine."""
        facts = {name: value for name, value in self._client.facts.items() if name != "available_bytes"}
        return {**facts, **self._client.remote.facts}

    def workshop(self) -> FarWorkshop:
        """Return the client machine's workshop."""
        client = self._client
        return FarWorkshop(client.machine, client.send, client.packages if self._ours else None, self._options)

    def bounds(self, rng: random.Random) -> Bounds:
        """Return what the client machine grants."""
        return Bounds(passing_uid(rng), memory_bytes(self._client.facts["available_bytes"]))

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

    @property
    def _client(self) -> Station:
        return self._stations["client"]

    @property
    def _own(self) -> list[Station]:
        """Each machine once."""
        return list({id(station): station for station in self._stations.values()}.values())

    def _moving_in(self, station: Station) -> Callable[[], None]:
        here = [name for name, each in self._stations.items() if each is station]
        others = {address_of(each.remote) for each in self._own if each is not station}
        copies = sum(name.startswith("seeder") for name in here)
        room = room_bytes(self._scenario) if "client" in here else 0
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
            "uids": list(PASSING_UIDS) if "client" in here else None,
        }
        return lambda: station.move_in(order)


def address_of(remote: Remote) -> str:
    """Return the IPv4 address under which the other machines reach one."""
    if remote.private_address:
        return remote.private_address
    try:
        return socket.gethostbyname(remote.address)
    except OSError as error:
        raise UserError(f"{remote.name}: no machine is called {remote.address}") from error


def in_parallel(calls: Sequence[Callable[[], Any]]) -> None:
    """Do all at once, wait for all, then raise what the first of them raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        done = [pool.submit(call) for call in calls]
    for each in done:
        each.result()


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

    def furnish(remote: Remote, station: Station) -> None:
        station.reach()
        seeders = [host for host in remotes if remotes[host] == remote and host.startswith("seeder")]
        if seeders:
            python = station.libtorrent(notify)
            pythons.update(dict.fromkeys(seeders, python))
        if remotes["tracker"] == remote and scenario.tracker == "opentracker":
            station.need_opentracker()

    try:
        try:
            in_parallel([partial(furnish, remote, station) for remote, station in every.items()])
        except UserError:
            raise
        except GamesError as error:
            raise UserError(f"{error}\nnothing was started") from error
        yield SshTestbed(machines, options, plan, stations, pythons, scenario)
    finally:
        for station in every.values():
            station.close()
