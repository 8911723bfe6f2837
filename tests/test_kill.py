"""kill -9 of any process of a race, at any moment: nothing of it is left, and the race card is valid."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from games import Games, Traces, command_line, dice, fake, machine, need_namespaces, wait_for

from btgames.result import RaceCard

if TYPE_CHECKING:
    import random

pytestmark = pytest.mark.testbed

# Part of a command line -> who that is; the first that fits.
ROLES = {
    "btgames race": "harness",
    "btgames.worker": "worker",
    "btgames.testbeds.keeper": "keeper",
    "btgames.agents.stopwatch": "stopwatch",
    "btgames.agents.seeder": "seeder",
    "btgames.agents.tracker": "tracker",
    "btgames.agents.probe": "probe",
    "btgames.agents.cell": "cell",
    "_behaviours.py": "client",
}
VICTIMS = [*ROLES.values(), "unshare", "nsenter"]


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Games:
    """Return a command line with a folder of its own, two fakes installed already."""
    need_namespaces()
    games = Games.of(tmp_path_factory)
    games.race(fake("slow"), fake("daemonises"))
    return games


def _role(pid: int) -> str:
    line = command_line(pid)
    program = Path(line.partition(" ")[0]).name
    if program in {"unshare", "nsenter"}:
        return program
    return next((role for part, role in ROLES.items() if part in line), program)


def _killed(rng: random.Random, members: list[int], victim: str) -> bool:
    """Kill one of the processes with that role; return False where there is none, or no longer."""
    candidates = [pid for pid in members if _role(pid) == victim]
    if not candidates:
        return False
    try:
        os.kill(rng.choice(candidates), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _check(games: Games, victim: str, rng: random.Random) -> None:
    """Kill one process of that role at some moment of a race; look what is left."""
    before = machine()
    traces = Traces()
    with games.start_race(fake("slow"), fake("daemonises"), options=("--heats", "9")) as running:
        running.until(running.card.exists, "the race begins")
        traces.watch(running.pid, rng.uniform(0, 2))
        running.until(lambda: _killed(rng, traces.see(running.pid), victim), f"there is a {victim}")
        # A race that goes on is looked at while it does, and then ended as a user would.
        heats = running.recorded()
        wait_for(lambda: running.over or running.recorded() > heats, f"{victim}: it goes on or it ends")
        if victim == "harness":
            assert running.ended().status == -signal.SIGKILL
        elif running.over:
            ran = running.ended()
            assert ran.status in {0, 1}
            assert "Traceback" not in ran.err, ran.err
            assert ran.err, "it says why"
        else:
            traces.see(running.pid)
            ran, seconds = running.interrupt()
            assert (ran.status, seconds < 2) == (130, True)
            assert "Traceback" not in ran.err, ran.err
    wait_for(lambda: not traces.left(), f"{victim}: left: {traces.left()}", 5)
    assert machine() == before
    card = RaceCard.read(running.card)
    assert len(card.warnings) <= (victim == "harness")
    # A worker or a cell of the time before the first heat was the contestant's own work.
    expected = {"finished", "void", "crashed", "corrupt"} | ({"unsupported"} if victim in {"worker", "cell"} else set())
    assert {heat.outcome for heat in card.heats} <= expected, card.heats
    assert list(games.tmp.iterdir()) == []


@pytest.mark.parametrize("victim", VICTIMS)
def test_whoever_is_killed(games: Games, victim: str) -> None:
    """Each kind of process of a race, killed at some moment."""
    _check(games, victim, dice(victim))


@pytest.mark.parametrize("seed", range(9))
def test_anybody_at_any_moment(games: Games, seed: int) -> None:
    """Any process of a race, at a random moment of its start or its heats."""
    rng = dice(seed)
    before = machine()
    traces = Traces()
    with games.start_race(fake("slow"), options=("--heats", "9")) as running:
        traces.watch(running.pid, rng.uniform(0, 3))
        one = rng.choice(traces.see(running.pid))
        role = _role(one)
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            role = f"late for {role}"
        # From now on the harness may go on for as long as it likes: it is killed, too.
        traces.watch(running.pid, rng.uniform(0, 0.5))
        traces.see(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.ended()
    wait_for(lambda: not traces.left(), f"{role}: left: {traces.left()}", 5)
    assert machine() == before
    if running.card.exists() and running.card.stat().st_size:
        assert RaceCard.read(running.card).header.scenario == "tiny"


def test_a_kill_amid_an_install(games: Games) -> None:
    """The harness killed amid an install leaves none of its processes, and the next race installs anew."""
    module = games.folder / "once.py"
    module.write_text(
        "def install(host, version='1'):\n"
        "    host.put('1', 'half')\n"
        f"    host.run('sleep', '4321' if not __import__('os').path.exists({str(games.folder / 'again')!r}) else '0')\n"
        "def torrentfile(host, torrent): return host.put(torrent.data, 'test.torrent')\n"
        "def download(torrentfile, into): ...\n"
    )
    traces = Traces()
    with games.start_race(str(module)) as running:
        running.until(lambda: running.find("sleep 4321"), "it installs")
        traces.see(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.ended()
    wait_for(lambda: not traces.left(), f"left: {traces.left()}", 5)
    (games.folder / "again").touch()
    ran = games.race(str(module))
    assert "download() returned NoneType" in ran.one("once").reason, "it was installed"
