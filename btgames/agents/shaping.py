"""
A machine's link, shaped by tc between race hosts only; SSH and everything else pass as ever, and all is restored.

Upload is an htb class on the interface, into which only what goes to race hosts is sorted; everything else is htb's
direct traffic, which is not shaped. Download is redirected to an ifb device with a tbf, as in the local testbed. SSH
passes by both, should the harness sit on a race host. A qdisc that somebody has set up himself is never touched.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

IFB = "btgames-in"
ROOT = "b7:"
"""Handle of our root qdisc, by which what an earlier race has left is known as ours."""

_IPV6 = Path("/proc/sys/net/ipv6")  # not there where the kernel has been started without
_INGRESS = "ffff:"
_RULE_PEERS, _RULE_REST = "7101", "7102"  # preferences of our routing rules, by which they are taken away


class ShapingError(Exception):
    """The link cannot be shaped; says why and what to do."""


@dataclass(frozen=True)
class Link:
    """A link as a race wants it. Shapes are tbf's parameters: rate in bytes per second, burst and limit in bytes."""

    interface: str
    peers: List[str]  # IPv4 addresses of the other race hosts
    up: Dict[str, int] | None = None  # None: not shaped
    down: Dict[str, int] | None = None
    ssh_port: int = 22
    uids: List[int] | None = None  # of contestants, who may reach the peers and nothing else


def interface_to(peer: str) -> str:
    """Return the interface through which a peer is reached."""
    out = _run("ip", "-json", "route", "get", peer)
    return str(json.loads(out)[0]["dev"])


def shape(link: Link) -> None:
    """
    Shape the link, and fence contestants in.

    Raises:
        ShapingError: somebody else shapes this interface, or the kernel cannot.

    """
    restore(link.interface)
    if link.up is not None or link.down is not None:
        _refuse_others(link.interface)
    for argv in (*_up(link), *_down(link), *_fence(link)):
        _run(*argv)


def restore(interface: str) -> None:
    """Undo all that `shape` does, whatever of it was done."""
    if any(each.get("handle") == ROOT for each in _qdiscs(interface)):
        _try("tc", "qdisc", "del", "dev", interface, "root")
    if _there(IFB):  # the ingress qdisc is ours only where the ifb device is there
        _try("tc", "qdisc", "del", "dev", interface, "ingress")
        _try("ip", "link", "del", IFB)
    for family in ("-4", "-6"):
        for preference in (_RULE_PEERS, _RULE_REST):
            while _try("ip", family, "rule", "del", "pref", preference):
                pass


def _up(link: Link) -> List[List[str]]:
    if link.up is None:
        return []
    on = ["dev", link.interface]
    rate, burst = f"{link.up['rate']}bps", str(link.up["burst"])
    htb = ["htb", "rate", rate, "ceil", rate, "burst", burst, "cburst", burst, "quantum", "60000"]
    return [
        ["tc", "qdisc", "add", *on, "root", "handle", ROOT, "htb", "default", "0"],
        ["tc", "class", "add", *on, "parent", ROOT, "classid", f"{ROOT}1", *htb],
        ["tc", "qdisc", "add", *on, "parent", f"{ROOT}1", "bfifo", "limit", str(link.up["limit"])],
        [*_filter(on, ROOT, 1), *_ssh("sport", link.ssh_port), "flowid", f"{ROOT}0"],
        *([*_filter(on, ROOT, 2), "match", "ip", "dst", f"{peer}/32", "flowid", f"{ROOT}1"] for peer in link.peers),
    ]


def _down(link: Link) -> List[List[str]]:
    if link.down is None:
        return []
    on = ["dev", link.interface]
    tbf = ["tbf", "rate", f"{link.down['rate']}bps", "burst", str(link.down["burst"]), "limit", str(link.down["limit"])]
    away = ["action", "mirred", "egress", "redirect", "dev", IFB]
    return [
        ["ip", "link", "add", IFB, "type", "ifb"],
        ["ip", "link", "set", IFB, "up"],
        ["tc", "qdisc", "add", "dev", IFB, "root", *tbf],
        ["tc", "qdisc", "add", *on, "handle", _INGRESS, "ingress"],
        [*_filter(on, _INGRESS, 1), *_ssh("dport", link.ssh_port), "flowid", "1:1"],
        *([*_filter(on, _INGRESS, 2), "match", "ip", "src", f"{peer}/32", *away] for peer in link.peers),
    ]


def _fence(link: Link) -> List[List[str]]:
    """Let contestants' packets go to race hosts only: not to the internet, nor to the cloud's metadata service."""
    if link.uids is None:
        return []
    who = ["uidrange", f"{link.uids[0]}-{link.uids[1]}"]
    rule = ["ip", "-4", "rule", "add", "pref"]
    return [
        *([*rule, _RULE_PEERS, *who, "to", f"{peer}/32", "lookup", "main"] for peer in link.peers),
        [*rule, _RULE_REST, *who, "prohibit"],
        *([["ip", "-6", "rule", "add", "pref", _RULE_REST, *who, "prohibit"]] if _IPV6.is_dir() else []),
    ]


def _filter(on: List[str], parent: str, priority: int) -> List[str]:
    return ["tc", "filter", "add", *on, "parent", parent, "protocol", "ip", "prio", str(priority), "u32"]


def _ssh(direction: str, port: int) -> List[str]:
    return ["match", "ip", "protocol", "6", "0xff", "match", "ip", direction, str(port), "0xffff"]


def _refuse_others(interface: str) -> None:
    """Raise where a qdisc has a handle: the kernel's own defaults have none, what a person has set up has one."""
    for each in _qdiscs(interface):
        root = each.get("root") and each.get("handle", "0:") != "0:" and each.get("kind") != "mq"
        if root or each.get("kind") in {"ingress", "clsact"}:
            raise ShapingError(
                f"{interface} has a {each['kind']} qdisc of somebody else's, which a race does not touch: remove it, "
                f"tc qdisc del dev {interface} {'root' if root else each['kind']}, or race on links not shaped"
            )


def _qdiscs(interface: str) -> List[Dict[str, Any]]:
    return list(json.loads(_run("tc", "-json", "qdisc", "show", "dev", interface) or "[]"))


def _there(interface: str) -> bool:
    return _try("ip", "link", "show", interface)


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ShapingError(f"{argv[0]} is not here: install iproute2") from error
    if done.returncode:
        raise ShapingError(f"{' '.join(argv)}: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout


def _try(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
