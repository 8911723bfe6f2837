"""The stand-in's machines: Debian that boots, takes its user data, and sits behind security groups that hold."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from standin.image import why_not
from standin.machine import CGROUPS
from standin.machines import ROOT, Region, StandinError
from standin.machines import sweep as sweep_machine
from standin.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.cloud, pytest.mark.skipif(bool(why_not()), reason=why_not() or "able")]

DEADLINE_S = 30.0
LOOK_S = 0.05
ALL: dict[str, Any] = {"protocol": "-1", "cidrs": ["0.0.0.0/0"]}
OWNER = """
import os, sys, time
from pathlib import Path
from standin.machines import Region
region = Region(Path(sys.argv[1])).open(owner=os.getpid())
region.boot("machine")
print(region.facts["keeper"], flush=True)
time.sleep(1000)
"""
RACE_NEEDS = """
sudo unshare --pid --fork --kill-child --mount --mount-proc true
sudo unshare --user --map-root-user --pid --fork --mount --mount-proc --net true
unshare --user --map-root-user --pid --fork --mount --mount-proc --net true
sudo unshare --mount sh -c 'mount -t tmpfs run /run && mkdir /run/netns && ip netns add a && ip netns exec a true'
sudo sh -c 'mkdir -p /mnt/x && mount -t tmpfs x /mnt/x && umount /mnt/x'
sudo nsenter --target 1 --net true
sudo ip rule add uidrange 61184-65519 prohibit
sudo ip rule delete uidrange 61184-65519 prohibit
sudo ip link add ifb0 type ifb
sudo ip link set ifb0 up
sudo tc qdisc add dev ens5 handle ffff: ingress
sudo tc filter add dev ens5 parent ffff: u32 match ip src 198.18.0.9/32 action mirred egress redirect dev ifb0
sudo tc qdisc add dev ifb0 root handle 1: htb
sudo ip link delete ifb0
sudo tc qdisc delete dev ens5 ingress
"""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_S)


@dataclass(frozen=True)
class Fleet:
    """A region with two machines of one security group that lets this machine's `caller` in, by SSH only."""

    region: Region
    visitor: Visitor
    client: dict[str, Any]
    seeder: dict[str, Any]

    def of(self, name: str) -> dict[str, Any]:
        """Return what is known of a machine."""
        return next(each for each in self.region.list() if each["name"] == name)

    def boot(self, name: str, **order: Any) -> str:
        """Boot another machine; return its public address."""
        return str(self.region.boot(name, self.visitor.user_data(), groups=["sg"], **order)["public"])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Give the machines, up."""
    folder = tmp_path_factory.mktemp("fleet")
    visitor = Visitor(folder)
    region = Region(folder / "region").open(owner=os.getpid())
    try:
        ssh = {"protocol": "tcp", "from_port": 22, "to_port": 22, "cidrs": [f"{region.facts['caller']}/32"]}
        region.set_groups({"sg": {"ingress": [ssh, {"protocol": "-1", "groups": ["sg"]}], "egress": [ALL]}})
        data = visitor.user_data(package_update=True, packages=["aria2"])
        machines = [region.boot(name, data, groups=["sg"]) for name in ("client", "seeder")]
        for machine in machines:
            visitor.wait(machine["public"])
        yield Fleet(region, visitor, *machines)
    finally:
        region.close()


def test_user_data_is_carried_out(fleet: Fleet) -> None:
    """The user, the host key and the packages, through apt, are there as told: ssh checks host keys strictly."""
    assert "status: done" in fleet.visitor.ask(fleet.client["public"], "cloud-init status --wait; aria2c --version")


def test_wrong_host_key(fleet: Fleet) -> None:
    """Another host key than the machine's is refused."""
    done = fleet.visitor.run(fleet.client["public"], "true", host_key=fleet.visitor.read("id.pub"))
    assert "Host key verification failed" in done.stderr


def test_machine_knows_its_private_address_only(fleet: Fleet) -> None:
    """The public address is the router's business, as in AWS."""
    addresses = fleet.visitor.ask(fleet.client["public"], "ip -4 -brief address show scope global")
    assert f"{fleet.client['private']}/24" in addresses
    assert fleet.client["public"] not in addresses


def test_ssh_from_elsewhere(fleet: Fleet) -> None:
    """Who comes from an address that the group does not name gets no answer."""
    stranger = fleet.region.facts["stranger"]
    assert "timed out" in fleet.visitor.run(fleet.client["public"], "true", source=stranger).stderr


def test_port_inside_and_outside(fleet: Fleet) -> None:
    """Members of the group reach each other at private addresses; nobody else is let in, nor at public ones."""
    fleet.visitor.ask(fleet.seeder["public"], "setsid python3 -m http.server 6969 >/dev/null 2>&1 </dev/null &")
    inside = f"curl --silent --retry 9 --retry-connrefused --max-time 5 http://{fleet.seeder['private']}:6969/"
    assert "Directory listing" in fleet.visitor.ask(fleet.client["public"], inside)
    around = f"curl --silent --max-time 1 http://{fleet.seeder['public']}:6969/ || echo $?"
    assert fleet.visitor.ask(fleet.client["public"], around) == "28"
    with pytest.raises(TimeoutError):
        socket.create_connection((fleet.seeder["public"], 6969), timeout=1)


