"""Machines of one's own as hosts of a race: an inventory, from a YAML file or from the command line."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from btgames import strict_yaml
from btgames.errors import UserError, nearest
from btgames.hosts.remote import ROLES, Remote
from btgames.strict_model import Strict, validate
from btgames.strict_yaml import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.testbeds import HostPlan

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_-]{1,63}){0,30}"
_LONGEST = 253  # of a name, in characters
_LAST_PORT = 65_535
_HOST_KEY = r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( .*)?$"
_LINE = re.compile(
    rf"(?P<role>[a-z]+)=(?:(?P<user>[a-z_][a-z0-9_-]*)@)?(?P<address>{_NAME})" + r"(?::(?P<port>[0-9]{1,5}))?"
)


class Machine(Strict):
    """One machine of an inventory."""

    role: Literal["tracker", "seeder", "client"] = Field(description="tracker, seeder or client")
    address: str = Field(
        pattern=f"^{_NAME}$", max_length=_LONGEST, description="the IPv4 address or name under which SSH reaches it"
    )
    user: str = Field(default="root", pattern=r"^[a-z_][a-z0-9_-]*$", description="root, or who may sudo unasked")
    key: str | None = Field(default=None, description="the file of a private key; without, those that ssh would offer")
    private_address: str = Field(default="", description="the IPv4 address under which the other machines reach it")
    port: int = Field(default=22, ge=1, le=_LAST_PORT, description="SSH's, 1 to 65535")
    host_key: str = Field(
        default="",
        pattern=f"^$|{_HOST_KEY}",
        description="its public host key, ssh-ed25519 AAAA...; without, what ~/.ssh/known_hosts says",
    )
    name: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,40}$", description="what to call it, for messages")

    @field_validator("key")
    @classmethod
    def _a_path(cls, key: str | None) -> str | None:
        if key is not None:
            _expanded(key)
        return key

    @field_validator("private_address")
    @classmethod
    def _ipv4(cls, address: str) -> str:
        if address:
            IPv4Address(address)
        return address

    @field_validator("host_key")
    @classmethod
    def _whole(cls, host_key: str) -> str:
        if host_key and not _is_whole(*host_key.split()[:2]):
            raise ValueError("not a whole key; the machine has it in /etc/ssh/ssh_host_ed25519_key.pub")
        return host_key


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
        key = None if each.key is None else path.parent / _expanded(each.key)
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
    try:
        key_file = None if key is None else _expanded(key)
    except ValueError as error:
        raise UserError(f"--key {key!r}: {error}") from error
    numbers: Counter[str] = Counter()
    remotes = []
    for word in words:
        match = _LINE.fullmatch(word)
        if match is None or match["role"] not in ROLES or len(match["address"]) > _LONGEST:
            role = word.partition("=")[0]
            known = nearest(shown(role), ROLES) if role not in ROLES else ""
            raise UserError(
                f"--host {shown(word)!r}: it takes ROLE=USER@ADDRESS, ROLE being one of {', '.join(ROLES)}{known}"
            )
        if not 1 <= int(match["port"] or 22) <= _LAST_PORT:
            raise UserError(f"--host {word!r}: found the port {match['port']}; allowed: 1 to {_LAST_PORT}")
        numbers[match["role"]] += 1
        remotes.append(
            Remote(
                f"{match['role']}-{numbers[match['role']]}",
                match["role"],
                match["address"],
                match["user"] or "root",
                port=int(match["port"] or 22),
                key_file=key_file,
            )
        )
    return remotes


def _is_whole(kind: str, data: str) -> bool:
    """Tell whether a public key was neither cut off nor mixed up: it is a row of fields, of which its kind is first."""
    try:
        rest = base64.b64decode(data, validate=True)
    except binascii.Error:
        return False
    fields = []
    while rest:
        length = 4 + int.from_bytes(rest[:4], "big")
        fields.append(rest[4:length])
        if len(rest) < length:
            return False
        rest = rest[length:]
    return len(fields) > 1 and fields[0] == kind.encode()


def _expanded(key: str) -> Path:
    """Return the path of a key's file; a ValueError where there can be none."""
    if not key or "\0" in key:
        raise ValueError("not a file name")
    try:
        return Path(key).expanduser()
    except RuntimeError as error:  # ~nobody-here
        raise ValueError(f"nobody here is called {key.partition('/')[0][1:]}") from error


def assign(plan: Sequence[HostPlan], machines: Sequence[Remote], name: str, more: str) -> dict[str, Remote]:
    """
    Return the machine of each host of a scenario; without one for the tracker, the first seeder's has it too.

    A machine that is there under several roles is one: its first entry stands for all.

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
            number, found = len(wanted[role]), len(of[role]) or "none"
            many = f"{number} {role}{'s' if number > 1 else ''}"
            raise UserError(f"this scenario wants {many}, {name} has {found}\n{more}")
    assigned = {host: of[role][index] for role in ROLES for index, host in enumerate(wanted[role])}
    clients = [machine for host, machine in assigned.items() if host.startswith("client")]
    others = [machine for machine in assigned.values() if machine not in clients]
    for client in clients:
        if any(same(machine, client) for machine in others):
            raise UserError(f"{name}: the client's machine, {client.address}, has another role too; it has to be alone")
    one = {host: next(each for each in machines if same(each, machine)) for host, machine in assigned.items()}
    return {host.name: one[host.name] for host in plan}


def same(one: Remote, other: Remote) -> bool:
    """Tell whether two entries are one machine; ports of one address may lead to several that it hides."""
    if (one.address, one.port) == (other.address, other.port):
        return True
    return (one.private_address or one.address) == (other.private_address or other.address)
