"""Real clients, really raced, on small variants of the scenarios that ship; all these races run at once."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from games import LOOK_S, Games, Running, family, need_namespaces

from btgames import contestant, listing, places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def _missing(name: str) -> str:
    """Return what this machine lacks for a contestant, "" when it has all."""
    program = PROGRAMS.get(name)
    if program and shutil.which(program) is None:
        return f"needs {program}: ./inv install --contestant {name}"
    return ""


TEMPORARY = {"transmission": "payload.bin.part", "anacrolix": "payload.bin.part"}
"""
Under which name a client has the payload until it is whole.
"""


def names_while_it_runs(running: Running) -> list[set[str]]:
    """Return what lay in the download directory, look by look, until the race was over; equal looks once."""
    looks: list[set[str]] = []
    while not running.over:
        for pid in family(running.pid):
            with suppress(OSError):  # another mount namespace, or ended
                names = set(os.listdir(f"/proc/{pid}/root/run/btgames/client/heat/into"))  # noqa: PTH208 - of another root
                if not looks or looks[-1] != names:
                    looks.append(names)
        time.sleep(LOOK_S)
    return looks


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Start all races that this machine can run."""
    need_namespaces()
    games = Games(tmp_path_factory.mktemp("games"), None)
    with ExitStack() as stack:
        running = {}
        for scenario, names in RACES.items():
            able = [name for name in names if not _missing(name)]
            if able:
                running[scenario] = stack.enter_context(games.start_race(*able, scenario=scenario))
        yield running


@pytest.mark.parametrize(
    ("scenario", "name"), [(scenario, name) for scenario, names in RACES.items() for name in names]
)
def test_real_clients(races: dict[str, Running], scenario: str, name: str) -> None:
    """A real client finishes each kind of scenario, with its announces in the card; only jeff may hang, as it does."""
    if reason := _missing(name):
        pytest.skip(reason)
    ran = races[scenario].ended(RACE_S)
    heat = ran.one(name)
    assert heat.outcome in ({"finished", "timed_out"} if name == "jeff" else {"finished"}), (heat, ran.err)
    assert heat.announces
    assert heat.rx_bytes is not None
    if heat.outcome == "finished":
        assert heat.rx_bytes > heat.payload_bytes == 2_000_000
    assert heat.version
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_temporary_name_is_not_the_payload(tmp_path: Path, name: str) -> None:
    """Who has the payload under another name until it is whole finishes all the same: when the final name is there."""
    need_namespaces()
    (one,) = contestant.load([name], places.CONTESTANTS)
    if one.constants["SLOW"] and listing.installed(one, places.installed())[0] != "yes":
        pytest.skip(f"{name} is not installed, and compiles for minutes")
    with Games(tmp_path, None).start_race(name, scenario="medium", options=("--heats", "1")) as running:
        looks = names_while_it_runs(running)
        ran = running.ended(RACE_S)
    assert ran.one(name).outcome == "finished", ran
    temporary = [number for number, names in enumerate(looks) if TEMPORARY[name] in names]
    assert temporary, looks
    assert "payload.bin" in looks[temporary[-1] + 1], looks
    assert not any({TEMPORARY[name], "payload.bin"} <= names for names in looks), looks