def test_nothing_but_registries(fleet: Fleet) -> None:
    """No machine reaches this one, private networks or the instance metadata of wherever this runs."""
    with socket.create_server((fleet.region.facts["caller"], 0)) as server:
        port = server.getsockname()[1]
        for address in (f"{fleet.region.facts['caller']}:{port}", "10.255.255.1:80", "169.254.169.254:80"):
            script = f"curl --silent --max-time 1 http://{address}/ || echo $?"
            assert fleet.visitor.ask(fleet.client["public"], script) in {"7", "28"}, address


def test_what_a_race_needs(fleet: Fleet) -> None:
    """Namespaces, mounts, policy routing and traffic shaping work as on a machine of one's own."""
    fleet.visitor.ask(fleet.client["public"], RACE_NEEDS)


def test_cut_off(fleet: Fleet) -> None:
    """A machine that is cut off says nothing, and goes on where it was."""
    address = fleet.client["public"]
    with subprocess.Popen(fleet.visitor.argv(address, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as login:
        assert login.stdin
        assert login.stdout
        login.stdin.write(b"before\n")
        login.stdin.flush()
        assert login.stdout.readline() == b"before\n"
        fleet.region.cut("client", 3)
        assert "timed out" in fleet.visitor.run(address, "true").stderr
        login.stdin.write(b"after\n")
        login.stdin.close()
        assert login.stdout.read() == b"after\n"


def test_machine_ends_itself(fleet: Fleet) -> None:
    """A machine that is shut down from within is terminated, and gone."""
    address = fleet.boot("brief")
    fleet.visitor.wait(address)
    fleet.visitor.run(address, "sudo systemd-run --on-active=1 systemctl poweroff")
    until(lambda: fleet.of("brief")["state"] == "terminated", "the machine to end")
    with pytest.raises(TimeoutError):
        socket.create_connection((address, 22), timeout=1)


def test_machine_dies(fleet: Fleet) -> None:
    """A machine can be killed; its name and address are free for another."""
    fleet.boot("mortal")
    fleet.region.kill("mortal")
    until(lambda: fleet.of("mortal")["state"] == "terminated", "the machine to die")
    fleet.boot("mortal")
    fleet.region.terminate("mortal")


def test_taken_address(fleet: Fleet) -> None:
    """Two machines cannot have one address."""
    with pytest.raises(StandinError, match="client has this name or address"):
        fleet.boot("other", private=fleet.client["private"])


def test_user_data_that_fails(fleet: Fleet) -> None:
    """A machine without the internet boots, and its user data fails as it would anywhere."""
    data = fleet.visitor.user_data(packages=["no-such-package"])
    address = fleet.region.boot("offline", data, groups=["sg"], failure="offline")["public"]
    fleet.visitor.wait(address)
    assert "status: error" in fleet.visitor.run(address, "cloud-init status --wait").stdout
    fleet.region.terminate("offline")


def test_machine_that_never_boots(fleet: Fleet) -> None:
    """It runs, and answers nobody."""
    address = fleet.boot("silent", failure="never boots")
    assert fleet.of("silent")["state"] == "running"
    assert fleet.visitor.run(address, "true").returncode
    fleet.region.terminate("silent")


@pytest.mark.parametrize("killed", ["owner", "keeper"])
def test_nothing_outlives(tmp_path: Path, killed: str) -> None:
    """Whoever is killed, a test run or the region's keeper: no process is left, and a sweep finds the rest."""
    folder = tmp_path / "region"
    argv = [sys.executable, "-c", OWNER, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        keeper = int(owner.stdout.readline())
        region = Region(folder)
        index = region.facts["index"]
        cgroups = [hierarchy / f"btgames-standin{index}" for hierarchy in CGROUPS if hierarchy.is_dir()]
        inside = [
            int(pid) for path in cgroups for each in path.rglob("cgroup.procs") for pid in each.read_text().split()
        ]
        assert inside
        os.kill(owner.pid if killed == "owner" else keeper, signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inside), "the machine's processes to end")
        if killed == "keeper":
            until(lambda: not region.kept, "the keeper to end")
            region.sweep()
        until(lambda: not Path(f"/sys/class/net/standin{index}").exists(), "the link to go")
        until(lambda: not region.facts, "the region to be over")
        until(lambda: not any(path.exists() for path in cgroups), "the control groups to go")
        owner.kill()
    assert f"standin{index}" not in sweep_machine()


def test_distance(tmp_path: Path) -> None:
    """A region can be some milliseconds away."""
    region = Region(tmp_path / "region").open(owner=os.getpid(), round_trip_ms=20)
    try:
        visitor = Visitor(tmp_path)
        address = region.boot("far", visitor.user_data())["public"]
        visitor.wait(address)
        began = time.monotonic()
        socket.create_connection((address, 22), timeout=5).close()
        assert 0.02 <= time.monotonic() - began < 0.2
    finally:
        region.close()


def test_folder_removed(tmp_path: Path) -> None:
    """A region ends with its folder; so no forgotten one lasts."""
    folder = tmp_path / "region"
    region = Region(folder).open(owner=os.getpid())
    keeper = region.facts["keeper"]
    shutil.rmtree(folder)
    until(lambda: not Path(f"/proc/{keeper}").exists(), "the keeper to end")
