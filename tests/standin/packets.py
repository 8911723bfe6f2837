"""What the region's router lets through, as text for nftables: security groups, public addresses, and a way out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

UP = "uplink"  # the router's link to this machine
EVERYWHERE = "0.0.0.0/0"
NOT_PUBLIC = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
)


@dataclass(frozen=True)
class Rule:
    """One permission of a security group. Ports are types and codes where the protocol is ICMP, as in AWS."""

    protocol: str  # "tcp", "udp", "icmp", or "-1": all
    from_port: int = 0
    to_port: int = 0
    cidrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # whose members are meant; the group itself, too, where AWS says `self`

    def match(self) -> str:
        """Return what a packet is like, addresses aside."""
        if self.protocol == "-1":
            return ""
        if self.protocol == "icmp":
            return "meta l4proto icmp " + (f"icmp type {self.from_port} " if self.from_port >= 0 else "")
        return f"{self.protocol} dport {self.from_port}-{self.to_port} "


@dataclass(frozen=True)
class Group:
    """A security group."""

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Sequence[Mapping[str, object]]]) -> Group:
        """Return a group from what JSON gives."""
        return cls(*(tuple(map(_rule, data.get(way, ()))) for way in ("ingress", "egress")))


OPEN = Group(ingress=(Rule("-1", cidrs=(EVERYWHERE,)),), egress=(Rule("-1", cidrs=(EVERYWHERE,)),))


@dataclass(frozen=True)
class Port:
    """A machine as the router sees it."""

    link: str
    private: str
    public: str
    groups: tuple[str, ...] = field(default=())
    cut: bool = False  # no packet passes
    offline: bool = False  # none to the internet


def router(ports: Sequence[Port], groups: Mapping[str, Group], resolvers: Sequence[str]) -> str:
    """
    Return the rules of the region's router.

    Machines of one subnet speak through it as well, since it answers for all addresses: so groups hold among them.
    """
    lines = ["table inet standin", "delete table inet standin", "table inet standin {"]
    lines += ["chain prerouting { type nat hook prerouting priority dstnat;"]
    lines += [f"ip daddr {port.public} dnat ip to {port.private};" for port in ports if port.public]
    lines += ["}", "chain postrouting { type nat hook postrouting priority srcnat;"]
    # Who calls a neighbour by its public address comes from its own public one, hence is no member of a group.
    for way in (f'oifname "{UP}"', "ct status dnat"):
        lines += [f"{way} ip saddr {port.private} snat ip to {port.public};" for port in ports if port.public]
    lines += ["}", "chain forward { type filter hook forward priority filter; policy drop;"]
    lines += [f'{way}ifname "{port.link}" drop;' for port in ports if port.cut for way in "io"]
    lines += [f'iifname "{port.link}" ip saddr != {port.private} drop;' for port in ports]
    lines += ["ct state established,related accept;", *to_resolvers(resolvers)]
    lines += [f'iifname "{port.link}" jump {port.link}_egress;' for port in ports]
    lines += [f'oifname "{port.link}" jump {port.link}_ingress;\noifname "{port.link}" accept;' for port in ports]
    lines += [f'oifname "{UP}" iifname "{port.link}" drop;' for port in ports if not port.public]
    lines += [f'oifname "{UP}" iifname "{port.link}" reject;' for port in ports if port.offline]  # soon over
    lines += [f'iifname != "{UP}" oifname "{UP}" accept;', "}"]
    for port in ports:
        members = {name: [other.private for other in ports if name in other.groups] for name in groups}
        of = [groups[name] for name in port.groups]
        lines += _chain(f"{port.link}_egress", "daddr", [rule for group in of for rule in group.egress], members)
        lines += _chain(f"{port.link}_ingress", "saddr", [rule for group in of for rule in group.ingress], members)
    return "\n".join([*lines, "}", ""])


def machine(table: str, link: str, network: str, resolvers: Sequence[str]) -> str:
    """Return the rules of this machine: those behind the link reach package registries, and nothing of the machine."""
    lines = [f"table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]
    lines += ["chain input { type filter hook input priority filter;", f'iifname != "{link}" accept;']
    lines += ["ct state established,related accept;", "icmp type echo-request accept;", "drop;", "}"]
    lines += ["chain forward { type filter hook forward priority filter;"]
    lines += [f'iifname != "{link}" oifname != "{link}" accept;', "ct state established,related accept;"]
    lines += [f'oifname "{link}" drop;', *to_resolvers(resolvers), f"ip daddr {{ {', '.join(NOT_PUBLIC)} }} drop;"]
    lines += ["tcp flags syn tcp option maxseg size set rt mtu;", "tcp dport { 80, 443 } accept;", "drop;", "}"]
    lines += ["chain postrouting { type nat hook postrouting priority srcnat;"]
    lines += [f'ip saddr {network} oifname != "{link}" masquerade;', "}", "}", ""]
    return "\n".join(lines)


def to_resolvers(resolvers: Sequence[str]) -> list[str]:
    """Return rules that let questions of names pass: security groups know nothing of them, in AWS neither."""
    return [f"ip daddr {address} meta l4proto {{ tcp, udp }} th dport 53 accept;" for address in resolvers]


def _chain(name: str, end: str, rules: Iterable[Rule], members: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"chain {name} {{"
    for rule in rules:
        for cidr in rule.cidrs:
            yield f"ip {end} {ipaddress.ip_network(cidr)} {rule.match()}return;"
        for address in sorted({address for group in rule.groups for address in members.get(group, [])}):
            yield f"ct status & dnat == 0 ip {end} {address} {rule.match()}return;"
    yield from ("drop;", "}")


def _rule(data: Mapping[str, object]) -> Rule:
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
    return Rule(**{**data, **lists})  # type: ignore[arg-type]  # Rule itself says what it does not know
