"""The local testbed: what its hosts can do, and that nothing of it is left however it ends. With root and without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from unprivileged import run_as_other

from btgames.errors import HostError, TestbedError
from btgames.hosts import Agent
from btgames.hosts.process import processes
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from btgames.hosts import Host
    from btgames.testbeds import Testbed

pytestmark = pytest.mark.testbed

PLAN = (HostPlan("tracker"), HostPlan("seeder-1", up_mbit=20), HostPlan("client", up_mbit=250, down_mbit=250))
MEMORY_BYTES = 16 << 20
DEADLINE_S = 20.0

HARNESS = """
import json, os, sys
from btgames.hosts.process import processes
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed

plan = [HostPlan("tracker"), HostPlan(sys.argv[1], up_mbit=20), HostPlan("client", 250, 250)]
with LocalTestbed(plan, 16 << 20) as testbed:
    client = testbed.hosts["client"]
    client.put(b"x" * 4_000_000, client.folder + "/payload")
    client.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"])
    command = client.start(["sh", "-c", "echo up; exec sleep 1000"])
    assert command.receive(10) == b"up\\n"
    (inside,) = [p.pid for p in processes() if p.parent == command.pid]
    (unshare,) = [p.parent for p in processes() if p.pid == client.keeper]
    pids = {"harness": os.getpid(), "unshare": unshare, "keeper": client.keeper}
    print(json.dumps({**pids, "nsenter": command.pid, "command": inside}), flush=True)
    while testbed.alive and command.wait(0.01) is None:
        pass
    raise SystemExit("something died")
"""


@pytest.fixture(autouse=True)
def _able() -> None:
    """Skip where the machine gives no namespaces."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))


@dataclass(frozen=True)
class Traces:
    """What a testbed is made of, as the kernel numbers it."""

    namespaces: frozenset[str]  # like "net:[4026532008]"
    device: str  # of the tmpfs with the race's files, as in mountinfo

    @classmethod
    def of(cls, keeper: int) -> Traces:
        """Look at a living keeper; what it shares with us is no trace."""
        kinds = ("pid", "mnt", "net", "ipc")
        links = {str(Path(f"/proc/{keeper}/ns/{kind}").readlink()) for kind in kinds}
        links |= {f"net:[{file.stat().st_ino}]" for file in Path(f"/proc/{keeper}/root/run/netns").iterdir()}
        device = Path(f"/proc/{keeper}/root/run/btgames").stat().st_dev
        return cls(
            frozenset(links - {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds}),
            f" {os.major(device)}:{os.minor(device)} ",
        )

    def left(self) -> list[str]:
        """Return processes that are in one of the namespaces or see the tmpfs. Zombies are in no namespace."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                links = {str(link.readlink()) for link in (process / "ns").iterdir()}
                mounts = (process / "mountinfo").read_text(encoding="utf-8")
            except OSError:  # ended meanwhile, or someone else's
                continue
            if links & self.namespaces or self.device in mounts:
                found.append(process.name)
        return found


def _wait(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def _marked(mark: str) -> list[int]:
    """Return living processes whose command line holds a mark."""
    found = []
    for process in processes():
        try:
            if mark.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                found.append(process.pid)
        except OSError:
            continue
    return found


def _harness(mark: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", HARNESS, mark], env=environment, stdout=pipe, stderr=pipe)


def _python(host: Host, code: str) -> bytes:
    return host.run([host.python, "-c", code]).out.strip()


def _machine() -> dict[str, Any]:
    """Return what a race could have changed on the machine itself."""
    return {
        "interfaces": sorted(os.listdir("/sys/class/net")),  # noqa: PTH208 - names are all we want
        "routes": Path("/proc/net/route").read_text(encoding="ascii"),
        "mounts": Path("/proc/self/mountinfo").read_text(encoding="utf-8"),
        "run": sorted(entry.name for entry in Path("/run").iterdir()),
        "namespaces": sorted(str(link.readlink()) for link in Path("/proc/self/ns").iterdir()),
    }


def test_it_is_a_testbed_with_hosts_by_name() -> None:
    """Hosts come in the plan's order with addresses of 198.18.0.0/15; links are recorded as the card wants them."""
    with LocalTestbed(PLAN, MEMORY_BYTES) as local:
        testbed: Testbed = local
        assert {name: host.address for name, host in testbed.hosts.items()} == {
            "tracker": "198.18.0.1",
            "seeder-1": "198.18.0.2",
            "client": "198.18.0.3",
        }
        assert (testbed.name, testbed.one_clock) == ("local", True)
        assert testbed.rights == ("root" if os.geteuid() == 0 else "user namespace")
        assert testbed.links["client"] == {
            "up_mbit": 250,
            "down_mbit": 250,
            "up_burst_bytes": 65_536,
            "down_burst_bytes": 65_536,
        }
        assert testbed.links["tracker"] == dict.fromkeys(testbed.links["client"])


