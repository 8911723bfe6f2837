"""Real clients, really raced, on small variants of the scenarios that ship; all these races run at once."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from games import Games, Running, need_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.testbed

# Scenario -> who races.
RACES = {
    "patient": ("transmission",),  # 14 s, whatever the size
    "tcp": ("libtorrent", "aria2"),
    "utp": ("libtorrent_default",),
    "portions": ("libtorrent", "aria2"),
    "many-seeders": ("libtorrent", "aria2"),
    "jeff": ("jeff",),
}
PROGRAMS = {"aria2": "aria2c", "transmission": "transmission-cli", "jeff": "gcc"}
RACE_S = 120.0


def _missing(contestant: str) -> str:
    """Return what this machine lacks for a contestant, "" when it has all."""
    program = PROGRAMS.get(contestant)
    if program and shutil.which(program) is None:
        return f"needs {program}: ./inv install --contestant {contestant}"
    return ""


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Start all races that this machine can run."""
    need_namespaces()
    games = Games(tmp_path_factory.mktemp("games"), None)
    with ExitStack() as stack:
        running = {}
        for scenario, contestants in RACES.items():
            able = [contestant for contestant in contestants if not _missing(contestant)]
            if able:
                running[scenario] = stack.enter_context(games.start_race(*able, scenario=scenario))
        yield running


@pytest.mark.parametrize(("scenario", "contestant"), [(name, who) for name, all_ in RACES.items() for who in all_])
def test_real_clients(races: dict[str, Running], scenario: str, contestant: str) -> None:
    """A real client finishes each kind of scenario, with its announces in the card; only jeff may hang, as it does."""
    if reason := _missing(contestant):
        pytest.skip(reason)
    ran = races[scenario].ended(RACE_S)
    heat = ran.one(contestant)
    assert heat.outcome in ({"finished", "timed_out"} if contestant == "jeff" else {"finished"}), (heat, ran.err)
    assert heat.announces
    assert heat.rx_bytes is not None
    if heat.outcome == "finished":
        assert heat.rx_bytes > heat.payload_bytes == 2_000_000
    assert heat.version
    assert (ran.status, ran.err) == (0, "")
