"""
What the harness adds to a client's own time, and where that goes: set-up, verification, record.

Measured is the time of a whole heat less the client's, from its exec to its exit. Target: at most 0.25 s on `small`,
where the client here takes 0.1 s, and on `large` at most 15 % of the time that its link takes to carry the payload.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from benchmarks._figures import Figure, load, show, track
from btgames import heat, timing
from btgames.swarm import Swarm
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL_S = 0.25
LARGE_SHARE = 0.15
GOODPUT = 0.957  # of a link's rate: see link_goodput.py
HEATS = {"small": 20, "large": 5}

# A step ends where this function is called, or where it has returned.
STEPS: tuple[tuple[str, Any, str, bool], ...] = (
    ("payload, hashes, marks", Swarm, "prepare", True),
    ("swarm proven to answer", heat, "clean_folder", False),
    ("download directory", Wrapper, "torrentfile", False),
    ("contestant's module", timing, "spec_of", False),
    ("stopwatch and cell", timing, "measure", True),  # up to the exec, which its result tells
)
VERIFIED = "marks and hashes again"
CLEARED = "log, record, clearing up"


class Profile:
    """How long the steps of heats took, by name; the client's own time is left out."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self._last = 0.0
        self._ended = 0.0

    def begin(self) -> None:
        """Say that a heat begins."""
        self._last = time.monotonic()

    def end(self) -> None:
        """Say that it is over."""
        self._step(CLEARED, time.monotonic())

    def _step(self, name: str, now: float) -> None:
        self.took[name].append(now - self._last)
        self._last = now

    @contextmanager
    def following(self) -> Iterator[None]:
        """Note the steps of the heats that run meanwhile."""
        with ExitStack() as stack:
            for name, owner, function, after in STEPS:
                original = getattr(owner, function)
                setattr(owner, function, self._noting(name, original, after=after))
                stack.callback(setattr, owner, function, original)
            yield

    def _noting(self, name: str, function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
        @wraps(function)
        def noting(*args: Any, **kwargs: Any) -> Any:
            if not after:
                self._step(name, time.monotonic())
            result = function(*args, **kwargs)
            now = time.monotonic()
            if isinstance(result, dict) and "exec_s" in result:
                self._step(name, result["exec_s"])
                self._last += result["exit_s"]
                self._step(VERIFIED, now)
            elif after:
                self._step(name, now)
            return result

        return noting


def measure(scenario: str, count: int) -> bool:
    """Print what heats of a scenario cost, step by step; return whether the target was kept."""
    profile = Profile()
    with track(scenario, "http") as bench, profile.following():
        added = []
        for _ in range(count):
            profile.begin()
            result = bench.heat("http")
            profile.end()
            added.append((result.total_s or 0.0) - (result.exit_s or 0.0))
        size, mbit = bench.scenario.payload.size, bench.scenario.client.down_mbit
    fine = show(Figure(f"{scenario}: added to the client's time", added, at_most=_limit_s(size, mbit)))
    for name, took in profile.took.items():
        print(f"    {name:30} {statistics.median(took) * 1e3:8.1f} ms, at worst {max(took) * 1e3:.1f}")
    return fine


def _limit_s(size: int, mbit: float | None) -> float:
    """Return the most that may be added: either target is for the payloads on which it is the larger one."""
    return max(SMALL_S, LARGE_SHARE * size * 8e-6 / (GOODPUT * mbit) if mbit else 0.0)


def main() -> int:
    """Measure both ends of what is raced; exit status 1 when a target was missed."""
    print(load())
    fine = [measure(scenario, count) for scenario, count in HEATS.items()]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
