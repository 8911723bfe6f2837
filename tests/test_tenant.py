"""The tenant: what a race has on a machine of somebody's, and that all is given back however it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Self

import pytest
from games import wait_for

from btgames.errors import HostError
from btgames.hosts.namespace import NamespaceHost
from btgames.testbeds import HostPlan, shape
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.hosts import Finished
    from btgames.hosts.process import PipedProcess

pytestmark = pytest.mark.testbed

MEMORY_BYTES = 4 << 20
DEADLINE_S = 20.0
# What the machine is like: tenants' processes, links, qdiscs, rules, mounts of the machine's own mount namespace.
STATE = """
ours='b[t]games.agents|sleep 100[0]'
for each in /proc/[0-9]*; do tr '\\0' ' ' <$each/cmdline; echo; done 2>/dev/null | grep -E "$ours"
ip -o link; tc qdisc show; ip rule; ip -6 rule; cat /proc/self/mountinfo; ls /run | grep -v btgames.lock
"""
LOCK = "/run/btgames.lock"


@pytest.fixture(scope="module")
def machine() -> Iterator[NamespaceHost]:
    """Give a host of this machine as the machine on which tenants live; it has a neighbour."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))
    if os.geteuid() != 0:
        pytest.skip("a tenant runs as root")
    with LocalTestbed([HostPlan("here"), HostPlan("peer")], memory_bytes=1 << 20) as testbed:
        yield testbed.hosts["here"]


@pytest.fixture
def before(machine: NamespaceHost) -> bytes:
    """Return what the machine is like without a tenant."""
    return state(machine)


def state(machine: NamespaceHost) -> bytes:
    """Return what the machine is like."""
    return machine.run(["sh", "-c", STATE]).out


def given_back(machine: NamespaceHost, before: bytes) -> None:
    """Wait until the machine is as it was before."""
    deadline = time.monotonic() + DEADLINE_S
    while (now := state(machine)) != before:
        assert time.monotonic() < deadline, now.decode()


def order(**more: object) -> str:
    """Return an order to the tenant."""
    wanted = {
        "race": "one",
        "memory_bytes": MEMORY_BYTES,
        "folders": ["tracker", "seeder-1"],
        "peers": ["198.18.0.2"],
        "up": shape(20),
        "down": shape(20),
        "uids": [64_000, 64_999],
    }
    return json.dumps({**wanted, **more})


class Tenant:
    """A tenant that has moved in, or has said why not. A context manager; at its end it has moved out."""

    def __init__(self, machine: NamespaceHost, **more: object) -> None:
        self.machine = machine
        self._argv = ["sh", "-c", 'echo $$; "$@"; exit $?', "sh", machine.python, "-m", "btgames.agents.tenant"]
        self._argv.append(order(**more))
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Self:
        # As it is started over SSH: behind the leader of a process group.
        self.process: PipedProcess = self.machine.start(["setsid", "-w", *self._argv])
        self.leader = int(self.process.receive(DEADLINE_S) or 0)
        self.said = json.loads(self.process.receive(DEADLINE_S) or "{}")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop(DEADLINE_S)

    def run(self, argv: Sequence[str], *, check: bool = True) -> Finished:
        """Run a command within the race's namespaces."""
        inner = NamespaceHost("tracker", "", "/", "", "", self.said["keeper"], own_network=False)
        return self.machine.run(inner.command(argv), check=check)

    def populate(self) -> None:
        """Have daemons and files inside."""
        self.run(["sh", "-c", "head -c 1000000 /dev/zero >/run/btgames/tracker/file"])
        self.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"])
        wait_for(lambda: b"\nsleep 1000" in state(self.machine), "a daemon")

    def members(self) -> dict[str, int]:
        """Return the process ids of its parts, as the machine sees them."""
        tenant = int(self.machine.get(LOCK).split()[1])
        return {
            "tenant": tenant,
            "guard": self._parent(tenant),
            "keeper": self.said["keeper"],
            "unshare": self._parent(self.said["keeper"]),
            "leader and its group": -self.leader,
        }

    def _parent(self, pid: int) -> int:
        return int(self.machine.get(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])

    def kill(self, member: str, number: int = signal.SIGKILL) -> None:
        """Signal one of its parts."""
        self.machine.run(["kill", f"-{number:d}", "--", str(self.members()[member])])


def test_it_says_when_all_is_there(machine: NamespaceHost) -> None:
    """The ready line tells folder, keeper and interface; folders of the hosts are there, and the link is shaped."""
    with Tenant(machine) as tenant:
        assert tenant.said == {
            "ready": True,
            "folder": "/run/btgames",
            "keeper": tenant.said["keeper"],
            "interface": "eth0",
        }
        assert tenant.run(["ls", "/run/btgames"]).out.split() == [b"seeder-1", b"tracker"]
        now = state(machine)
        assert b"qdisc htb b7: dev eth0 root" in now
        assert b"qdisc tbf" in now
        assert b"uidrange 64000-64999 prohibit" in now


def test_its_namespaces_can_be_entered(machine: NamespaceHost) -> None:
    """Inside, the keeper is the first process, and the network is the machine's; the machine does not see the files."""
    with Tenant(machine) as tenant:
        assert b"btgames.agents.tenant\0keeper\0" in tenant.run(["cat", "/proc/1/cmdline"]).out
        kinds = ["pid", "mnt", "ipc", "net"]
        links = [f"/proc/self/ns/{kind}" for kind in kinds]
        inside, outside = (run(["readlink", *links]).out.split() for run in (tenant.run, machine.run))
        assert [here == there for here, there in zip(inside, outside, strict=True)] == [False, False, False, True]
        tenant.run(["sh", "-c", "echo >/run/btgames/tracker/file"])
        with pytest.raises(HostError, match="No such file"):
            machine.get("/run/btgames/tracker/file")


