"""Who may come in."""

from __future__ import annotations

from network import NetworkArgs, ingress


def opened(args: NetworkArgs) -> set[tuple[object, ...]]:
    """Return protocol, port and block of each rule; a block of None is the group itself."""
    rules = ingress(args)
    for rule in rules:
        assert rule.from_port == rule.to_port
    return {
        (rule.protocol, rule.from_port, *(rule.cidr_blocks if isinstance(rule.cidr_blocks, list) else [None]))
        for rule in rules
    }


def test_default() -> None:
    """SSH from one block, everything from the machines of the group, and nothing else."""
    assert opened(NetworkArgs("203.0.113.9/32")) == {("tcp", 22, "203.0.113.9/32"), ("-1", 0, None)}


def test_reach_me() -> None:
    """One more block may reach the tracker's and the seeder's port, over TCP and UDP."""
    more = opened(NetworkArgs("203.0.113.9/32", "198.51.100.7/32")) - opened(NetworkArgs("203.0.113.9/32"))
    assert more == {(protocol, port, "198.51.100.7/32") for protocol in ("tcp", "udp") for port in (6969, 6881)}