def test_hosts_reach_each_other_and_nothing_else() -> None:
    """A host's address answers another host; there is no route to anywhere else, the machine itself included."""
    listen = "import socket; s = socket.create_server(('', 6969)); print('up', flush=True); s.accept()"
    connect = "import socket; print(socket.socket().connect_ex(('{}', 6969)))"
    with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
        tracker, client = testbed.hosts["tracker"], testbed.hosts["client"]
        server = tracker.start([tracker.python, "-c", listen])
        assert server.receive(DEADLINE_S) == b"up\n"
        assert _python(client, connect.format(tracker.address)) == b"0"
        assert server.wait(DEADLINE_S) == 0
        for elsewhere in ("192.0.2.1", "8.8.8.8", "10.0.0.1"):
            assert _python(client, connect.format(elsewhere)) == b"101", "ENETUNREACH"
        routes = client.get("/proc/net/route").splitlines()[1:]
        assert [route.split()[:2] for route in routes] == [[b"eth0", b"000012C6"]]
        server.stop()


def test_each_hosts_loopback_is_its_own() -> None:
    """Two hosts can listen on one port of loopback; ::1 is there, and no IPv6 on the wire."""
    listen = "import socket; s = socket.create_server(('{}', 6969), family={}); print('up')"
    with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
        for host in testbed.hosts.values():
            assert _python(host, listen.format("127.0.0.1", "socket.AF_INET")) == b"up"
            if Path("/proc/net/if_inet6").exists():
                assert _python(host, listen.format("::1", "socket.AF_INET6")) == b"up"
                assert b"eth0" not in host.get("/proc/net/if_inet6")


def test_the_wire_is_quiet() -> None:
    """Before anyone uses it, nothing crosses an interface; no ARP question precedes the first packet either."""
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('{}', 6969))"
    with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
        tracker, client = testbed.hosts["tracker"], testbed.hosts["client"]

        def received(host: Host) -> list[bytes]:
            (line,) = [line for line in host.get("/proc/net/dev").splitlines() if b"eth0:" in line]
            return line.split()[1:3]

        assert received(tracker) == [b"0", b"0"]
        _python(client, send.format(tracker.address))
        # 5 bytes, and the headers of UDP, IPv4 and Ethernet.
        _wait(lambda: received(tracker) == [b"47", b"1"], "exactly the one packet arrives")


def test_local_peer_discovery_finds_nobody() -> None:
    """Multicast, to the group of BEP 14 for one, leaves a host and reaches no other; a packet after it does."""
    group, port = "239.192.152.143", 6771
    listen = (
        "import socket, struct; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', {1}));"
        "s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('{0}') + socket.inet_aton('{2}'));"
        "print('up', flush=True); print(s.recv(99).decode())"
    )
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('{3}'));"
        "s.sendto(b'to all', ('{0}', {1})); s.sendto(b'to one', ('{2}', {1}))"
    )
    with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
        tracker, client = testbed.hosts["tracker"], testbed.hosts["client"]
        listener = tracker.start([tracker.python, "-c", listen.format(group, port, tracker.address)])
        assert listener.receive(DEADLINE_S) == b"up\n"
        _python(client, send.format(group, port, tracker.address, client.address))
        assert listener.receive(DEADLINE_S) == b"to one\n"
        listener.stop()


def test_a_shaped_link_carries_its_rate() -> None:
    """TCP goodput over a link of 10 Mbit/s is what Ethernet, IP and TCP leave of it, in both directions."""
    with LocalTestbed([HostPlan("shaped", 10, 10), HostPlan("free")], MEMORY_BYTES) as testbed:
        here, there = testbed.hosts.values()
        for sender, receiver in ((here, there), (there, here)):
            with Agent(receiver, "stream") as sink, Agent(sender, "stream") as source:
                port = sink.ask("listen")["port"]
                sink.tell("receive", settle_s=0.3)
                source.ask("send", address=receiver.address, port=port, seconds=1.3, timeout_s=DEADLINE_S)
                received = sink.hear(DEADLINE_S)
            assert received is not None
            assert received["mbit"] == pytest.approx(9.57, rel=0.1)


