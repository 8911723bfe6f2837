"""
The contest of 10 to 17 December 2013, as its organisers wrote it down: the seconds of each download.

One tracker, one Deluge seeder with its default upload limit, EC2 m1.small, Ubuntu 12.04, timed as the `real` of
``time``. Another link, another machine, other rules: history beneath a leaderboard, never ranked in one.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

CAPTION = (
    "2013's contest on this size, as history and not ranked: another link, another machine, and timed by "
    "the real of unix time, until the client exits. Seconds."
)


@dataclass(frozen=True)
class Past:
    """One contestant of 2013 and its times, in the order in which they were written down."""

    contestant: str
    name: str  # of its module in contestants/
    times_s: tuple[float, ...]  # at least one

    @property
    def median_s(self) -> float:
        """The median of the times."""
        return statistics.median(self.times_s)


_TIMES: dict[str, tuple[Past, ...]] = {
    "small": (
        Past("Tom", "tom", (4.8, 2.2, 2.4, 2.15, 2.18)),
        Past("Stacey", "stacey", (1.06, 0.94, 0.96, 1.04, 0.98)),
        Past("Jeff", "jeff", (0.94, 0.95, 1.04)),
        Past("Steve", "steve", (1.06, 0.83, 0.86)),
        Past("Brian and Jari", "brian_and_jari", (0.11, 0.11, 0.11, 0.11, 0.11)),
    ),
    "medium": (
        Past("Tom", "tom", (14.8, 14.9, 15.7)),
        Past("Stacey", "stacey", (8.95, 10.97, 9.53, 7.5, 7.07, 7.84, 6.59, 7.11, 8.21)),
        Past("Jeff", "jeff", (4.40, 4.20, 4.50)),
        Past("Brian and Jari", "brian_and_jari", (0.91, 0.91, 0.88, 0.91, 0.94)),
    ),
    "large": (
        Past("Tom", "tom", (529,)),
        Past("Stacey", "stacey", (49.26, 54.13, 53.78, 62.41, 62.36)),
        Past("Jeff", "jeff", (68.27, 68.40, 66.15)),
        Past("Brian and Jari", "brian_and_jari", (7.83, 7.03)),
    ),
}
_TIMES["as-in-2013"] = _TIMES["medium"]


def past(scenario: str) -> tuple[Past, ...]:
    """Return 2013's times of the scenario of that name; empty when the contest had no such size."""
    return _TIMES.get(scenario, ())
