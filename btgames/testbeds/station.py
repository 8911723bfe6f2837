"""
A machine of a fleet or an inventory as a race uses it: reached, furnished with our programs, and for a while lived in.

What is left on it when the race is over lies under `CACHE`: our programs, contestants, libtorrent for seeders.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import btgames
from btgames.companions import companions
from btgames.errors import HostError, HostLostError, TestbedError, UserError
from btgames.hosts import Agent
from btgames.hosts.line import PATIENCE_S, Line
from btgames.hosts.namespace import PATH, NamespaceHost
from btgames.hosts.ssh import SshHost, SshMachine
from btgames.testbeds.precheck import no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from btgames.contestant import Contestant
    from btgames.hosts.remote import Remote
    from btgames.needs import Need

CACHE = "/var/cache/btgames"
APT_S = 900.0
PIP_S = 600.0
TENANT_S = 30.0
"""
Seconds that a tenant may take to move in, an earlier one of the same race having to move out first; and to move out.
"""

_PACKAGE = Path(btgames.__file__).resolve().parent
_LEAST_PYTHON = (3, 11)
_SOURCE_BYTES = 1 << 30  # of a contestant's source directory
_SERVICE = re.compile(r"^(?:/usr)?/lib/systemd/system/([^/@]+\.service)$", re.MULTILINE)
# Beside the folder first: one that is there is whole. Another race may have been quicker.
_UNPACK = (
    "sh",
    "-c",
    'mkdir -p "$1.$$" && tar -xz -C "$1.$$" && { mv -T "$1.$$" "$1" || { rm -rf "$1.$$"; test -d "$1"; }; }',
    "unpack",
)


class Station:
    """One machine. `reach` and `furnish` come first, then `move_in`."""

    def __init__(self, remote: Remote, *, patience_s: float = PATIENCE_S) -> None:
        self.remote = remote
        self.line = Line(remote, patience_s=patience_s)
        self._code, self._archive = _code()
        environment = {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": "/root",
            "XDG_CACHE_HOME": str(Path(CACHE).parent),
            "PYTHONPATH": self._code,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
        }
        self.machine = SshMachine(self.line, environment)
        self._environment = environment
        self.facts: dict[str, Any] = {}
        self.ready: dict[str, Any] = {}  # what the tenant said
        self._tenant: Agent | None = None
        self._order: dict[str, Any] = {}

    def reach(self, patience_s: float | None = None) -> None:
        """
        Connect, send our programs, and ask for the machine's facts.

        Raises:
            UserError: it refuses us, or lacks something; says what to do.
            HostError: it does not answer.

        """
        self.line.open(patience_s)
        machine = self.machine
        if machine.run(["test", "-d", self._code], check=False).status:
            machine.run([*_UNPACK, self._code], input=self._archive, timeout_s=120.0)
        asked = machine.run([machine.python, "-m", "btgames.machine"], check=False)
        if asked.status:
            words = asked.err.decode(errors="replace").strip().splitlines()
            raise UserError(
                f"{self.remote.name}: Python 3.11 or later is needed there: {words[-1] if words else asked.status}\n"
                "on Debian 12: apt-get install python3 python3-venv iproute2"
            )
        self.facts = json.loads(asked.out)
        if tuple(map(int, self.facts["python"].split(".")[:2])) < _LEAST_PYTHON:
            raise UserError(f"{self.remote.name}: Python {self.facts['python']} is there; 3.11 or later is needed")
        lacking = [tool for tool in ("tc", "ip", "unshare", "nsenter", "setpriv") if not self.has(tool)]
        if lacking:
            raise UserError(f"{self.remote.name}: lacks {', '.join(lacking)}\napt-get install iproute2 util-linux")

    def has(self, program: str) -> bool:
        """Tell whether a program is installed there."""
        return self.machine.run(["sh", "-c", 'command -v "$1"', "sh", program], check=False).status == 0

    def libtorrent(self, notify: Callable[[str], None]) -> str:
        """Return an interpreter there that has the seeder's libtorrent, of our version; install it where it is not."""
        version = metadata.version("libtorrent")
        folder = f"{CACHE}/libtorrent-{version}-py{self.facts['python']}"
        python, whole = f"{folder}/bin/python", f"{folder}/whole"
        if self.machine.run(["test", "-e", whole], check=False).status:
            notify(f"{self.remote.name}: installing libtorrent {version} for the seeder")
            self.machine.run(["rm", "-rf", "--", folder])
            self._needing(["python3", "-m", "venv", folder], "python3-venv", PIP_S)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
            self._needing([*pip, f"libtorrent=={version}"], "a way to Python's package index", PIP_S)
            self.machine.run(["touch", whole])
        return python

    def _needing(self, argv: Sequence[str], what: str, timeout_s: float) -> None:
        try:
            self.machine.run(argv, timeout_s=timeout_s)
        except HostLostError:
            raise
        except HostError as error:
            raise UserError(f"{error}\n{self.remote.name} needs {what}") from error

    def provide(self, need: Need, notify: Callable[[str], None], *, ours: bool) -> str:
        """
        Return the version of what a scenario needs; on a machine of `ours` it is installed where it is missing.

        Raises:
            UserError: it is missing on somebody's machine.

        """
        if not self.has(need.package):
            if not ours:
                raise UserError(f"{self.remote.name}: this scenario {need.words}")
            self.packages([need.package], notify)
        return self.machine.run(need.asking_version, check=False).out.decode()

    def packages(self, packages: Sequence[str], notify: Callable[[str], None]) -> None:
        """Install packages of the system; the services that Debian starts with them are ended, and stay away."""
        notify(f"{self.remote.name}: apt-get install {' '.join(packages)}")
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
        install = [*apt, "install", "--yes", "--no-install-recommends", *packages]
        if self.machine.run(install, check=False, timeout_s=APT_S).status:  # its lists may be too old
            self.machine.run([*apt, "update"], timeout_s=APT_S)
            self.machine.run(install, timeout_s=APT_S)
        # They would take ports that a contestant wants, and CPU in the middle of a heat.
        files = self.machine.run(["dpkg-query", "--listfiles", *packages]).out.decode()
        if services := _SERVICE.findall(files):
            self.machine.run(["systemctl", "disable", "--now", *services])

    def send(self, one: Contestant) -> tuple[str, str | None]:
        """Send a contestant's module, with what it names beside it, and its source; return their paths there."""
        beside = [one.path, *companions(one.path)]
        self._refuse_much(one.path.parent, beside)
        folder = self._sent("modules", _tar((path, str(path.relative_to(one.path.parent))) for path in beside))
        if one.source is None:
            return f"{folder}/{one.path.name}", None
        files = [path for path in sorted(one.source.rglob("*")) if ".git" not in path.relative_to(one.source).parts]
        self._refuse_much(one.source, files)
        source = _tar((path, str(path.relative_to(one.source))) for path in files)
        return f"{folder}/{one.path.name}", self._sent("sources", source)

    def _refuse_much(self, folder: Path, files: Sequence[Path]) -> None:
        if sum(path.lstat().st_size for path in files) > _SOURCE_BYTES:
            raise UserError(f"{folder}: more than 1 GiB; that is too much to be sent to {self.remote.name}")

    def _sent(self, kind: str, archive: bytes) -> str:
        folder = f"{CACHE}/{kind}/{hashlib.sha256(archive).hexdigest()[:16]}"
        if self.machine.run(["test", "-d", folder], check=False).status:
            self.machine.run([*_UNPACK, folder], input=archive, timeout_s=600.0)
        return folder

    def move_in(self, order: dict[str, Any]) -> None:
        """
        Have the race's memory, namespaces and link made there: see `btgames.agents.tenant.Order`.

        Raises:
            TestbedError: the machine cannot hold it, or is gone.

        """
        if trouble := no_room(order["memory_bytes"], self.facts["available_bytes"]):
            raise TestbedError(f"{self.remote.name}: {trouble}")
        self._order = order
        self._tenant = Agent(self.machine, "tenant", json.dumps(order), start_timeout_s=TENANT_S, grace_s=TENANT_S)
        try:
            self._tenant.__enter__()
        except BaseException:
            self._tenant = None
            raise
        self.ready = self._tenant.ready

    def mend(self) -> bool:
        """Move in again where the tenant is gone; return whether it was."""
        if self._tenant is not None and self._tenant.alive:
            return False
        self.move_in(self._order)
        return True

    def host(self, name: str, address: str, python: str) -> SshHost:
        """Return a race host of this machine."""

        def inner() -> NamespaceHost:
            folder = f"{self.ready['folder']}/{name}"
            return NamespaceHost(name, address, folder, python, self._code, self.ready["keeper"], own_network=False)

        return SshHost(self.line, self._environment, inner)

    def move_out(self) -> None:
        """End what the race has there; the link is as it was before."""
        if self._tenant is not None:
            self._tenant.__exit__()
            self._tenant = None

    def close(self) -> None:
        """Hang up."""
        self.line.close()


def _code() -> tuple[str, bytes]:
    """Return where our programs lie on a machine, by what they are, and the archive to be unpacked there."""
    files = [path for path in sorted(_PACKAGE.rglob("*.py")) if "packed" not in path.relative_to(_PACKAGE).parts]
    archive = _tar((path, f"btgames/{path.relative_to(_PACKAGE)}") for path in files)
    content = hashlib.sha256(b"".join(bytes(path.relative_to(_PACKAGE)) + path.read_bytes() for path in files))
    return f"{CACHE}/code/{content.hexdigest()[:16]}", archive


def _tar(files: Iterable[tuple[Path, str]]) -> bytes:
    """Return an archive of these files under these names; theirs are modes and times, nobody's are owners."""

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, name in files:
            archive.add(path, name, recursive=False, filter=anonymous)
    return gzip.compress(out.getvalue(), mtime=0)  # the same for the same files
