"""What provides the hosts of a race: the protocol of all testbeds, and what a host is to have."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from btgames.containment import Bounds
    from btgames.hosts import Host
    from btgames.workshop import Readies


@dataclass(frozen=True)
class HostPlan:
    """One host as the scenario wants it. Rates in Mbit/s, on the wire; None is not shaped."""

    name: str  # tracker, seeder-1, ..., client
    up_mbit: float | None = None
    down_mbit: float | None = None

    def link(self) -> dict[str, Any]:
        """Return the link as the race card records it: rates, and how many bytes may go at once (the bucket)."""
        record = asdict(self)
        del record["name"]
        return {**record, "up_burst_bytes": _burst(self.up_mbit), "down_burst_bytes": _burst(self.down_mbit)}


class Testbed(Protocol):
    """
    Hosts for one race, as long as the context lasts.

    Name, rights, programs, links, machine, workshop can be had before it is entered: contestants are installed first.
    """

    @property
    def name(self) -> str:
        """Its name in the race card: local, cloud, or an inventory's."""

    @property
    def one_clock(self) -> bool:
        """Whether all hosts share one CLOCK_MONOTONIC."""

    @property
    def rights(self) -> str:
        """The rights under which the race runs, for the race card."""

    @property
    def programs(self) -> Mapping[str, str]:
        """
        Package and version of each program of Debian's that the scenario needs: see `btgames.needs`.

        The version is empty where the program did not come from a package.
        """

    def interface(self, host: str) -> str:
        """Return the interface on which a client host meets the others."""

    def machine(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return facts of the machine on which these contestants race, for the card: see `btgames.machine.facts`."""

    def workshop(self, labels: Sequence[str]) -> Readies:
        """Return where these contestants are installed and their modules run, to be entered."""

    def bounds(self, rng: random.Random, host: str) -> Bounds:
        """Return what a client host grants the contestants of a race."""

    def mend(self) -> None:
        """
        See that all hosts are there, and bring back those that can be; what ran on these is gone.

        Raises:
            TestbedError: a host is gone for good.

        """

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts by name, in the order of the plan."""

    @property
    def links(self) -> dict[str, Any]:
        """The links for the race card, by host name: see `HostPlan.link`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


_BURSTS = ((10.0, 16_384), (100.0, 65_536), (250.0, 65_536), (1000.0, 262_144))
"""
Mbit/s and bytes, tried: with these TCP gets 95.7 % of the rate, which is the rate on the wire; larger ones overshoot.
"""


def burst_bytes(mbit: float) -> int:
    """
    Return the token bucket's size for a rate: straight lines between the tried points, in proportion above the last.

    It must hold one whole packet of 1514 bytes, and what the rate brings while the machine's timer is late.
    """
    if mbit <= _BURSTS[0][0]:
        return _BURSTS[0][1]
    for (low, below), (high, above) in itertools.pairwise(_BURSTS):
        if mbit <= high:
            return round(below + (above - below) * (mbit - low) / (high - low))
    return round(_BURSTS[-1][1] * mbit / _BURSTS[-1][0])


QUEUE_S = 0.05
"""
How long a byte may wait in a shaper, in seconds at the link's rate: long enough that TCP, whose round trip here is a
fraction of a millisecond otherwise, never runs the queue empty; short enough that a request is not late by much.
"""
QUEUE_LEAST_BYTES = 262_144
"""
The queue's least size, which counts below 40 Mbit/s. TCP hands over packets of 64 KiB, two and more at once, which tbf
cuts up only after they were let in; with less (tried: 64, 128 and 192 KiB at 2 to 20 Mbit/s) pieces of them are lost
by the hundred, up to half of what is sent, although the link does carry its rate.
"""


def shape(mbit: float) -> dict[str, int]:
    """Return tbf's parameters for a rate in Mbit/s: rate in bytes per second, burst and limit in bytes."""
    rate = round(mbit * 125_000)
    burst = burst_bytes(mbit)
    return {"rate": rate, "burst": burst, "limit": burst + max(QUEUE_LEAST_BYTES, round(rate * QUEUE_S))}


def _burst(mbit: float | None) -> int | None:
    return None if mbit is None else burst_bytes(mbit)
