"""Machines of one's own as hosts of a race: an inventory, from a YAML file or from the command line."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from btgames import strict_yaml
from btgames.errors import UserError
from btgames.hosts.remote import ROLES, Remote
from btgames.strict_model import Strict, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.testbeds import HostPlan

_ADDRESS = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$"
_IPV4 = r"^([0-9]{1,3}\.){3}[0-9]{1,3}$"
_HOST_KEY = r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( .*)?$"
_LINE = re.compile(
    r"(?P<role>[a-z]+)=(?:(?P<user>[a-z_][a-z0-9_-]*)@)?(?P<address>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,5}))?"
)


class Machine(Strict):
    """One machine of an inventory."""

    role: Literal["tracker", "seeder", "client"] = Field(description="tracker, seeder or client")
    address: str = Field(pattern=_ADDRESS, description="the IPv4 address or name under which SSH reaches it")
    user: str = Field(default="root", pattern=r"^[a-z_][a-z0-9_-]*$", description="root, or who may sudo unasked")
    key: str | None = Field(default=None, description="the file of a private key; without, those that ssh would offer")
    private_address: str = Field(
        default="", pattern=f"^$|{_IPV4}", description="the IPv4 address under which the other machines reach it"
    )
    port: int = Field(default=22, ge=1, le=65535, description="SSH's, 1 to 65535")
    host_key: str = Field(
        default="",
        pattern=f"^$|{_HOST_KEY}",
        description="its public host key, ssh-ed25519 AAAA...; without, what ~/.ssh/known_hosts says",
    )
    name: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,40}$", description="what to call it, for messages")


class Inventory(Strict):
    """An inventory's file."""

    machines: tuple[Machine, ...] = Field(description="a list of machines, each with role, address, user, key, ...")

    @field_validator("machines")
    @classmethod
    def _some(cls, machines: tuple[Machine, ...]) -> tuple[Machine, ...]:
        if not machines:
            raise ValueError("an inventory without machines")
        return machines


def load(path: Path) -> list[Remote]:
    """
    Return the machines of an inventory's file; relative key files are beside it.

    Raises:
        UserError: no such file, or mistakes in it, all told at once.

    """
    inventory = validate(strict_yaml.parse(path, strict_yaml.read_text(path)), Inventory)
    numbers: Counter[str] = Counter()
    remotes = []
    for each in inventory.machines:
        numbers[each.role] += 1
        key = None if each.key is None else path.parent / Path(each.key).expanduser()
        name = each.name or f"{each.role}-{numbers[each.role]}"
        remotes.append(
            Remote(name, each.role, each.address, each.user, each.private_address, each.port, key, each.host_key)
        )
    return remotes


def from_words(words: Sequence[str], key: str | None) -> list[Remote]:
    """
    Return the machines of ``--host ROLE=USER@ADDRESS[:PORT]``, all with the same key.

    Raises:
        UserError: one of them reads otherwise.

    """
    numbers: Counter[str] = Counter()
    remotes = []
    for word in words:
        match = _LINE.fullmatch(word)
        if match is None or match["role"] not in ROLES:
            raise UserError(f"--host {word!r}: it takes ROLE=USER@ADDRESS, ROLE being one of {', '.join(ROLES)}")
        numbers[match["role"]] += 1
        remotes.append(
            Remote(
                f"{match['role']}-{numbers[match['role']]}",
                match["role"],
                match["address"],
                match["user"] or "root",
                port=int(match["port"] or 22),
                key_file=None if key is None else Path(key).expanduser(),
            )
        )
    return remotes


def assign(plan: Sequence[HostPlan], machines: Sequence[Remote], name: str, more: str) -> dict[str, Remote]:
    """
    Return the machine of each host of a scenario; without one for the tracker, the first seeder's has it too.

    Args:
        plan: the scenario's hosts.
        machines: what there is.
        name: of the testbed, for messages.
        more: what to do when there are too few.

    Raises:
        UserError: there are too few, or the client shares a machine.

    """
    of = {role: [machine for machine in machines if machine.role == role] for role in ROLES}
    of["tracker"] = of["tracker"] or of["seeder"][:1]
    wanted = {role: [host.name for host in plan if host.name.split("-")[0] == role] for role in ROLES}
    for role in ROLES:
        if len(of[role]) < len(wanted[role]):
            found = len(of[role]) or "none"
            raise UserError(f"this scenario wants {len(wanted[role])} {role}s, {name} has {found}\n{more}")
    assigned = {host: of[role][index] for role in ROLES for index, host in enumerate(wanted[role])}
    client = assigned["client"]
    if any(machine.address == client.address for host, machine in assigned.items() if host != "client"):
        raise UserError(f"{name}: the client's machine, {client.address}, has another role too; it has to be alone")
    return {host.name: assigned[host.name] for host in plan}
