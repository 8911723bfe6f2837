"""The testbed of a race: namespaces of this machine, or machines over SSH."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from btgames.errors import TestbedError, UserError
from btgames.ground import memory_bytes
from btgames.needs import needs_of
from btgames.testbeds import HostPlan, inventory
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.wish import machines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from btgames.hosts.remote import Remote
    from btgames.scenario import Scenario
    from btgames.testbeds import Testbed
    from btgames.testbeds.wish import Machines, Wish


@contextmanager
def testbed_for(scenario: Scenario, wish: Wish, notify: Callable[[str], None]) -> Iterator[Testbed]:
    """
    Give the testbed that is asked for, not yet up; its machines are reached, and let go of in the end.

    Args:
        scenario: what it is to hold.
        wish: which one.
        notify: takes lines; the first says which testbed it is.

    Raises:
        UserError: there is no such testbed, or its hosts cannot be had; says what to do.
        TestbedError: this machine cannot hold it.

    """
    machines = machines_of(wish, notify)
    if machines is None:
        yield local_testbed(scenario)
        return
    clients = sum(remote.role == "client" for remote in machines.remotes) if wish.spread else 1
    plan = plan_of(scenario, clients)
    remotes = inventory.assign(plan, machines.remotes, machines.name, machines.more)
    if (scenario.tracker, scenario.seeder) == ("opentracker", "deluge"):
        _check_apart(remotes, machines)
    used = remotes.values()
    unused = [each.name for each in machines.remotes if not any(inventory.same(each, one) for one in used)]
    if unused:
        notify(f"not in this race: {', '.join(unused)}")
    from btgames.testbeds.ssh import reached  # noqa: PLC0415 - local races do without SSH

    with reached(machines, wish.options, plan, remotes, scenario, notify) as testbed:
        yield testbed


def _check_apart(remotes: Mapping[str, Remote], machines: Machines) -> None:
    """
    Raise a UserError where opentracker shares a machine with a Deluge.

    It tells an asker of itself. Deluge connects there, finds itself, and bans that address (its libtorrent does, for a
    `self_connection`): it takes nobody from there, nor us, who look from the tracker's machine whether it answers.
    """
    tracker = remotes["tracker"]
    if any(host.startswith("seeder") and inventory.same(remote, tracker) for host, remote in remotes.items()):
        raise UserError(
            f"this scenario wants a tracker apart from its seeders, {machines.name} has it on {tracker.name}: "
            f"Deluge refuses whoever has its own address\n{machines.more}"
        )


def plan_of(scenario: Scenario, clients: int = 1) -> list[HostPlan]:
    """Return the hosts that a scenario wants, with their links; more clients than one are alike."""
    client = HostPlan("client", scenario.client.up_mbit, scenario.client.down_mbit)
    more = [replace(client, name=f"client-{number}") for number in range(2, clients + 1)]
    return [HostPlan("tracker"), *(HostPlan(*host) for host in scenario.seeder_hosts), client, *more]


def local_testbed(scenario: Scenario) -> LocalTestbed:
    """
    Return the local testbed that a scenario wants, not yet up.

    Raises:
        TestbedError: this machine cannot hold it; says why and what to do.

    """
    needs = needs_of(scenario)
    testbed = LocalTestbed(plan_of(scenario), memory_bytes(scenario), needs=needs)
    testbed.check()
    missing = [f"this scenario {need.words}" for need in needs if need.find() is None]
    if missing:
        raise TestbedError("\n".join(missing))
    return testbed