def test_files_are_private_and_limited() -> None:
    """The race's folder is not the machine's, holds no more than it was given, and is gone afterwards."""
    with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
        client = testbed.hosts["client"]
        client.put(bytes(MEMORY_BYTES // 2), f"{client.folder}/half")
        with pytest.raises(HostError, match="No space left"):
            client.put(bytes(MEMORY_BYTES), f"{client.folder}/too-much")
        assert not Path(client.folder).exists()


def test_the_machine_is_untouched() -> None:
    """During and after a race the machine has the interfaces, routes, mounts and namespaces that it had before."""
    before = _machine()
    with LocalTestbed(PLAN, MEMORY_BYTES):
        assert _machine() == before
    assert _machine() == before


def test_two_testbeds_share_nothing() -> None:
    """Two races at once have the same names, addresses and ports, and do not meet."""
    listen = "import socket; s = socket.create_server(('', 6969)); print('up', flush=True); s.accept()"
    connect = "import socket; print(socket.socket().connect_ex(('198.18.0.1', 6969)))"
    with LocalTestbed(PLAN, MEMORY_BYTES) as one, LocalTestbed(PLAN, MEMORY_BYTES) as two:
        server = one.hosts["tracker"].start([sys.executable, "-c", listen])
        assert server.receive(DEADLINE_S) == b"up\n"
        assert _python(two.hosts["client"], connect) == b"111", "ECONNREFUSED"
        one.hosts["client"].put(b"1", "/run/btgames/client/file")
        with pytest.raises(HostError, match="No such file"):
            two.hosts["client"].get("/run/btgames/client/file")
        a, b = (Traces.of(testbed.hosts["client"].keeper) for testbed in (one, two))
        assert not a.namespaces & b.namespaces
        assert _python(one.hosts["client"], connect) == b"0"
        server.stop()


def test_an_exception_ends_it_at_once() -> None:
    """Leaving the context by an exception, with commands running and a daemon, leaves nothing, and is quick."""

    def broken() -> None:
        with LocalTestbed(PLAN, MEMORY_BYTES) as testbed:
            client = testbed.hosts["client"]
            client.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"])
            running.append(client.start(["sleep", "1000"]))
            traces.append(Traces.of(client.keeper))
            assert traces[0].left()
            began.append(time.monotonic())
            raise ZeroDivisionError

    running: list[Any] = []
    traces: list[Traces] = []
    began: list[float] = []
    with pytest.raises(ZeroDivisionError):
        broken()
    assert time.monotonic() - began[0] < 2, "5 ms on a quiet machine"
    assert traces[0].left() == []
    assert running[0].wait(DEADLINE_S) == -signal.SIGKILL
    running[0].stop()


@pytest.mark.parametrize("victim", ["harness", "unshare", "keeper", "nsenter", "command"])
def test_whoever_is_killed_nothing_is_left(victim: str) -> None:
    """After kill -9 of any one process of a race, all its processes, namespaces, mounts and files are gone."""
    mark = f"mark{os.getpid()}{victim}"
    harness = _harness(mark)
    try:
        assert harness.stdout is not None
        line = harness.stdout.readline()
        assert line, harness.communicate()[1].decode()
        pids = json.loads(line)
        traces = Traces.of(pids["keeper"])
        assert traces.left()
        os.kill(pids[victim], signal.SIGKILL)
        _wait(lambda: harness.poll() is not None, "the harness notices")
        assert harness.returncode == (-signal.SIGKILL if victim == "harness" else 1)
        _wait(lambda: not traces.left(), f"left: {traces.left()}")
        _wait(lambda: not _marked(mark), f"left: {_marked(mark)}")
    finally:
        harness.kill()
        harness.communicate()


@pytest.mark.parametrize("delay_ms", [0, 20, 40, 60, 80, 100, 130, 160, 200, 250])
def test_a_harness_killed_while_it_starts_leaves_nothing(delay_ms: int) -> None:
    """At whichever instant of the start the harness is killed, no keeper or unshare stays."""
    mark = f"mark{os.getpid()}x{delay_ms}"
    harness = _harness(mark)
    time.sleep(delay_ms / 1000)  # the instant of the blow, not a wait for something
    harness.kill()
    harness.communicate()
    _wait(lambda: not _marked(mark), f"left: {_marked(mark)}")


def test_a_wiring_that_fails_half_way_is_told_and_cleaned_up() -> None:
    """What the kernel refuses is named with the step, and nothing of the half-made testbed is left."""
    before = _machine()
    mark = f"mark{os.getpid()}"
    plan = [HostPlan("client"), HostPlan(mark), HostPlan("client")]
    with pytest.raises(TestbedError, match=r"could not be set up: cannot make a network namespace for client: .*exist"):
        LocalTestbed(plan, MEMORY_BYTES).__enter__()
    assert _marked(mark) == []
    assert _machine() == before


def test_a_keeper_that_dies_at_once_is_quoted() -> None:
    """An interpreter that cannot run the keeper leaves its last words in the error."""
    with pytest.raises(TestbedError, match="could not be set up: unshare: failed to execute /nonexistent"):
        LocalTestbed(PLAN, MEMORY_BYTES, python="/nonexistent").__enter__()


def test_too_little_memory_is_said_before_anything_starts() -> None:
    """A race that cannot fit raises before any process is started."""
    testbed = LocalTestbed(PLAN, 1 << 60)
    with pytest.raises(TestbedError, match="too little memory"):
        testbed.__enter__()
    assert not testbed.alive


def test_without_root_all_of_this_holds_too(root: Path) -> None:
    """The tests of hosts and of this file pass for an unprivileged user, who reads neither the clone nor our home."""
    run_as_other(root, ("test_hosts", "test_local"), but="test_local.py::test_without_root_all_of_this_holds_too")
