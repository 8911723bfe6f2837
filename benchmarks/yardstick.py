"""
Is the yardstick as fast as the link, and the house contestant nearly as fast as the yardstick?

Targets: on `medium`, payload / complete_s of `http` is 97 % of the goodput that our TCP probe finds on the same link;
on `large`, `libtorrent` reaches 90 % of `http`. What the stopwatch cost in these heats is told beside them.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks._figures import Figure, load, show, track
from benchmarks.link_goodput import goodput_mbit

if TYPE_CHECKING:
    from btgames.result import Heat

OF_THE_LINK = 0.97
OF_THE_YARDSTICK = 0.90
HEATS = {"medium": 6, "large": 3}


def of_the_link(count: int) -> bool:
    """Compare http with the probe on `medium`; return whether the target was kept."""
    with track("medium", "http") as bench:
        hosts = bench.testbed.hosts
        heats = bench.heats(count)["http"]
        mbit, _ = goodput_mbit(hosts["seeder-1"], hosts["client"])
    shares = [heat.payload_bytes * 8e-6 / (heat.complete_s or 0.0) / mbit for heat in heats]
    print(f"medium: the probe finds {mbit:.1f} Mbit/s on a link of {bench.scenario.client.down_mbit:g}")
    return show(
        _complete("medium: http", heats), Figure("... of the probe", shares, at_least=OF_THE_LINK, percent=True)
    )


def of_the_yardstick(count: int) -> bool:
    """Compare libtorrent with http on `large`; return whether the target was kept."""
    with track("large", "http", "libtorrent") as bench:
        heats = bench.heats(count)
    yardstick = statistics.median(heat.complete_s or 0.0 for heat in heats["http"])
    shares = [yardstick / (heat.complete_s or 0.0) for heat in heats["libtorrent"]]
    for label, mine in heats.items():
        show(_complete(f"large: {label}", mine))
        stopwatch = [(heat.stopwatch_cpu_s or 0.0) / (heat.complete_s or 0.0) for heat in mine]
        show(Figure("... the stopwatch's share of a processor", stopwatch, percent=True))
    return show(Figure("large: libtorrent of http", shares, at_least=OF_THE_YARDSTICK, percent=True))


def _complete(what: str, heats: list[Heat]) -> Figure:
    return Figure(what, [heat.complete_s or 0.0 for heat in heats])


def main() -> int:
    """Measure both; exit status 1 when a target was missed."""
    print(load())
    fine = [of_the_link(HEATS["medium"]), of_the_yardstick(HEATS["large"])]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
