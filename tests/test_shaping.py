"""Shaping a machine's link: the commands, and what they do to real traffic."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from btgames.agents import shaping
from btgames.agents.shaping import Link, ShapingError
from btgames.hosts import Agent
from btgames.testbeds import HostPlan, shape
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.hosts.namespace import NamespaceHost

SHAPE = {"rate": 1_250_000, "burst": 16_384, "limit": 278_528}
FULL = Link("ens5", ["10.0.0.2", "10.0.0.3"], up=SHAPE, down=SHAPE, ssh_port=2222, uids=[64_000, 64_999])

HTB = ["htb", "rate", "1250000bps", "ceil", "1250000bps", "burst", "16384", "cburst", "16384", "quantum", "60000"]
TCP = ["match", "ip", "protocol", "6", "0xff"]
UP = [
    ["tc", "qdisc", "add", "dev", "ens5", "root", "handle", "b7:", "htb", "default", "0"],
    ["tc", "class", "add", "dev", "ens5", "parent", "b7:", "classid", "b7:1", *HTB],
    ["tc", "qdisc", "add", "dev", "ens5", "parent", "b7:1", "bfifo", "limit", "278528"],
]
TO = ["tc", "filter", "add", "dev", "ens5", "parent", "b7:", "protocol", "ip", "prio"]
UP_FILTERS = [
    [*TO, "1", "u32", *TCP, "match", "ip", "sport", "2222", "0xffff", "flowid", "b7:0"],
    [*TO, "2", "u32", "match", "ip", "dst", "10.0.0.2/32", "flowid", "b7:1"],
    [*TO, "2", "u32", "match", "ip", "dst", "10.0.0.3/32", "flowid", "b7:1"],
]
TBF = ["tbf", "rate", "1250000bps", "burst", "16384", "limit", "278528"]
DOWN = [
    ["ip", "link", "add", "btgames-in", "type", "ifb"],
    ["ip", "link", "set", "btgames-in", "up"],
    ["tc", "qdisc", "add", "dev", "btgames-in", "root", *TBF],
    ["tc", "qdisc", "add", "dev", "ens5", "handle", "ffff:", "ingress"],
]
FROM = ["tc", "filter", "add", "dev", "ens5", "parent", "ffff:", "protocol", "ip", "prio"]
AWAY = ["action", "mirred", "egress", "redirect", "dev", "btgames-in"]
DOWN_FILTERS = [
    [*FROM, "1", "u32", *TCP, "match", "ip", "dport", "2222", "0xffff", "flowid", "1:1"],
    [*FROM, "2", "u32", "match", "ip", "src", "10.0.0.2/32", *AWAY],
    [*FROM, "2", "u32", "match", "ip", "src", "10.0.0.3/32", *AWAY],
]
WHO = ["uidrange", "64000-64999"]
FENCE = [
    ["ip", "-4", "rule", "add", "pref", "7101", *WHO, "to", "10.0.0.2/32", "lookup", "main"],
    ["ip", "-4", "rule", "add", "pref", "7101", *WHO, "to", "10.0.0.3/32", "lookup", "main"],
    ["ip", "-4", "rule", "add", "pref", "7102", *WHO, "prohibit"],
    ["ip", "-6", "rule", "add", "pref", "7102", *WHO, "prohibit"],
]


class Kernel:
    """Commands that are recorded, not run. `qdiscs` is what tc shows; what deletes finds nothing."""

    def __init__(self) -> None:
        self.qdiscs: list[dict[str, Any]] = [{"kind": "fq_codel", "handle": "0:", "root": True}]
        self.refuse = ""  # the command that fails
        self.ifb = False
        self.asked: list[list[str]] = []

    def run(self, argv: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        """Answer in tc's and ip's place."""
        command = " ".join(argv)
        self.asked.append(list(argv))
        if self.refuse and self.refuse in command:
            return subprocess.CompletedProcess(argv, 2, "", "RTNETLINK answers:\nOperation not permitted\n")
        if "qdisc show" in command:
            return subprocess.CompletedProcess(argv, 0, json.dumps(self.qdiscs), "")
        gone = " rule del " in command or (" link show " in command and not self.ifb)
        return subprocess.CompletedProcess(argv, int(gone), "", "")

    def made(self) -> list[list[str]]:
        """Return what was asked that is to last."""
        return [argv for argv in self.asked if {"add", "set"} & set(argv)]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Put a recorder in the place of subprocess."""
    made = Kernel()
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(shaping, "_IPV6", Path("/proc"))
    return made


# The commands.


