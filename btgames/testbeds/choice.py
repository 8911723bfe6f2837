"""Which testbed a race has: this machine, the fleet of a Pulumi stack, or machines of one's own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import opentracker
from btgames.errors import TestbedError, UserError, nearest
from btgames.ground import memory_bytes
from btgames.testbeds import HostPlan, inventory
from btgames.testbeds.local import LocalTestbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from btgames.cloud.stack import Fleet
    from btgames.hosts.remote import Remote
    from btgames.scenario import Scenario
    from btgames.testbeds import Testbed


@dataclass(frozen=True)
class Wish:
    """Which testbed the user asks for."""

    testbed: str = "auto"  # auto, local, cloud, or an inventory's file
    stack: str | None = None  # Pulumi's; None is the selected one
    hosts: tuple[str, ...] = ()  # an inventory on the command line: ROLE=USER@ADDRESS
    key: str | None = None  # private key for `hosts`


ANY = Wish()


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
    if wish.hosts or wish.testbed not in {"auto", "local", "cloud"}:
        name, machines = _inventory(wish)
        notify(f"Testbed: {name}, {len(machines)} machines over SSH")
        with _reached(name, scenario, machines, notify, "name more of them", apt=False) as testbed:
            yield testbed
    elif fleet := _fleet(wish):
        notify(f"Testbed: cloud, {fleet.words}")
        from btgames.testbeds.waiting import wait_until_ready  # noqa: PLC0415 - local races do without SSH

        wait_until_ready(fleet.machines, notify)
        with _reached("cloud", scenario, fleet.machines, notify, fleet.more, apt=True) as testbed:
            yield testbed
    else:
        notify("Testbed: local, this machine")
        yield local_testbed(scenario)


@contextmanager
def _reached(
    name: str, scenario: Scenario, machines: Sequence[Remote], notify: Callable[[str], None], more: str, *, apt: bool
) -> Iterator[Testbed]:
    plan = plan_of(scenario)
    remotes = inventory.assign(plan, machines, name, more)
    unused = [machine.name for machine in machines if machine not in remotes.values()]
    if unused:
        notify(f"not in this race: {', '.join(unused)}")
    from btgames.testbeds.ssh import reached  # noqa: PLC0415 - local races do without SSH

    with reached(name, plan, remotes, scenario, notify, apt=apt) as testbed:
        yield testbed


def _inventory(wish: Wish) -> tuple[str, list[Remote]]:
    if wish.hosts:
        return "hosts of the command line", inventory.from_words(wish.hosts, wish.key)
    path = Path(wish.testbed)
    if not path.exists() and "/" not in wish.testbed and not path.suffix:
        known = ("auto", "local", "cloud")
        raise UserError(
            f"--testbed {wish.testbed!r}: no such testbed{nearest(wish.testbed, known)}\n"
            f"known: {', '.join(known)}, or the file of an inventory"
        )
    return path.stem, inventory.load(path)


def _fleet(wish: Wish) -> Fleet | None:
    """Return the fleet that the wish means; None is this machine."""
    if wish.testbed == "local" or not Path(__file__).parent.with_name("cloud").is_dir():
        return None
    from btgames.cloud import stack  # noqa: PLC0415 - only here

    if wish.testbed == "auto" and wish.stack is None and not stack.any_keys():
        return None  # this user never had a fleet: nobody needs to be asked
    return stack.fleet(wish.stack, needed=wish.testbed == "cloud" or wish.stack is not None)


def plan_of(scenario: Scenario) -> list[HostPlan]:
    """Return the hosts that a scenario wants, with their links."""
    client = HostPlan("client", scenario.client.up_mbit, scenario.client.down_mbit)
    return [HostPlan("tracker"), *(HostPlan(*host) for host in scenario.seeder_hosts), client]


def local_testbed(scenario: Scenario) -> LocalTestbed:
    """
    Return the local testbed that a scenario wants, not yet up.

    Raises:
        TestbedError: this machine cannot hold it; says why and what to do.

    """
    testbed = LocalTestbed(plan_of(scenario), memory_bytes(scenario))
    testbed.check()
    if scenario.tracker == "opentracker" and opentracker.find() is None:
        raise TestbedError(f"this scenario {opentracker.NEEDED}")
    return testbed
