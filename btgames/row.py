"""
A row of the leaderboard: one contestant's heats, and what follows from them.

A heat counts as started unless it was void (the testbed failed), unsupported or not run. Times are of finished heats.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass

from btgames.result import Entrant, Heat, Outcome

_NOT_STARTED = {Outcome.VOID, Outcome.UNSUPPORTED, Outcome.NOT_RUN}


@dataclass(frozen=True)
class Median:
    """A median in seconds; with `beyond`, the true one is more than that, by as much as nobody waited to see."""

    seconds: float
    beyond: bool = False


@dataclass(frozen=True)
class Run:
    """One heat, and the number of the board's card (from 1) that holds it."""

    card: int
    heat: Heat


@dataclass(frozen=True)
class Row:
    """One contestant's line: its heats, and what follows from them. Times in seconds, of finished heats only."""

    contestant: str  # its label; with the card's number where two cards hold different contestants of that label
    entrant: Entrant
    runs: tuple[Run, ...]
    rank: int | None = None  # from 1, equal medians share one; None for the yardstick and who never finished
    yardstick_percent: float | None = None  # of the yardstick's speed: yardstick median / own median

    def heats(self, outcome: Outcome) -> tuple[Heat, ...]:
        """Return the heats that ended so."""
        return tuple(run.heat for run in self.runs if run.heat.outcome is outcome)

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many heats ended how; outcomes that did not occur are left out."""
        counts = Counter(run.heat.outcome for run in self.runs)
        return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}

    @property
    def finished(self) -> int:
        """How many heats finished."""
        return len(self.heats(Outcome.FINISHED))

    @property
    def started(self) -> int:
        """How many heats the contestant had its chance in."""
        return sum(run.heat.outcome not in _NOT_STARTED for run in self.runs)

    @property
    def versions(self) -> tuple[str, ...]:
        """What was really installed, by the contestant's own word."""
        return tuple(sorted({run.heat.version for run in self.runs} - {""}))

    @property
    def complete_s(self) -> tuple[float, ...]:
        """The times that rank."""
        return tuple(heat.complete_s for heat in self.heats(Outcome.FINISHED) if heat.complete_s is not None)

    @property
    def median_s(self) -> float | None:
        """The median of `complete_s`."""
        return statistics.median(self.complete_s) if self.complete_s else None

    @property
    def spread_percent(self) -> float | None:
        """(max - min) / median of `complete_s`; None of fewer than two heats."""
        times = self.complete_s
        return percent(max(times) - min(times), statistics.median(times)) if len(times) > 1 else None

    @property
    def done_s(self) -> float | None:
        """The median of `done_s`, of the heats in which the client said when it was done."""
        known = [heat.done_s for heat in self.heats(Outcome.FINISHED) if heat.done_s is not None]
        return statistics.median(known) if known else None

    @property
    def exit_s(self) -> Median | None:
        """
        The median of `exit_s`, `beyond` where too many heats were ended by the harness to know it.

        Such a heat lasted longer than it was seen: the median lies between those with the least and the most that
        this may mean, and is known when both are equal.
        """
        least, most = [], []
        for heat in self.heats(Outcome.FINISHED):
            seen = heat.exit_s
            if seen is None and heat.ended_by is not None:
                seen = heat.complete_s if heat.ended_at_s is None else heat.ended_at_s
            if seen is not None:
                least.append(seen)
                most.append(seen if heat.exit_s is not None else math.inf)
        if not least:
            return None
        lowest = statistics.median(least)
        return Median(lowest, beyond=statistics.median(most) > lowest)


def percent(part: float, whole: float) -> float | None:
    """Return `part` of `whole` in percent; None where that is no number."""
    share = 100 * part / whole if whole else math.inf
    return share if math.isfinite(share) else None
