"""
The region's foot on this machine: starts it, links it, ends it.

The region ends with its lease, with its owner, with its folder, with this process, whichever comes first; and nothing
of it is left then but two routes that lead nowhere: what is meant for a machine that is gone must not leave this one.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from standin import distance, packets
from standin.image import hold, image
from standin.machine import CGROUPS

LOOK_S = 0.5
REGIONS = range(1, 250)
LINK = "standin"
NOWHERE = ("198.18.0.0/15", "169.254.0.0/16")
FORWARDING = Path("/proc/sys/net/ipv4/conf")
LONGEST_S = 8 * 3600.0
READY = b"ready\n"
CGROUPS_S = 5.0  # until the last process is gone


def resolvers() -> list[str]:
    """Return this machine's name servers, of IPv4; a stub on the loopback is no use to others."""
    for path in (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")):
        if path.exists():
            lines = [line.split() for line in path.read_text().splitlines()]
            addresses = [words[1] for words in lines if words[:1] == ["nameserver"]]
            return [address for address in addresses if "." in address and not address.startswith("127.")]
    return []


def _run(*argv: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, check=check, capture_output=True, text=True, input=text)


class Foot:
    """What a region has on this machine."""

    def __init__(self, pid: int, round_trip_ms: float) -> None:
        """`pid` is a process in the router's network namespace."""
        self.index = next(index for index in REGIONS if self._linked(index, pid, round_trip_ms))
        self.link = f"{LINK}{self.index}"
        self.cgroup = f"btgames-{self.link}"
        network = f"198.19.{self.index}"
        self.network = f"{network}.0/24"
        self.addresses = {"caller": f"{network}.1", "stranger": f"{network}.2", "router": f"{network}.254"}

    @staticmethod
    def _linked(index: int, pid: int, round_trip_ms: float) -> bool:
        """Make the link; its name is what regions that live at the same time tell themselves apart by."""
        if round_trip_ms:
            with suppress(OSError):
                distance.link(f"{LINK}{index}", pid, packets.UP, round_trip_ms / 2000)
                return True
            return False
        argv = ["ip", "link", "add", f"{LINK}{index}", "type", "veth", "peer", "name", packets.UP, "netns", str(pid)]
        return _run(*argv, check=False).returncode == 0

    def stand(self) -> None:
        """Join the region to this machine, and this machine's way to the package registries."""
        for network in NOWHERE:  # of least preference: a real route is never overruled
            _run("ip", "route", "replace", "unreachable", network, "metric", "4278198272")
        batch = [
            f"link set {self.link} up",
            *(f"address add {self.addresses[who]}/32 dev {self.link}" for who in ("caller", "stranger")),
            f"route add {self.addresses['router']}/32 dev {self.link} src {self.addresses['caller']}",
            f"route add {self.network} via {self.addresses['router']} dev {self.link} src {self.addresses['caller']}",
        ]
        _run("ip", "-batch", "-", text="\n".join(batch))
        _run("nft", "-f", "-", text=packets.machine(self.link, self.link, self.network, resolvers()))
        for interface in (self.link, *_ways_out()):
            (FORWARDING / interface / "forwarding").write_text("1")


def _ways_out() -> list[str]:
    """Return the interfaces of default routes."""
    routes = json.loads(_run("ip", "-4", "-json", "route", "show", "default").stdout or "[]")
    return sorted({route["dev"] for route in routes if "dev" in route})


def clear(index: int) -> None:
    """Remove what a region has, or had, on this machine; its processes are ended."""
    _run("ip", "link", "delete", f"{LINK}{index}", check=False)
    _run("nft", "delete", "table", "inet", f"{LINK}{index}", check=False)
    if not any(Path("/sys/class/net").glob(f"{LINK}*")) and Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n":
        for interface in _ways_out():
            (FORWARDING / interface / "forwarding").write_text("0")
    deadline = time.monotonic() + CGROUPS_S
    for hierarchy in CGROUPS:
        folder = hierarchy / f"btgames-{LINK}{index}"
        while folder.is_dir() and time.monotonic() < deadline:
            for each in (*sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True), folder):
                with suppress(OSError):  # its last process is on its way out
                    each.rmdir()


def keep(folder: Path, owner: int, lease_s: float, round_trip_ms: float) -> None:
    """Keep a region until it is not wanted any more."""
    program = [sys.executable, "-m", "standin.region"]
    spaces = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net", "--ipc", "--uts"]
    argv = ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, *program]
    order: dict[str, Any] = {"folder": str(folder), "image": str(image()), "resolvers": resolvers()}
    hold(Path(order["image"]))
    with (folder / "region.log").open("ab") as log:
        region = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    foot: Foot | None = None
    try:
        _in_its_own(region.pid)
        foot = Foot(region.pid, round_trip_ms)
        foot.stand()
        order |= {"cgroup": foot.cgroup, "addresses": foot.addresses}
        assert region.stdin
        assert region.stdout
        region.stdin.write(json.dumps(order).encode() + b"\n")
        region.stdin.flush()
        if not region.stdout.readline():
            raise SystemExit(f"the region did not start: see {log.name}")
        facts = {"keeper": os.getpid(), "index": foot.index, "network": foot.network, **foot.addresses}
        _publish(folder, facts)
        os.write(1, READY)
        os.dup2(2, 1)  # who has started us waits for the end of our output
        _wait(region.pid, owner, folder, lease_s)
    finally:
        region.kill()  # and with it, by --kill-child, all that is in it
        region.wait()
        if foot is not None:
            clear(foot.index)
        for name in ("region.json", "socket"):
            (folder / name).unlink(missing_ok=True)


def _in_its_own(pid: int) -> None:
    """Wait until a process has left our network namespace."""
    mine, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
    while Path(f"/proc/{pid}/ns/net").readlink() == mine:
        if time.monotonic() > deadline:
            raise SystemExit("unshare gave no namespace")
        time.sleep(0.002)


def _publish(folder: Path, facts: dict[str, Any]) -> None:
    aside = folder / "region.part"
    aside.write_text(json.dumps(facts))
    aside.rename(folder / "region.json")


def _wait(region: int, owner: int, folder: Path, lease_s: float) -> None:
    deadline = time.monotonic() + lease_s
    watched = [os.pidfd_open(pid) for pid in (region, owner) if pid]
    while time.monotonic() < deadline and folder.is_dir():
        if select.select(watched, [], [], LOOK_S)[0]:
            return


def main() -> None:
    """Keep the region of a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--owner", type=int, default=0)
    parser.add_argument("--lease-s", type=float, default=LONGEST_S)
    parser.add_argument("--round-trip-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C of a test run: its end is the owner's
    with (arguments.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keep(arguments.folder, arguments.owner, arguments.lease_s, arguments.round_trip_ms)


if __name__ == "__main__":
    main()
