"""
The region: a router and the machines behind it, in namespaces of its own, of which this is process 1.

When it dies, however it dies, the kernel ends every process, link, mount and file of its machines. It is asked over a
socket (see `machines`): one line of JSON, one line back.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standin import packets
from standin.machine import Machine, Order

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_ROUTED = ("127.0.0.0/8", "224.0.0.0/3")  # the kernel sees to these
LOOK_S = 0.1  # between two looks at who has ended and whose time without a network is over


class Region:
    """The router's state, and what can be asked of it."""

    def __init__(self, folder: Path, image: Path, cgroup: str, resolvers: list[str]) -> None:
        self._folder = folder
        self._image = image
        self._cgroup = cgroup
        self._resolvers = resolvers
        self._count = 0
        self._groups: dict[str, packets.Group] = {}
        self._machines: dict[str, Machine] = {}
        self._requests: dict[str, Callable[..., Any]] = {
            "boot": self._boot,
            "cut": self._cut,
            "groups": self._set_groups,
            "kill": self._kill,
            "list": self._list,
            "terminate": self._terminate,
        }

    def serve(self, listener: socket.socket) -> None:
        """Answer for ever, or until the keeper, at the other end of standard input, is gone."""
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [], LOOK_S)
            if sys.stdin in ready:
                return
            self._reap()
            if [machine for machine in self._machines.values() if machine.reconnect()]:
                self._load()
            if listener in ready:
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb") as stream:
                    stream.write(json.dumps(self._answer(stream.readline())).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"value": self._requests[request.pop("ask")](**request)}
        except Exception as error:  # noqa: BLE001 - the asker's, to judge
            words = error.stderr.decode() if isinstance(error, subprocess.CalledProcessError) else ""
            return {"error": f"{type(error).__name__}: {error} {words}"}

    def _boot(self, **order: Any) -> dict[str, Any]:
        asked = Order.read(order)
        taken = [each for each in self._alive() if asked.clashes(each.order)]
        if taken:
            raise ValueError(f"the machine {taken[0].order.name} has this name or address")
        self._count += 1
        machine = Machine(asked, f"v{self._count}", self._folder / "machines" / asked.name)
        self._machines[asked.name] = machine
        try:
            machine.wire()
            self._load()
            machine.boot(self._image, f"{self._cgroup}/v{self._count}", self._resolvers)
        except BaseException:
            machine.end(None)
            raise
        return machine.facts()

    def _terminate(self, name: str) -> dict[str, Any]:
        machine = self._machines[name]
        machine.kill()
        machine.end(None)
        self._load()
        return machine.facts()

    def _kill(self, name: str) -> None:
        self._machines[name].kill()

    def _cut(self, name: str, seconds: float) -> None:
        self._machines[name].cut(seconds)
        self._load()

    def _set_groups(self, groups: dict[str, Any]) -> None:
        self._groups = {name: packets.Group.read(group) for name, group in groups.items()}
        self._load()

    def _list(self) -> list[dict[str, Any]]:
        return [machine.facts() for machine in self._machines.values()]

    def _alive(self) -> list[Machine]:
        return [machine for machine in self._machines.values() if machine.alive]

    def _load(self) -> None:
        """Tell the kernel what may pass; a machine without a group is open, which AWS has not."""
        groups = {"": packets.OPEN, **self._groups}
        rules = packets.router([machine.port() for machine in self._alive()], groups, self._resolvers)
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, capture_output=True)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for machine in self._alive():
                if machine.pid == pid:
                    machine.end(os.waitstatus_to_exitcode(status))
                    self._load()


def _prepare(folder: Path, addresses: dict[str, str], resolvers: list[str]) -> socket.socket:
    """Make the router one, and a socket to be asked over."""
    subprocess.run(["mount", "-t", "tmpfs", "run", "/run"], check=True)
    Path("/run/netns").mkdir()
    batch = [
        "link set lo up",
        f"link set {packets.UP} up",
        f"address add {addresses['router']}/32 dev {packets.UP}",
        f"route add {addresses['caller']}/32 dev {packets.UP}",
        f"route add default via {addresses['caller']} dev {packets.UP} onlink",
        *(f"route add blackhole {network}" for network in packets.NOT_PUBLIC if network not in NOT_ROUTED),
        *(f"route add {address}/32 via {addresses['caller']} dev {packets.UP} onlink" for address in resolvers),
        f"route add {addresses['stranger']}/32 dev {packets.UP}",
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch).encode(), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    path = folder / "socket"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    return listener


def main() -> None:
    """Serve what the keeper's first line orders."""
    order = json.loads(sys.stdin.readline())
    folder = Path(order["folder"])
    region = Region(folder, Path(order["image"]), order["cgroup"], order["resolvers"])
    with _prepare(folder, order["addresses"], order["resolvers"]) as listener:
        sys.stdout.write(f"ready {time.monotonic()}\n")
        sys.stdout.flush()
        region.serve(listener)


if __name__ == "__main__":
    main()
