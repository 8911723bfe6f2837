"""One machine of the region: its link, its disk, its process."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from standin import packets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERFACE = "ens5"  # as on AWS's machines of today; a program that expects eth0 shall fail here
CGROUPS = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified")]
KEPT = (  # of what nspawn would give away; the clock and the kernel's modules are this machine's
    "--capability=all",
    "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE,CAP_SYS_RAWIO,CAP_WAKE_ALARM",
)
ENVIRONMENT = {
    "SYSTEMD_SECCOMP": "0",  # a machine has no filter of system calls
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # /proc/sys/net is the machine's own
    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # Debian's /tmp is on the disk
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True)
class Order:
    """What a machine is to be."""

    name: str
    private: str
    public: str
    user_data: bytes = b""
    gateway: str = "198.18.0.1"
    network: str = "198.18.0.0/24"
    groups: tuple[str, ...] = ("",)
    public_key: str = ""  # of a key pair, for the image's own user
    failure: str = ""  # "never boots", or "offline": what its user data wants to download is not to be had

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Order:
        """Return an order from what JSON gives."""
        given = {**data, "user_data": base64.b64decode(data.get("user_data", ""))}
        return cls(**{**given, "groups": tuple(data.get("groups", ("",)))})

    def clashes(self, other: Order) -> bool:
        """Whether both cannot live at the same time."""
        return any(getattr(self, name) == getattr(other, name) != "" for name in ("name", "private", "public"))


class Machine:
    """A machine from its order to its end."""

    def __init__(self, order: Order, link: str, folder: Path) -> None:
        self.order = order
        self.pid = 0
        self.alive = True
        self._link = link
        self._folder = folder
        self._status: int | None = None
        self._cut_until = 0.0

    def port(self) -> packets.Port:
        """Return what the router has to know."""
        return packets.Port(
            self._link,
            self.order.private,
            self.order.public,
            self.order.groups,
            cut=bool(self._cut_until),
            offline=self.order.failure == "offline",
        )

    def facts(self) -> dict[str, Any]:
        """Return what is to be known about it."""
        known = {field.name: getattr(self.order, field.name) for field in fields(Order) if field.name != "user_data"}
        state = "running" if self.alive else "terminated"
        return {**known, "state": state, "status": self._status, "console": str(self._folder / "console.log")}

    def wire(self) -> None:
        """Make its network namespace, and a link to the router."""
        names = self._link
        private, gateway = self.order.private, self.order.gateway
        length = self.order.network.partition("/")[2]
        router = [
            f"netns add {names}",
            f"link add {names} type veth peer name {INTERFACE} netns {names}",
            f"link set {names} up",
            f"route add {private}/32 dev {names}",
        ]
        _ip(router)
        # The router answers for all addresses of the subnet: so its rules hold among neighbours.
        Path(f"/proc/sys/net/ipv4/conf/{names}/proxy_arp").write_text("1")
        Path(f"/proc/sys/net/ipv4/neigh/{names}/proxy_delay").write_text("0")
        _ip([f"address replace {gateway}/32 dev lo"])
        machine = [
            "link set lo up",
            f"link set {INTERFACE} up",
            f"address add {private}/{length} dev {INTERFACE}",
            f"route add default via {gateway}",
        ]
        _ip(machine, "-netns", names)

    def boot(self, image: Path, cgroup: str, resolvers: Sequence[str]) -> None:
        """Start it; it is not up when this returns."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        disk = self._folder / "disk"  # in memory, and seen by the region only
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "disk", disk], check=True, capture_output=True)
        for name in ("upper", "work", "root"):
            (disk / name).mkdir()
        layers = f"lowerdir={image},upperdir={disk}/upper,workdir={disk}/work"
        argv = ["mount", "-t", "overlay", "-o", layers, "overlay", str(disk / "root")]
        subprocess.run(argv, check=True, capture_output=True)
        self._seed(disk / "root", resolvers)
        with (self._folder / "console.log").open("wb") as console:
            self.pid = self._start(disk / "root", cgroup, console)

    def _seed(self, root: Path, resolvers: Sequence[str]) -> None:
        hostname = f"ip-{self.order.private.replace('.', '-')}"
        seed = root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True, exist_ok=True)
        (seed / "user-data").write_bytes(self.order.user_data)
        keys = [self.order.public_key] if self.order.public_key else []
        about = {"instance-id": f"i-{self._link}-{os.urandom(4).hex()}", "local-hostname": hostname}
        (seed / "meta-data").write_text(json.dumps({**about, "public-keys": keys}))
        (root / "etc/hostname").write_text(f"{hostname}\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text("".join(f"nameserver {address}\n" for address in resolvers))

    def _start(self, root: Path, cgroup: str, console: IO[bytes]) -> int:
        argv = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--directory={root}"]
        argv += [f"--machine={self._link}", f"--network-namespace-path=/run/netns/{self._link}"]
        argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only", *KEPT]
        if self.order.failure == "never boots":
            argv = ["sleep", "infinity"]

        def enter() -> None:
            # systemd takes the control group it finds itself in for its own, so every machine needs one.
            for hierarchy in filter(Path.is_dir, CGROUPS):
                (hierarchy / cgroup).mkdir(parents=True, exist_ok=True)
                (hierarchy / cgroup / "cgroup.procs").write_text("0")

        return subprocess.Popen(
            argv,
            preexec_fn=enter,  # noqa: PLW1509 - the region has one thread
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        ).pid

    def kill(self) -> None:
        """End it as a power cut does."""
        if not self.alive:
            return
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with suppress(OSError):
            for pid in (*map(int, children.read_text().split()), self.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def end(self, status: int | None) -> None:
        """Clear away what is left of it, its console aside."""
        if not self.alive:
            return
        self.alive, self._status = False, status
        if self.pid and status is None:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        for argv in (
            ["umount", "--lazy", str(self._folder / "disk" / "root")],
            ["umount", "--lazy", str(self._folder / "disk")],
            ["ip", "link", "delete", self._link],
            ["ip", "netns", "delete", self._link],
        ):
            subprocess.run(argv, check=False, capture_output=True)

    def cut(self, seconds: float) -> None:
        """Let no packet pass for so long."""
        self._cut_until = time.monotonic() + seconds

    def reconnect(self) -> bool:
        """End a cut whose time is over; tell whether it was."""
        over = bool(self._cut_until) and time.monotonic() >= self._cut_until
        if over:
            self._cut_until = 0.0
        return over


def _ip(batch: Sequence[str], *options: str) -> None:
    argv = ["ip", *options, "-batch", "-"]
    subprocess.run(argv, input="\n".join(batch).encode(), check=True, capture_output=True)