def test_memory_is_limited(machine: NamespaceHost) -> None:
    """The race's files get what was ordered and no more."""
    with Tenant(machine) as tenant:
        tenant.run(["head", "-c", str(MEMORY_BYTES // 2), "/dev/zero"])
        full = tenant.run(["dd", "if=/dev/zero", "of=/run/btgames/file", "bs=1M", "count=9"], check=False)
        assert b"No space left" in full.err


def test_the_end_of_stdin_gives_all_back(machine: NamespaceHost, before: bytes) -> None:
    """When the harness lets go, processes, files and links go; status 0, and it does not take long."""
    with Tenant(machine) as tenant:
        tenant.populate()
        began = time.monotonic()
        assert tenant.process.stop(DEADLINE_S) == 0
        assert time.monotonic() - began < 3, "0.1 s on a quiet machine"
    assert state(machine) == before


@pytest.mark.parametrize("victim", ["tenant", "guard", "keeper", "unshare", "leader and its group"])
def test_whoever_is_killed_all_is_given_back(machine: NamespaceHost, before: bytes, victim: str) -> None:
    """
    After kill -9 of any of its parts nothing is left, while the harness still holds on: so it learns of it.

    Of the group that started it the harness kills the leader when it waits no longer; it has let go of stdin then.
    """
    with Tenant(machine) as tenant:
        tenant.populate()
        tenant.kill(victim)
        assert tenant.process.wait(DEADLINE_S) is not None if "leader" not in victim else tenant.process.stop(0)
        given_back(machine, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_milder_signals_do_not_end_a_race(machine: NamespaceHost, number: int) -> None:
    """What ends a race is the end of stdin, not a hang-up or a Ctrl-C that reaches the machine."""
    with Tenant(machine) as tenant:
        for member in ("tenant", "guard"):
            tenant.kill(member, number)
        assert tenant.run(["true"]).status == 0
        assert tenant.process.wait(0.1) is None


def test_two_races_do_not_share_a_machine(machine: NamespaceHost) -> None:
    """A second race is refused in words; the first is not disturbed, and when it is over another may come."""
    with Tenant(machine, race="one") as one:
        with Tenant(machine, race="two") as two:
            assert two.said == {"error": "another race is on this machine: wait for its end, or interrupt it"}
            assert two.process.wait(DEADLINE_S) == 1
        assert one.run(["true"]).status == 0
        assert b"qdisc htb b7: dev eth0 root" in state(machine)
    with Tenant(machine, race="two") as two:
        assert "ready" in two.said


def test_the_same_race_takes_over(machine: NamespaceHost, before: bytes) -> None:
    """A race that has lost its connection turns out its own earlier tenant, with all that ran there."""
    with Tenant(machine) as lost:
        lost.populate()
        with Tenant(machine) as tenant:
            assert tenant.said["ready"]
            assert tenant.said["keeper"] != lost.said["keeper"]
            assert lost.process.wait(DEADLINE_S) is not None
            now = state(machine)
            assert b"sleep 1000" not in now
            assert b"qdisc htb b7: dev eth0 root" in now
            assert tenant.run(["true"]).status == 0
    assert state(machine) == before


def test_a_lock_that_was_left_behind_holds_nobody_up(machine: NamespaceHost) -> None:
    """What an earlier race has left in the lock's file, its own name included, is nobody's process."""
    sleep = machine.start(["sh", "-c", "echo $$; exec sleep 1000"])
    innocent = (sleep.receive(DEADLINE_S) or b"").decode().strip()
    machine.put(f"one {innocent}\n".encode(), LOCK)
    with Tenant(machine) as tenant, Tenant(machine) as again:
        assert "ready" in tenant.said
        assert "ready" in again.said
        assert machine.run(["kill", "-0", innocent]).status == 0
    sleep.stop(0)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"peers": ["192.0.2.1"]}, "ip -json route get 192.0.2.1: RTNETLINK answers: Network is unreachable"),
        ({"memory_bytes": -1}, "cannot mount memory: "),
        ({"up": {"rate": 0, "burst": 1, "limit": 1}}, "tc class add dev eth0"),
        ({"uids": [7, 3]}, "ip -4 rule add pref 7101 uidrange 7-3"),
    ],
)
def test_what_cannot_be_had_is_said(machine: NamespaceHost, before: bytes, more: dict[str, Any], words: str) -> None:
    """One error line instead of the ready line, status 1, and nothing of what was half made is left."""
    with Tenant(machine, **more) as tenant:
        assert words in tenant.said["error"], tenant.said
        assert "\n" not in tenant.said["error"]
        assert tenant.process.wait(DEADLINE_S) == 1
    given_back(machine, before)


def test_a_foreign_qdisc_is_said_and_left_alone(machine: NamespaceHost) -> None:
    """Where somebody else shapes the link, the race is refused with what to do."""
    machine.run(["sh", "-c", "tc qdisc add dev eth0 root handle 1: htb"])
    try:
        before = state(machine)
        with Tenant(machine) as tenant:
            assert "eth0 has a htb qdisc of somebody else's" in tenant.said["error"]
        given_back(machine, before)
    finally:
        machine.run(["tc", "qdisc", "del", "dev", "eth0", "root"])


def test_orphans_inside_are_reaped(machine: NamespaceHost) -> None:
    """What a daemon leaves behind does not stay a zombie for the rest of the race."""
    with Tenant(machine) as tenant:
        tenant.run(["sh", "-c", "setsid sleep 0.05 >/dev/null 2>&1 &"])
        running = ["sh", "-c", "cat /proc/[0-9]*/stat | grep -c '(sleep)' || true"]
        wait_for(lambda: tenant.run(running).out == b"0\n", "sleep is still there, alive or dead")
