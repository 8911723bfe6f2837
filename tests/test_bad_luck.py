"""What a race makes of a tracker or a seeder that dies, of Ctrl-C, and of other races beside it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from games import Games, Traces, dice, fake, machine, need_deluge, need_namespaces, need_opentracker, wait_for

from btgames.result import RaceCard

if TYPE_CHECKING:
    from games import Running

pytestmark = pytest.mark.testbed

SLOW = "_behaviours.py slow"
AGENTS = {
    "seeder": "btgames.agents.seeder",
    "tracker": "btgames.agents.tracker",
    "opentracker": "opentracker -f",
    "deluged": "deluged --do-not-daemonize",
    "nsenter": "nsenter .* opentracker -f",  # through which it was started
}


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Games:
    """Return a command line with a folder of its own, a fake installed already."""
    need_namespaces()
    games = Games.of(tmp_path_factory)
    games.race(fake("slow"))
    return games


def _kill(running: Running, victim: str) -> None:
    """Kill a program of the swarm for real, amid a heat of the slow contestant."""
    running.until(lambda: running.find(SLOW), "a heat begins")
    pid = running.until(lambda: running.find(AGENTS[victim]), f"the {victim} is there")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: not running.find(SLOW), "the heat is over")


@pytest.mark.parametrize("victim", AGENTS)
def test_a_swarm_that_dies_once(games: Games, victim: str) -> None:
    """A heat whose seeder or tracker dies is void, says why, and is run again; the contestant is not blamed."""
    scenario = "tiny"
    if victim in {"opentracker", "nsenter"}:
        need_opentracker()
        scenario = "opentracker"
    if victim == "deluged":
        need_opentracker()
        need_deluge()
        scenario = "deluge"
    with games.start_race(fake("slow"), scenario=scenario, options=("--heats", "2")) as running:
        running.until(lambda: running.recorded() == 1, "the first heat is over")
        _kill(running, victim)
        ran = running.ended()
    assert [(heat.round, heat.attempt, heat.outcome) for heat in ran.heats] == [
        (1, 1, "finished"),
        (2, 1, "void"),
        (2, 2, "finished"),
    ]
    who = "seeder-1" if victim in {"seeder", "deluged"} else "tracker"
    assert who in ran.heats[1].reason
    assert "Traceback" not in ran.heats[1].reason
    assert (ran.status, ran.err) == (0, "")
    assert "1 void (round 2), not counted" in ran.out


def test_a_swarm_that_keeps_dying(games: Games) -> None:
    """A heat that is void twice is given up; the contestant is named, the status says that some could not be run."""
    with games.start_race(fake("slow"), options=("--heats", "2")) as running:
        running.until(lambda: running.recorded() == 1, "the first heat is over")
        for _ in range(2):
            _kill(running, "seeder")
        ran = running.ended()
    assert [heat.outcome for heat in ran.heats] == ["finished", "void", "void"]
    assert ran.status == 1
    assert "slow: the testbed failed in 2 of its heats; is it the contestant that breaks it?" in " ".join(
        ran.out.split()
    )


def test_a_swarm_that_dies_in_a_warm_up(games: Games) -> None:
    """A seeder that dies before the first heat is replaced; no recorded heat suffers."""
    with games.start_race(fake("slow"), options=("--heats", "1")) as running:
        _kill(running, "seeder")
        ran = running.ended()
    assert [heat.outcome for heat in ran.heats] == ["finished"]
    assert ran.status == 0


@pytest.mark.parametrize("seed", range(5))
def test_ctrl_c(games: Games, seed: int) -> None:
    """Ctrl-C at any moment ends a race in under 2 s with status 130, a valid card and the leaderboard so far."""
    rng = dice(seed)
    before = machine()
    traces = Traces()
    number = rng.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM])
    with games.start_race(fake("slow"), fake("crashes"), options=("--heats", "50")) as running:
        running.until(running.card.exists, "the race begins")
        traces.watch(running.pid, rng.uniform(0, 3))
        ran, seconds = running.interrupt(number)
    assert ran.status == 130, ran
    assert seconds < 2
    assert "Traceback" not in ran.err
    assert "Interrupted" in ran.out
    assert f"Race card: {ran.card}" in ran.out
    assert len(ran.heats) < 50
    if ran.of("slow"):
        assert "1 slow" in ran.out
    assert traces.left() == []
    assert machine() == before
    assert list(games.tmp.iterdir()) == []


def test_ctrl_c_amid_an_install(games: Games) -> None:
    """Ctrl-C ends an install, too, and what was half done is not taken for installed afterwards."""
    module = games.folder / "endless.py"
    module.write_text(
        "def install(host, version='1'): host.run('sleep', '1234')\n"
        "def torrentfile(host, torrent): ...\n"
        "def download(torrentfile, into): ...\n"
    )
    traces = Traces()
    with games.start_race(fake("slow"), str(module)) as running:
        running.until(lambda: running.find("sleep 1234"), "it installs")
        traces.see(running.pid)
        ran, seconds = running.interrupt()
    assert ran.status == 130
    assert seconds < 2
    assert "Traceback" not in ran.err
    assert traces.left() == []
    installed = games.cache / "btgames" / "installed"
    assert list(installed.glob("endless-*.json")) == []


def test_two_races_at_once(games: Games) -> None:
    """Two races at once of the same scenario and contestants both work, and share nothing."""
    entries = (fake("slow"), fake("part"))
    with (
        games.start_race(*entries, options=("--heats", "2")) as one,
        games.start_race(*entries, options=("--heats", "2")) as two,
    ):
        wait_for(lambda: one.find(SLOW) and two.find(SLOW), "both race")
        races = [one.ended(), two.ended()]
    for ran in races:
        assert (ran.status, ran.err) == (0, "")
        assert [heat.outcome for heat in ran.heats] == ["finished"] * 4
    first, second = (RaceCard.read(ran.card) for ran in races)
    assert first.header.id != second.header.id
    assert not {heat.info_hash for heat in first.heats} & {heat.info_hash for heat in second.heats}


def test_without_card_it_goes_to_results(games: Games) -> None:
    """Without --card the race card is results/DATE-SCENARIO-ID.jsonl, and the leaderboard finds it by itself."""
    ran = games.run("race", "--scenario", "small", "--contestant", fake("perfect"), "--heats", "1", "--quiet")
    assert ran.status == 0, ran
    (card,) = (games.folder / "results").iterdir()
    read = RaceCard.read(card)
    assert card.name == f"{read.header.started_at[:10]}-small-{read.header.id}.jsonl"
    shown = games.run("leaderboard")
    assert shown.status == 0
    assert "1 perfect" in shown.out
