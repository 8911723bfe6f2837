"""Someone who has machines booted and logs in to them: keys, user data, and ssh with strict checking of host keys."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

USER = "racer"
SSH_S = 60.0
LOOK_S = 0.05


class Visitor:
    """A key pair, a host key for machines to have, and the way in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("id", "host"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
            subprocess.run(argv, check=True)

    def read(self, name: str) -> str:
        """Return a key: id, id.pub, host, host.pub."""
        return (self._folder / name).read_text()

    def user_data(self, **more: Any) -> bytes:
        """Return user data that lets us in."""
        user = {
            "name": USER,
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [self.read("id.pub")],
        }
        host = {"ed25519_private": self.read("host"), "ed25519_public": self.read("host.pub")}
        return f"#cloud-config\n{json.dumps({'users': [user], 'ssh_keys': host, **more})}\n".encode()

    def argv(self, address: str, *words: str, source: str = "", host_key: str = "") -> list[str]:
        """Return the command line of a login; `source` is the address that we come from."""
        known = self._folder / f"known-{address}"
        known.write_text(f"{address} {host_key or self.read('host.pub')}")
        options = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=2"]
        options += [f"BindAddress={source}"] if source else []
        given = [word for option in options for word in ("-o", option)]
        return ["ssh", "-i", str(self._folder / "id"), *given, f"{USER}@{address}", *words]

    def run(self, address: str, script: str, **how: str) -> subprocess.CompletedProcess[str]:
        """Run a shell's script on a machine."""
        argv = self.argv(address, "sh", "-eu", **how)
        return subprocess.run(argv, input=script, check=False, capture_output=True, text=True, timeout=SSH_S)

    def ask(self, address: str, script: str, **how: str) -> str:
        """Run a script to its good end; return what it prints."""
        done = self.run(address, script, **how)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wait(self, address: str) -> None:
        """Wait until a machine lets us in."""
        deadline = time.monotonic() + SSH_S
        while (done := self.run(address, "true")).returncode:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(LOOK_S)