def test_a_link_is_shaped_both_ways_and_fenced(kernel: Kernel) -> None:
    """Upload is a class of htb, download an ifb device with a tbf; SSH is sorted out first; uids reach peers only."""
    shaping.shape(FULL)
    assert kernel.made() == [*UP, *UP_FILTERS, *DOWN, *DOWN_FILTERS, *FENCE]


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        (Link("ens5", ["10.0.0.2"]), []),
        (Link("ens5", ["10.0.0.2"], up=SHAPE, ssh_port=2222), [*UP, *UP_FILTERS[:2]]),
        (Link("ens5", ["10.0.0.2"], uids=[64_000, 64_999]), [FENCE[0], *FENCE[2:]]),
    ],
)
def test_what_is_not_asked_for_is_not_done(kernel: Kernel, link: Link, wanted: list[list[str]]) -> None:
    """A direction without a rate has no qdisc, a link without uids no rules."""
    shaping.shape(link)
    assert kernel.made() == wanted


def test_a_kernel_without_ipv6_needs_no_fence_there(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where IPv6 does not exist, nothing is asked of it: it would fail."""
    monkeypatch.setattr(shaping, "_IPV6", Path("/nowhere"))
    shaping.shape(FULL)
    assert kernel.made()[-3:] == FENCE[:3]


@pytest.mark.parametrize(
    ("qdisc", "remedy"),
    [
        ({"kind": "htb", "handle": "1:", "root": True}, "tc qdisc del dev ens5 root"),
        ({"kind": "fq", "handle": "8001:", "root": True}, "tc qdisc del dev ens5 root"),
        ({"kind": "ingress", "handle": "ffff:"}, "tc qdisc del dev ens5 ingress"),
        ({"kind": "clsact", "handle": "ffff:"}, "tc qdisc del dev ens5 clsact"),
    ],
)
def test_a_qdisc_of_somebody_elses_is_refused(kernel: Kernel, qdisc: dict[str, Any], remedy: str) -> None:
    """What a person has set up is named with the command that removes it, and nothing is made or deleted."""
    kernel.qdiscs = [qdisc]
    with pytest.raises(ShapingError, match=f"a {qdisc['kind']} qdisc of somebody else's.*{remedy}"):
        shaping.shape(FULL)
    assert kernel.made() == []
    assert not [argv for argv in kernel.asked if argv[0] == "tc" and "del" in argv]


@pytest.mark.parametrize(
    "qdiscs",
    [
        [],
        [{"kind": "noqueue", "handle": "0:", "root": True}],
        [{"kind": "mq", "handle": "8001:", "root": True}, {"kind": "fq_codel", "handle": "0:", "parent": ":1"}],
        [{"kind": "pfifo_fast", "handle": "0:", "root": True}],
    ],
)
def test_the_kernels_own_qdiscs_make_way(kernel: Kernel, qdiscs: list[dict[str, Any]]) -> None:
    """What the kernel gives an interface by itself is no obstacle: it comes back by itself."""
    kernel.qdiscs = qdiscs
    shaping.shape(FULL)
    assert kernel.made()


def test_a_foreign_qdisc_does_no_harm_to_a_race_that_shapes_nothing(kernel: Kernel) -> None:
    """Without rates the interface is not looked at."""
    kernel.qdiscs = [{"kind": "htb", "handle": "1:", "root": True}]
    shaping.shape(Link("ens5", ["10.0.0.2"], uids=[64_000, 64_999]))


def test_what_a_killed_race_left_is_ours_to_undo(kernel: Kernel) -> None:
    """Our root qdisc is known by its handle, our ingress qdisc by the ifb device; both go, with the rules."""
    kernel.qdiscs, kernel.ifb = [{"kind": "htb", "handle": "b7:", "root": True}], True
    shaping.restore("ens5")
    assert [argv for argv in kernel.asked if "del" in argv and "rule" not in argv] == [
        ["tc", "qdisc", "del", "dev", "ens5", "root"],
        ["tc", "qdisc", "del", "dev", "ens5", "ingress"],
        ["ip", "link", "del", "btgames-in"],
    ]
    assert len([argv for argv in kernel.asked if "rule" in argv]) == 4


def test_a_refusal_of_the_kernel_is_quoted_in_one_line(kernel: Kernel) -> None:
    """The command and what it said are in the error."""
    kernel.refuse = "type ifb"
    with pytest.raises(ShapingError) as refused:
        shaping.shape(FULL)
    assert str(refused.value) == "ip link add btgames-in type ifb: RTNETLINK answers: Operation not permitted"


def test_a_machine_without_iproute2_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is named, with its package."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ShapingError, match="ip is not here: install iproute2"):
        shaping.interface_to("127.0.0.1")


# The real thing: `here` is a race host among others, `peer` another, `other` is none.

RATE_MBIT = 40.0
WANTED_MBIT = 0.957 * RATE_MBIT
SECONDS = 1.3
SETTLE_S = 0.3
DEADLINE_S = 20.0
UIDS = [64_000, 64_999]
SHAPING = (
    "import json, sys\nfrom btgames.agents import shaping\n"
    "try:\n shaping.shape(shaping.Link(**json.loads(sys.argv[1])))\n"
    "except shaping.ShapingError as error:\n sys.exit(str(error))\n"
)
RESTORE = "from btgames.agents import shaping; shaping.restore('eth0')"
# As sshd would: data that leaves from the port on which it listens.
SERVE = """
import socket, time
with socket.create_server(("", 2222)) as listener:
    print("up", flush=True)
    connection, _ = listener.accept()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        connection.send(bytes(100_000))
    connection.close()
"""
FETCH = """
import socket, sys, time
total, began = 0, time.monotonic()
with socket.create_connection((sys.argv[1], 2222)) as connection:
    while chunk := connection.recv(1_000_000):
        total += len(chunk)
print(total * 8e-6 / (time.monotonic() - began))
"""
KNOCK = """
import os, socket, sys
try:
    with socket.create_connection((sys.argv[1], 6969), timeout=5):
        print("open")
except OSError as error:
    print(error.strerror)
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, NamespaceHost]]:
    """Give three hosts on one wire that nobody has shaped."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))
    if os.geteuid() != 0:
        pytest.skip("the uids of contestants, which are to be fenced in, need root")
    with LocalTestbed([HostPlan("here"), HostPlan("peer"), HostPlan("other")], memory_bytes=1 << 20) as testbed:
        yield dict(testbed.hosts)


@pytest.fixture
def here(hosts: dict[str, NamespaceHost]) -> Iterator[NamespaceHost]:
    """Give the host whose link is shaped; afterwards it is not."""
    host = hosts["here"]
    yield host
    host.run([host.python, "-c", RESTORE])


def shape_it(hosts: dict[str, NamespaceHost], *, check: bool = True, **more: object) -> str:
    """Shape the link of `here` towards `peer`; return what it said."""
    here = hosts["here"]
    link = {"interface": "eth0", "peers": [hosts["peer"].address], "up": shape(RATE_MBIT), "down": shape(RATE_MBIT)}
    done = here.run([here.python, "-c", SHAPING, json.dumps({**link, **more})], check=check)
    return done.err.decode()


def goodput_mbit(sender: NamespaceHost, receiver: NamespaceHost) -> float:
    """Return TCP goodput from one host to another."""
    with Agent(receiver, "stream") as sink, Agent(sender, "stream") as source:
        port = sink.ask("listen")["port"]
        sink.tell("receive", settle_s=SETTLE_S)
        source.ask("send", address=receiver.address, port=port, seconds=SECONDS, timeout_s=DEADLINE_S)
        received = sink.hear(DEADLINE_S)
    assert received is not None
    return float(received["mbit"])


def state(host: NamespaceHost) -> list[bytes]:
    """Return all that shaping changes on a host."""
    show = ["tc qdisc show", "tc filter show dev eth0", "tc filter show dev eth0 parent ffff:", "ip rule", "ip -6 rule"]
    return [host.run(["sh", "-c", f"{command} 2>/dev/null; true"]).out for command in (*show, "ip -o link")]


@pytest.mark.testbed
class TestRealTraffic:
    """Three hosts on a wire, one of them shaped."""

    @pytest.mark.parametrize(("sender", "receiver"), [("here", "peer"), ("peer", "here")])
    def test_between_race_hosts_the_link_carries_its_rate(
        self, hosts: dict[str, NamespaceHost], here: NamespaceHost, sender: str, receiver: str
    ) -> None:
        """TCP goodput to and from a peer is what Ethernet, IP and TCP leave of the rate."""
        del here
        shape_it(hosts)
        assert goodput_mbit(hosts[sender], hosts[receiver]) == pytest.approx(WANTED_MBIT, rel=0.04)

    @pytest.mark.parametrize(("sender", "receiver"), [("here", "other"), ("other", "here")])
    def test_everything_else_passes_as_ever(
        self, hosts: dict[str, NamespaceHost], here: NamespaceHost, sender: str, receiver: str
    ) -> None:
        """Traffic with a machine that is no race host is not shaped, in either direction."""
        del here
        shape_it(hosts)
        assert goodput_mbit(hosts[sender], hosts[receiver]) > 5 * RATE_MBIT

    def test_ssh_is_not_shaped_even_with_a_race_host(
        self, hosts: dict[str, NamespaceHost], here: NamespaceHost
    ) -> None:
        """What leaves from SSH's port, and what arrives there, is not a heat's."""
        peer = hosts["peer"]
        shape_it(hosts, ssh_port=2222)
        server = here.start([here.python, "-c", SERVE])
        assert server.receive(DEADLINE_S) == b"up\n"
        assert float(peer.run([peer.python, "-c", FETCH, here.address]).out) > 5 * RATE_MBIT
        server.stop()
        with Agent(here, "stream") as sink, Agent(peer, "stream") as source:
            port = sink.ask("listen")["port"]
            shape_it(hosts, ssh_port=port)
            sink.tell("receive", settle_s=SETTLE_S)
            source.ask("send", address=here.address, port=port, seconds=SECONDS, timeout_s=DEADLINE_S)
            received = sink.hear(DEADLINE_S)
        assert received
        assert received["mbit"] > 5 * RATE_MBIT

    def test_restoring_brings_back_what_was(self, hosts: dict[str, NamespaceHost], here: NamespaceHost) -> None:
        """Qdiscs, filters, rules and links are as they were before, after two races as after one."""
        before = state(here)
        for _ in range(2):
            shape_it(hosts, uids=UIDS)
        shaped = state(here)
        assert b"qdisc htb b7: dev eth0 root" in shaped[0]
        assert shaped[3].count(b"64000-64999") == 2, "one rule for the peer, one for the rest"
        here.run([here.python, "-c", RESTORE])
        assert state(here) == before

    @pytest.mark.parametrize(
        "qdisc", ["root handle 1: htb", "root handle 1: tbf rate 1mbit burst 10k latency 9ms", "ingress", "clsact"]
    )
    def test_a_foreign_qdisc_is_left_alone(
        self, hosts: dict[str, NamespaceHost], here: NamespaceHost, qdisc: str
    ) -> None:
        """A qdisc of somebody else's is refused in one line, and is there afterwards as it was, restored or not."""
        here.run(["sh", "-c", f"tc qdisc add dev eth0 {qdisc}"])
        try:
            before = state(here)
            words = shape_it(hosts, check=False)
            assert "qdisc of somebody else's, which a race does not touch: remove it" in words
            assert words.count("\n") == 1
            here.run([here.python, "-c", RESTORE])
            assert state(here) == before
        finally:
            here.run(["tc", "qdisc", "del", "dev", "eth0", qdisc.split(maxsplit=1)[0]])

    def test_what_the_error_advises_helps(self, hosts: dict[str, NamespaceHost], here: NamespaceHost) -> None:
        """After the command that the error names, the link is shaped."""
        here.run(["sh", "-c", "tc qdisc add dev eth0 root handle 1: htb"])
        remedy = shape_it(hosts, check=False).partition("remove it, ")[2].partition(",")[0]
        here.run(remedy.split())
        assert shape_it(hosts) == ""

    def test_contestants_reach_race_hosts_only(self, hosts: dict[str, NamespaceHost], here: NamespaceHost) -> None:
        """A uid of contestants reaches the peer and the host itself, nobody else; other uids reach all."""
        listen = "import socket\ns = socket.create_server(('', 6969))\nprint('up', flush=True)\nwhile 1: s.accept()"
        servers = [host.start([host.python, "-c", listen]) for host in hosts.values()]
        assert [server.receive(DEADLINE_S) for server in servers] == [b"up\n"] * 3
        shape_it(hosts, uids=UIDS)

        def knock(uid: int, name: str) -> str:
            who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
            python = "/usr/bin/python3"  # of the system: no other user may enter everyone's home
            return here.run([*who, python, "-c", KNOCK, hosts[name].address]).out.decode().strip()

        found = {uid: [knock(uid, name) for name in hosts] for uid in (0, *UIDS, UIDS[1] + 1)}
        for server in servers:
            server.stop(grace_s=0)
        assert found == {
            0: ["open", "open", "open"],
            UIDS[0]: ["open", "open", "Permission denied"],
            UIDS[1]: ["open", "open", "Permission denied"],
            UIDS[1] + 1: ["open", "open", "open"],
        }

    def test_the_interface_is_the_way_to_a_peer(self, hosts: dict[str, NamespaceHost], here: NamespaceHost) -> None:
        """The interface to be shaped is found by asking for the route; where there is none, the kernel is quoted."""
        ask = "import sys; from btgames.agents import shaping; print(shaping.interface_to(sys.argv[1]))"
        found = here.run([here.python, "-c", ask, hosts["peer"].address]).out
        assert found == b"eth0\n"
        failed = here.run([here.python, "-c", ask, "192.0.2.1"], check=False)
        assert b"ShapingError: ip -json route get 192.0.2.1: RTNETLINK answers: Network is unreachable" in failed.err
