"""Figures beside their targets, and the heats to take them from: what the benchmarks of whole races share."""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import contestant, places
from btgames import scenario as scenarios
from btgames.errors import GamesError
from btgames.ground import Ground
from btgames.result import Outcome
from btgames.testbeds.choice import local_testbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.result import Heat
    from btgames.scenario import Scenario
    from btgames.testbeds.local import LocalTestbed
    from btgames.workshop import Racer


@dataclass(frozen=True)
class Figure:
    """Something measured several times, and how much of it there should be."""

    what: str
    values: Sequence[float]  # seconds, or shares that are 1 for 100 %
    at_most: float | None = None
    at_least: float | None = None
    percent: bool = False

    @property
    def median(self) -> float:
        """The figure itself."""
        return statistics.median(self.values)

    @property
    def fine(self) -> bool:
        """Whether the median keeps the target, if there is one."""
        return (self.at_most is None or self.median <= self.at_most) and (
            self.at_least is None or self.median >= self.at_least
        )

    def __str__(self) -> str:
        show = "{:7.1%}".format if self.percent else "{:7.3f} s".format
        targets = [("at most", self.at_most), ("at least", self.at_least)]
        target = " ".join(f"{word} {show(bound).strip()}" for word, bound in targets if bound is not None)
        verdict = "" if not target else "ok" if self.fine else "MISSED"
        spread = f"({show(min(self.values)).strip()} to {show(max(self.values)).strip()}, {len(self.values)}x)"
        return f"{self.what:44} {show(self.median)}  {spread:24}  {target:16} {verdict}".rstrip()


def show(*figures: Figure) -> bool:
    """Print figures; return whether all are as they should be."""
    for figure in figures:
        print(figure, flush=True)
    return all(figure.fine for figure in figures)


def load(seconds: float = 1.0) -> str:
    """Look for a while, and return in words how busy the machine is: what is measured on a busy one says little."""
    before = _processor_ticks()
    time.sleep(seconds)
    spent = [after - ticks for ticks, after in zip(before, _processor_ticks(), strict=True)]
    idle = sum(spent[3:5])  # idle and iowait (proc_stat(5))
    return f"before: processors {1 - idle / max(1, sum(spent)):.0%} busy"


def _processor_ticks() -> list[int]:
    with Path("/proc/stat").open(encoding="ascii") as file:
        return [int(ticks) for ticks in file.readline().split()[1:9]]  # guests' time is within the others


class Silent:
    """Looks on while heats run, and says nothing."""

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """Take no notice."""


@dataclass(frozen=True)
class Track:
    """A scenario brought up, and contestants that are warm."""

    scenario: Scenario
    testbed: LocalTestbed
    ground: Ground
    racers: dict[str, Racer]  # by label

    def heat(self, label: str) -> Heat:
        """Run one heat of a contestant; what is not finished ends the benchmark."""
        heat = self.ground.heat(self.racers[label], 1, 1)
        if heat.outcome is not Outcome.FINISHED:
            sys.exit(f"{label}: {heat.outcome.words}: {heat.reason}")
        return heat

    def heats(self, count: int) -> dict[str, list[Heat]]:
        """Run so many heats of each, interleaved."""
        found: dict[str, list[Heat]] = {label: [] for label in self.racers}
        for _ in range(count):
            for label, heats in found.items():
                heats.append(self.heat(label))
        return found


@contextmanager
def track(name: str, *entries: str) -> Iterator[Track]:
    """Bring a scenario up for contestants, install who is not installed, and warm everyone up."""
    loaded = scenarios.load(name, places.SCENARIOS)
    with ExitStack() as stack:
        try:
            testbed = local_testbed(loaded.scenario)
            workshop = stack.enter_context(testbed.workshop())
            everyone = contestant.load(entries, places.CONTESTANTS)
            racers = {one.label: workshop.ready(one, print) for one in everyone}
            stack.enter_context(testbed)
            ground = stack.enter_context(Ground(testbed, loaded.scenario, Silent()))
        except GamesError as error:
            sys.exit(str(error))
        for racer in racers.values():
            ground.warm_up(racer)
        yield Track(loaded.scenario, testbed, ground, racers)
