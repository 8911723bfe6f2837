"""
The suite `all-contestants`: all that ship, slow builds and git-hosted ones included, on the three sizes of 2013.

It takes an hour and more. Its race cards stay in results/, for the table of docs/field.md.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache

import pytest
from field import judge
from games import BTGAMES, ROOT, need_namespaces

from btgames import contestant, places
from btgames.result import RaceCard

pytestmark = [pytest.mark.all_contestants, pytest.mark.timeout(4 * 3600)]

HEATS = {"small": 3, "medium": 3, "large": 1}  # on `large` who never finishes waits 600 s each time
EVERYONE = {one.name: one for one in contestant.load(["all"], places.CONTESTANTS)}


@cache
def raced(size: str) -> RaceCard:
    """Race everyone on a size, once, in the open: it takes long, and one wants to see how far it is."""
    need_namespaces()
    card = ROOT / "results" / f"field-{size}.jsonl"
    card.unlink(missing_ok=True)
    who = ("--contestant", "all", "--scenario", size, "--heats", str(HEATS[size]))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*BTGAMES, "race", *who, "--testbed", "local", "--card", str(card)], cwd=ROOT, env=environment, check=False
    )
    return RaceCard.read(card)


@pytest.mark.parametrize("size", HEATS)
@pytest.mark.parametrize("name", EVERYONE)
def test_each_contestant_finishes_each_size(name: str, size: str) -> None:
    """It finishes, unless its module says what the client does wrong; who cannot be here skips, with the reason."""
    judge(EVERYONE[name], [heat for heat in raced(size).heats if heat.contestant == name])
