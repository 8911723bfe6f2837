"""Which machines a stack has: their names, roles and types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config import Settings

ROLES = ("tracker", "seeder", "client")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
ADDED = re.compile(rf"(?:{'|'.join(ROLES)}):{NAME.pattern}")


@dataclass(frozen=True)
class Place:
    """One machine that there should be."""

    name: str  # tracker, seeder-1, client-1, ... or what the user calls it
    role: str
    instance_type: str


def roster(settings: Settings) -> tuple[Place, ...]:
    """
    Return the machines that the settings ask for: one tracker, seeders and clients, those added, less those terminated.

    Raises:
        ValueError: two machines of one name, or a name to terminate that there is not.

    """
    types = {"tracker": settings.tracker_type, "seeder": settings.seeder_type, "client": settings.client_type}
    wanted = [("tracker", "tracker")]
    wanted += [("seeder", f"seeder-{number}") for number in range(1, settings.seeders + 1)]
    wanted += [("client", f"client-{number}") for number in range(1, settings.clients + 1)]
    for entry in settings.added:
        role, _, name = entry.partition(":")
        if any(name == taken for _, taken in wanted):
            raise ValueError(f"btgames:added: found {entry!r}; there is a machine {name} already")
        wanted.append((role, name))
    places = tuple(Place(name, role, types[role]) for role, name in wanted if name not in settings.terminated)
    if unknown := sorted({*settings.terminated} - {name for _, name in wanted}):
        names = ", ".join(name for _, name in wanted)
        raise ValueError(f"btgames:terminated: found {unknown[0]!r}; allowed are names of machines: {names}")
    return places
