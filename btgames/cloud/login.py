"""``ssh``: log in to a machine, whose host key is known from the first time on."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from btgames.cloud.stack import existing
from btgames.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from btgames.cloud.stack import Fleet
    from btgames.hosts.remote import Remote


def command(*, stack: str | None, machine: str, words: Sequence[str]) -> int:
    """
    Become an ``ssh`` to a machine of a fleet, which runs `words` there, or a shell. Does not return.

    Raises:
        UserError: there is no such machine, or no ``ssh`` here.

    """
    fleet = existing(stack)
    remote = fleet.machine(machine)
    ssh = shutil.which("ssh")
    if ssh is None:
        raise UserError("ssh is not on PATH; on Debian and Ubuntu: apt-get install openssh-client")
    os.execv(ssh, ["ssh", *options(fleet, remote), *words])  # noqa: S606 - no shell is the point


def options(fleet: Fleet, remote: Remote) -> list[str]:
    """Return what to say to ``ssh``: our key and no other, the host keys that we made and no others."""
    known = known_hosts_of(fleet.key_file)
    known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known.write_text("".join(f"{each.name}.{fleet.stack} {each.host_key}\n" for each in fleet.machines))
    settings = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": f'"{known}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": f"{remote.name}.{fleet.stack}",  # addresses come back with other machines
        "HostKeyAlgorithms": "ssh-ed25519",
        "CheckHostIP": "no",
    }
    chosen = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    return [*chosen, "-i", str(fleet.key_file), "-p", str(remote.port), f"{remote.user}@{remote.address}"]


def known_hosts_of(key_file: Path) -> Path:
    """Return the file of a stack's host keys, as ``ssh`` reads them: public, and written anew each time."""
    return key_file.parent.parent / "known_hosts" / key_file.name
