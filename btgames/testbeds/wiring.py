"""
Hosts as network namespaces, joined by a bridge and shaped by tbf. Runs inside the keeper's private namespaces only.

Each host has a veth pair: ``eth0`` in its own namespace, the other end a port of the bridge in the keeper's. Upload is
shaped on eth0, download on the port; software rate limits are something else, and netem is not everywhere. Nothing else
crosses the wire: no IPv6 and no multicast on it, neighbours are known from the start.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from btgames.testbeds import HostPlan, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMESPACES = Path("/run/netns")
NETWORK = ipaddress.IPv4Network("198.18.0.0/15")
"""
Set aside for benchmarks (RFC 2544, RFC 6890). libtorrent exempts peers at 10.x and its like from rate limits as local.
"""
_NEIGHBOUR_PERMANENT = 0x80  # NUD_PERMANENT of linux/neighbour.h


class WiringError(Exception):
    """A step of the wiring failed; its cause is the kernel's word."""


def address(index: int) -> str:
    """Return the IPv4 address of the host at this place in the plan, from 0."""
    return str(NETWORK[index + 1])


def wire(plan: Sequence[HostPlan]) -> None:
    """
    Make, join and shape all hosts.

    Raises:
        WiringError: the kernel lacks something, with what it was.

    """
    with _step("make a bridge"), IPRoute() as switch:
        _quiet()
        # A bridge that snoops on multicast announces itself to its ports.
        switch.link("add", ifname="switch", kind="bridge", br_mcast_snooping=0)
        (bridge,) = switch.link_lookup(ifname="switch")
        switch.link("set", index=bridge, state="up")
        for index, host in enumerate(plan):
            _join(switch, bridge, index, host)
    for index, host in enumerate(plan):
        with _step(f"set up the interface of {host.name}"), _inside(host.name), IPRoute() as inside:
            _set_up(inside, index, host, count=len(plan))


def _join(switch: IPRoute, bridge: int, index: int, host: HostPlan) -> None:
    """Make a host's namespace and lay a cable from it to the bridge."""
    path = str(NAMESPACES / host.name)
    with _step(f"make a network namespace for {host.name}"):
        netns.create(path)
        with _inside(host.name):
            _quiet()
    port = f"port{index}"
    with _step(f"lay a veth cable to {host.name}"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            far = {"ifname": "eth0", "address": _mac(index), "net_ns_fd": descriptor}
            switch.link("add", ifname=port, kind="veth", peer=far)
        finally:
            os.close(descriptor)
        (near,) = switch.link_lookup(ifname=port)
        switch.link("set", index=near, master=bridge, state="up")
        # Multicast ends here, as it does in EC2 and at anybody's router: local peer discovery (BEP 14) would find
        # hosts that only the tracker should tell of, and two that find each other at once drop both connections.
        switch.brport("set", index=near, mcast_flood=0)
    _shape(switch, near, host.down_mbit)


def _set_up(inside: IPRoute, index: int, host: HostPlan, count: int) -> None:
    """Give a host its address, its shaped interface and its neighbours; no route leads anywhere else."""
    (loopback,) = inside.link_lookup(ifname="lo")
    (eth0,) = inside.link_lookup(ifname="eth0")
    inside.link("set", index=loopback, state="up")
    inside.addr("add", index=eth0, address=address(index), prefixlen=NETWORK.prefixlen)
    inside.link("set", index=eth0, state="up")
    _shape(inside, eth0, host.up_mbit)
    for other in range(count):
        if other != index:
            # Known beforehand, so that no first packet waits for an ARP answer behind a full queue.
            inside.neigh("add", dst=address(other), lladdr=_mac(other), ifindex=eth0, state=_NEIGHBOUR_PERMANENT)


def _shape(link: IPRoute, index: int, mbit: float | None) -> None:
    if mbit is None:
        return
    with _step(f"shape a link to {mbit:g} Mbit/s with tbf (kernel module sch_tbf)"):
        link.tc("add", "tbf", index=index, handle="1:", **shape(mbit))


def _quiet() -> None:
    """In the current namespace: nothing goes over the wire unasked, and TCP forgets earlier connections."""
    settings = {
        "ipv6/conf/default/disable_ipv6": "1",  # of interfaces to come; ::1 stays
        "ipv4/tcp_no_metrics_save": "1",  # or an earlier heat's congestion helps or hurts the next one
        "ipv4/tcp_max_tw_buckets": "0",  # no TIME_WAIT: or a port of an earlier heat is in use for a minute more
    }
    for name, value in settings.items():
        path = Path("/proc/sys/net", name)
        if path.exists():  # a kernel without IPv6 has nothing to switch off
            path.write_text(value, encoding="ascii")


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """Be in a host's network namespace for a while."""
    netns.pushns(str(NAMESPACES / name))
    try:
        yield
    finally:
        netns.popns()


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Turn the kernel's refusal into words."""
    try:
        yield
    except (OSError, NetlinkError, ValueError) as error:
        raise WiringError(f"cannot {what}: {error}") from error


def _mac(index: int) -> str:
    """Return a locally administered address that follows from the host's place."""
    return "02:00:" + ipaddress.IPv4Address(address(index)).packed.hex(":")


def plan_from(record: list[dict[str, Any]]) -> list[HostPlan]:
    """Return the plan that came as JSON."""
    return [HostPlan(**host) for host in record]
