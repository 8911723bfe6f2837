"""Which testbed a race has: this machine, the fleet of a Pulumi stack, or machines of one's own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btgames import opentracker
from btgames.errors import TestbedError
from btgames.ground import memory_bytes
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    notify("Testbed: local, this machine")
    yield local_testbed(scenario)


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
