"""
Every contestant that PyPI, npm and Debian give, installed and really raced on `small`: the group `quick`.

The others, on all sizes, are a suite of their own: tests/test_all_contestants.py.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from field import judge
from games import Games, Running, need_namespaces

from btgames import contestant, places

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]

QUICK = {one.name: one for one in contestant.load(["quick"], places.CONTESTANTS)}
SIDE_BY_SIDE = 3  # races of those who should finish; most of them wait for their own timers, not for a processor
RACE_S = 600.0


def dealt() -> dict[str, tuple[str, ...]]:
    """Return who is in which race, by name: who may wait for the time limit keeps nobody else waiting."""
    sound = [name for name, one in QUICK.items() if not one.defect]
    alone = [(name,) for name, one in QUICK.items() if one.defect]
    races = [*(tuple(sound[first::SIDE_BY_SIDE]) for first in range(SIDE_BY_SIDE)), *alone]
    return {name: race for race in races for name in race}


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Have all races go on at once."""
    need_namespaces()
    games = Games(tmp_path_factory.mktemp("games"), None)
    with ExitStack() as stack:
        running: dict[tuple[str, ...], Running] = {}
        for race in dict.fromkeys(dealt().values()):
            running[race] = stack.enter_context(games.start_race(*race, scenario="small", options=("--heats", "1")))
        yield {name: running[race] for name, race in dealt().items()}


@pytest.mark.parametrize("name", QUICK)
def test_each_of_the_quick_group_finishes_small(races: dict[str, Running], name: str) -> None:
    """It installs and finishes, unless its module says what the client does wrong; its version is recorded."""
    ran = races[name].ended(RACE_S)
    judge(QUICK[name], ran.of(name))
