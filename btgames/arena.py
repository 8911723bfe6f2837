"""Who races where: a contestant that is ready, the client host of a race, and the one folder that a heat may fill."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btgames import containment
from btgames.errors import HostError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from btgames.containment import Bounds, Cell
    from btgames.hosts import Host
    from btgames.scenario import Scenario
    from btgames.workshop import Racer


@dataclass(frozen=True)
class Arena:
    """What all heats of a race have in common."""

    client: Host
    scenario: Scenario
    one_clock: bool  # whether tracker and client share CLOCK_MONOTONIC
    bounds: Bounds
    rng: random.Random  # of seeds and marks; secret from contestants
    interface: str = "eth0"

    @property
    def folder(self) -> str:
        """The heat's own small file system: what a contestant can fill."""
        return f"{self.client.folder}/heat"

    @property
    def into(self) -> str:
        """The download directory."""
        return f"{self.folder}/into"

    @property
    def desk(self) -> str:
        """Where torrent and settings of a client lie."""
        return f"{self.folder}/desk"

    @property
    def log(self) -> str:
        """What the client prints; out of its reach."""
        return f"{self.client.folder}/client.log"


def cell_of(arena: Arena, racer: Racer) -> Cell:
    """Return the cell of a contestant's commands: its installed things read-only, the heat's folder writable."""
    cell = containment.cell_on(arena.client, arena.bounds, racer.installed.folder)
    return containment.with_paths(cell, read_only=racer.installed.read_only, writable=(arena.folder,))


@contextmanager
def clean_folder(arena: Arena) -> Iterator[None]:
    """Give the heat a file system of its own: room for the payload twice and some, nothing of earlier heats."""
    size = room_bytes(arena.scenario)
    owner = "0" if arena.bounds.uid is None else str(arena.bounds.uid)
    host = arena.client
    host.run(["mkdir", "-p", arena.folder])
    # An inode takes the kernel's memory, however empty: one for each page is enough for anyone.
    options = f"size={size},nr_inodes={size >> 12},mode=755,nosuid,nodev"
    host.run(["mount", "-t", "tmpfs", "-o", options, "heat", arena.folder])
    try:
        host.run(["install", "-d", "-o", owner, "-g", owner, arena.into, arena.desk])
        yield
    finally:
        # Should it fail, the heat's result stands: the next heat mounts over it, or finds that the host is gone.
        with contextlib.suppress(HostError):
            host.run(["umount", "--lazy", arena.folder])


def room_bytes(scenario: Scenario) -> int:
    """Return the size of a heat's file system: some clients keep what they have received twice for a while."""
    return 2 * scenario.payload.size + (64 << 20)


def hand_over(arena: Arena) -> None:
    """Give what the harness has put on the desk to the contestant, which may want to write beside it."""
    if (uid := arena.bounds.uid) is not None:
        arena.client.run(["chown", "-hR", f"{uid}:{uid}", arena.desk])
