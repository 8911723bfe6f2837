"""The ground that heats are run on: testbed and swarm, kept through a race, and mended where they failed."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from btgames import heat
from btgames.arena import Arena, room_bytes
from btgames.keep import Kept
from btgames.result import Outcome
from btgames.scenario_parts import Payload
from btgames.swarm import Swarm

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.result import Heat
    from btgames.scenario import Scenario
    from btgames.testbeds import Testbed
    from btgames.timing import Watcher
    from btgames.workshop import Racer

WARM_UP_BYTES = 2_000_000
WARM_UP_S = 30.0
"""
A warm-up's payload and time limit: enough to load a client's files into memory, little enough to wait for.
"""


class Ground:
    """Testbed and swarm as heats find them: a swarm that failed is replaced. A context manager."""

    def __init__(self, testbed: Testbed, scenario: Scenario, watcher: Watcher, keep: Path | None = None) -> None:
        """`testbed` is up; `keep` is the folder for what heats leave behind."""
        self._testbed = testbed
        self._watcher = watcher
        self._swarm: Swarm | None = None
        # Nothing that a contestant sees tells it a seed or a mark to come.
        rng = random.Random(secrets.randbits(256))  # noqa: S311 - see above
        self._arenas = {
            name: Arena(host, scenario, testbed.one_clock, testbed.bounds(rng, name), rng, testbed.interface(name))
            for name, host in testbed.hosts.items()
            if name.startswith("client")
        }
        self.arena = self._arenas["client"]
        self._kept = {} if keep is None else {name: Kept(keep, arena) for name, arena in self._arenas.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop_swarm()

    def warm_up(self, racer: Racer) -> Heat:
        """Run one small heat that nobody records, so that round 1 finds caches as warm as the others."""
        arena = self._arenas[racer.host]
        arena = replace(arena, scenario=warm_up_scenario(arena.scenario))
        return self._run(arena, racer, None, round_=1)

    def heat(self, racer: Racer, round_: int, attempt: int) -> Heat:
        """Run one heat; after a void one the swarm is a new one."""
        kept = self._kept.get(racer.host)
        return self._run(self._arenas[racer.host], racer, kept, round_=round_, attempt=attempt)

    def _run(self, arena: Arena, racer: Racer, kept: Kept | None, *, round_: int, attempt: int = 1) -> Heat:
        result = heat.run(arena, racer, self.swarm(), self._watcher, kept, round_=round_, attempt=attempt)
        if result.outcome is Outcome.VOID:
            self._drop_swarm()
        return result

    def swarm(self) -> Swarm:
        """
        Return the running swarm; start it where there is none that lives.

        Raises:
            TestbedError: the testbed is gone, and with it all hosts.

        """
        self._testbed.mend()
        if self._swarm is not None and not self._swarm.alive:
            self._drop_swarm()
        if self._swarm is None:
            swarm = Swarm(self._testbed.hosts, self.arena.scenario)
            swarm.__enter__()
            self._swarm = swarm
        return self._swarm

    def _drop_swarm(self) -> None:
        if self._swarm is not None:
            self._swarm.__exit__(None, None, None)
            self._swarm = None


def warm_up_scenario(scenario: Scenario) -> Scenario:
    """Return the scenario with a small payload and a short time limit."""
    size = min(scenario.payload.size, WARM_UP_BYTES)
    piece_size = min(scenario.payload.piece_size, 1 << 15)
    payload = Payload(size=size, piece_size=piece_size, files=scenario.payload.files)
    limit = min(scenario.time_limit_s, WARM_UP_S)
    return scenario.model_copy(update={"payload": payload, "time_limit_s": limit})


def memory_bytes(scenario: Scenario) -> int:
    """Return the most that all files of a race on this scenario take: each seeder's copy, and a heat's folder."""
    return len(scenario.seeder_hosts) * scenario.payload.size + room_bytes(scenario) + (32 << 20)
