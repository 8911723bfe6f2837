"""A machine that is reached over SSH: what it takes to log in to it, and what it is in a race. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROLES = ("tracker", "seeder", "client")


@dataclass(frozen=True)
class Remote:
    """One machine of a fleet or an inventory."""

    name: str  # tracker, seeder-1, client-1, ... or what its owner calls it
    role: str  # one of `ROLES`
    address: str  # where SSH reaches it: IPv4 address or host name
    user: str  # root, or one who may sudo without a password
    private_address: str = ""  # IPv4, where the other machines reach it; "" is its SSH address
    port: int = 22
    key_file: Path | None = None  # private key; None: what the user's SSH agent and ~/.ssh/ offer
    host_key: str = ""  # "ssh-ed25519 AAAA..."; "" is what ~/.ssh/known_hosts says: never taken on trust
    facts: Mapping[str, str] = field(
        default_factory=dict, compare=False
    )  # for the race card: instance type, image, ...
