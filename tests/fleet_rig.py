"""Two machines of the stand-in, for all tests of what goes over SSH: made once, ended with the tests' process."""

from __future__ import annotations

import atexit
import functools
import json
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keys
import pytest
from standin.image import why_not
from standin.machines import Region

from btgames.errors import UserError
from btgames.hosts.line import Line
from btgames.hosts.namespace import PATH
from btgames.hosts.remote import Remote
from btgames.hosts.ssh import SshMachine
from btgames.testbeds.waiting import SIGN, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIP = pytest.mark.skipif(bool(why_not()), reason=why_not() or "able")
NO_SUCH = "no-such-package-as-this"
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Rig:
    """
    The machines, as they are logged in to: ``good`` is ready, ``broken`` wanted a package that there is not.

    Besides `btgames`, who may sudo, there are on both: root, and `asker`, whom sudo asks for a password.
    """

    region: Region
    folder: Path
    good: Remote
    broken: Remote
    notes: tuple[str, ...]  # what was said while `good` became ready
    why_broken: str  # what was said of `broken` while it was not

    @property
    def root(self) -> Remote:
        """The good machine, as root."""
        return replace(self.good, user="root")

    def key(self, name: str) -> Path:
        """Return the file of a private key that no machine knows."""
        return _key_file(self.folder / name, keys.KeyPair(os.urandom(32)))


@functools.cache
def rig() -> Rig:
    """Return the machines; boot them first, some seconds, if they are not there yet."""
    kept = tempfile.TemporaryDirectory(prefix="btgames-rig-")
    folder = Path(kept.name)
    region = Region(folder / "region").open(owner=os.getpid())
    atexit.register(kept.cleanup)
    atexit.register(region.close)
    login = keys.KeyPair(os.urandom(32))
    key_file = _key_file(folder / "id", login)
    machines = {}
    for name, role in (("good", "client"), ("broken", "seeder")):
        host_key = keys.KeyPair(os.urandom(32))
        more: dict[str, Any] = {"runcmd": [f"mkdir -p {Path(SIGN).parent}", ["touch", SIGN]]}
        facts = region.boot(name, _user_data(login, host_key, more if name == "good" else {"packages": [NO_SUCH]}))
        address, private = facts["public"], facts["private"]
        remote = Remote(name, role, address, "btgames", private, key_file=key_file, host_key=host_key.public)
        machines[name] = replace(remote, facts={"instance_type": "standin"})
    notes: list[str] = []
    wait_until_ready([machines["good"]], notes.append, within_s=60)
    with pytest.raises(UserError) as refused:
        wait_until_ready([machines["broken"]], notes.append, within_s=60)
    return Rig(region, folder, machines["good"], machines["broken"], tuple(notes), str(refused.value))


@pytest.fixture(scope="module")
def machine() -> Iterator[SshMachine]:
    """Give the good machine, as a user who may sudo reaches it."""
    line = Line(rig().good)
    yield SshMachine(line, ENVIRONMENT)
    line.close()


def running(machine: SshMachine, mark: str) -> int:
    """Return how many processes with a mark in their command line a machine has; the one that looks is not counted."""
    script = 'for each in /proc/[0-9]*/cmdline; do tr "\\0" " " <$each; echo; done 2>/dev/null | grep -c "^$1"'
    return int(machine.run(["sh", "-c", script, "sh", mark], check=False).out)


def until_gone(machine: SshMachine, mark: str, seconds: float = 10.0) -> None:
    """Wait until a machine has no process with that mark."""
    deadline = time.monotonic() + seconds
    while running(machine, mark):
        assert time.monotonic() < deadline, f"{mark} is still there"


def _user_data(login: keys.KeyPair, host_key: keys.KeyPair, more: dict[str, Any]) -> bytes:
    known = {"lock_passwd": True, "shell": "/bin/bash", "ssh_authorized_keys": [login.public]}
    config = {
        "users": [
            {"name": "btgames", "sudo": "ALL=(ALL) NOPASSWD:ALL", **known},
            {"name": "asker", "sudo": "ALL=(ALL) ALL", **known},
            {"name": "root", "ssh_authorized_keys": [login.public]},
        ],
        "disable_root": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
        **more,
    }
    return b"#cloud-config\n" + json.dumps(config).encode()  # which is YAML


def _key_file(path: Path, key: keys.KeyPair) -> Path:
    path.write_text(key.private)
    path.chmod(0o600)
    return path
