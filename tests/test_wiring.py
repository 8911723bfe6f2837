"""How hosts are addressed and shaped: the figures, without a kernel."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.exceptions import NetlinkError

from btgames.testbeds import QUEUE_LEAST_BYTES, HostPlan, burst_bytes, shape
from btgames.testbeds.wiring import WiringError, _shape, address, plan_from


class KernelWithoutTbf:
    """A link whose kernel has no tbf: it refuses as the kernel does, and records what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tc(self, command: str, kind: str, **_: object) -> None:
        """Refuse."""
        self.asked.append(f"{command} {kind}")
        raise NetlinkError(2, "No such file or directory")


RATES = st.floats(min_value=0.01, max_value=100_000)


@pytest.mark.parametrize(
    ("mbit", "expected"),
    [(1, 16_384), (10, 16_384), (55, 40_960), (100, 65_536), (250, 65_536), (625, 163_840), (1000, 262_144)],
)
def test_bursts_are_as_tried(mbit: float, expected: int) -> None:
    """The bucket has the sizes with which TCP was seen to get its share, and lies between them otherwise."""
    assert burst_bytes(mbit) == expected


def test_bursts_grow_in_proportion_above_the_tried_rates() -> None:
    """Beyond 1000 Mbit/s a bucket holds what the link carries in the same time."""
    assert burst_bytes(4000) == 4 * 262_144


@given(RATES, RATES)
def test_a_faster_link_never_has_a_smaller_burst(one: float, other: float) -> None:
    """Bursts never shrink with the rate, and always hold a packet."""
    low, high = sorted((one, other))
    assert 1514 < burst_bytes(low) <= burst_bytes(high)


@given(RATES)
def test_a_shaper_has_room_for_what_tcp_hands_over(mbit: float) -> None:
    """Rate is in bytes per second; beside the bucket there is room for several packets of 64 KiB and 50 ms of rate."""
    parameters = shape(mbit)
    assert parameters["rate"] == round(mbit * 1e6 / 8)
    assert parameters["burst"] == burst_bytes(mbit)
    queue = parameters["limit"] - parameters["burst"]
    assert queue == max(QUEUE_LEAST_BYTES, round(parameters["rate"] / 20))


def test_addresses_are_of_the_network_for_benchmarks() -> None:
    """Hosts are numbered from 198.18.0.1 on, beyond 255 too: not a private network, which libtorrent exempts."""
    assert [address(index) for index in (0, 1, 253, 254, 255)] == [
        "198.18.0.1",
        "198.18.0.2",
        "198.18.0.254",
        "198.18.0.255",
        "198.18.1.0",
    ]


@given(st.lists(st.builds(HostPlan, st.text(min_size=1), st.none() | RATES, st.none() | RATES)))
def test_a_plan_survives_its_way_to_the_keeper(plan: list[HostPlan]) -> None:
    """What the harness sends as JSON is what the keeper reads."""
    assert plan_from(json.loads(json.dumps([asdict(host) for host in plan]))) == plan


def test_a_link_is_recorded_with_its_bursts() -> None:
    """The race card's record of a link has both rates and both bursts, null where it is not shaped."""
    assert HostPlan("seeder-1", up_mbit=20).link() == {
        "up_mbit": 20,
        "down_mbit": None,
        "up_burst_bytes": burst_bytes(20),
        "down_burst_bytes": None,
    }


def test_a_kernel_without_tbf_is_told_in_words() -> None:
    """The error names the step, the kernel module and the kernel's own word; a link not shaped asks for nothing."""
    link = KernelWithoutTbf()
    _shape(link, 2, None)
    assert link.asked == []
    with pytest.raises(
        WiringError, match=r"shape a link to 20 Mbit/s with tbf \(kernel module sch_tbf\): .*No such file"
    ):
        _shape(link, 2, 20)
    assert link.asked == ["add tbf"]
