"""
How soon does the command line answer, and how soon does a race begin?

Targets: `invoke --list` and `./inv --list` in under 0.3 s; from `./inv race` to the start of its first heat, a warm-up,
in under 2 s when all is installed. The race is the default one and a contestant that tells when it began.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._figures import Figure, load, show
from btgames import contestant
from btgames.result import RaceCard

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
LIST_S = 0.3
RACE_S = 2.0
LISTS = 15
RACES = 4

# It prints the time of its start (its interpreter takes 6 ms of it), and notes the times at which it is asked how to
# start: a warm-up's output is kept nowhere, but from the question to the start it goes as in a heat.
TIMER = '''
"""Tells when it was asked and when it began."""

import time
from pathlib import Path

from btgames.contract import Command


def install(host, version="1"):
    pass


def torrentfile(host, torrent):
    return host.put(torrent.data, "test.torrent")


def download(torrentfile, into):
    with Path(__file__).with_name("asked").open("a") as asked:
        print(time.monotonic(), file=asked)
    return Command("python3", "-I", "-S", "-c", "import time; print(time.monotonic())")
'''


def listing_s(argv: list[str]) -> float:
    """Return how long a listing of the tasks takes."""
    began_s = time.monotonic()
    subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s


def until_first_heat_s(argv: list[str], others: Sequence[str] = contestant.DEFAULT) -> float:
    """Run a race of the timer and others; return how long it took until its first heat, a warm-up, began."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "timer.py").write_text(TIMER)
        card = folder / "card.jsonl"
        who = [f"timer={folder}/timer.py", *others]
        entries = [word for entry in who for word in ("--contestant", entry)]
        began_s = time.monotonic()
        run = subprocess.run(
            [*argv, "race", *entries, "--heats", "1", "--card", str(card), "--quiet"],
            cwd=ROOT,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if run.returncode or not card.exists():
            sys.exit(f"the race ended with status {run.returncode}:\n{run.stdout}")
        (heat,) = (heat for heat in RaceCard.read(card).heats if heat.contestant == "timer")
        first_s, *_, heat_s = map(float, (folder / "asked").read_text().split())
        return first_s + (float(heat.log_tail) - heat_s) - began_s


def main() -> int:
    """Measure both; exit status 1 when a target was missed."""
    print(load())
    python = Path(sys.executable)
    commands = {"invoke --list": [str(python.with_name("invoke")), "--list"], "./inv --list": ["./inv", "--list"]}
    fine = []
    for what, argv in commands.items():
        listing_s(argv)  # the first one sets up, and finds nothing in the caches
        fine.append(show(Figure(what, [listing_s(argv) for _ in range(LISTS)], at_most=LIST_S)))
    race = ["./inv"]
    until_first_heat_s(race)  # may install
    values = [until_first_heat_s(race) for _ in range(RACES)]
    fine.append(show(Figure("./inv race: until the first heat", values, at_most=RACE_S)))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
