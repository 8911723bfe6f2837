"""The ground that heats are run on: a swarm that failed is replaced, a testbed that is gone ends the race."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
from fake_swarm import Calls, facts, fake_hosts, racer, small, steps
from modules import HEAD, entry

from btgames.containment import bounds_here
from btgames.contestant import Contestant
from btgames.errors import HostError, TestbedError, Unsupported
from btgames.ground import Ground, memory_bytes, warm_up_scenario
from btgames.needs import Need
from btgames.result import Outcome
from btgames.testbeds.choice import local_testbed
from btgames.workshop import Workshop

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from fakes import FakeHost

    from btgames.containment import Bounds
    from btgames.testbeds import Testbed

MINE = Contestant("mine", "./mine.py", Path("/x/mine.py"))


class FakeTestbed:
    """A testbed of fake hosts."""

    name = "local"
    one_clock = True
    rights = "root"
    programs: dict[str, str] = {}  # noqa: RUF012 - never changed
    links: dict[str, Any] = {}  # noqa: RUF012 - never changed
    alive = True

    def __init__(self, hosts: dict[str, FakeHost]) -> None:
        self.hosts = hosts

    def interface(self, host: str) -> str:
        """Return the interface of any host."""
        del host
        return "eth0"

    def machine(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return no facts."""
        del labels
        return {}

    def workshop(self, labels: Sequence[str] = ()) -> Workshop:
        """Return this machine's."""
        del labels
        return Workshop()

    def bounds(self, rng: random.Random, host: str) -> Bounds:
        """Return what this machine grants."""
        del host
        return bounds_here(rng)

    def mend(self) -> None:
        """Fail where the test says so."""
        if not self.alive:
            raise TestbedError("the testbed's namespaces are gone")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Watcher:
    """Looks on and says nothing."""

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """See it."""


class Stage:
    """A ground on fakes."""

    def __init__(self) -> None:
        self.calls: Calls = []
        self.hosts = fake_hosts(self.calls)
        self.testbed = FakeTestbed(self.hosts)
        self.ground = Ground(cast("Testbed", self.testbed), small(), Watcher())
        self.racer = racer(MINE, self.calls)

    def starts(self) -> int:
        """Return how many swarms were started."""
        return steps(self.calls).count("tracker start tracker")


@pytest.fixture
def stage() -> Stage:
    """Return a ground on fakes."""
    return Stage()


def test_one_swarm_serves_all_heats(stage: Stage) -> None:
    """The swarm starts with the first heat, lives through the race and is ended with the ground."""
    with stage.ground:
        assert stage.starts() == 0
        for round_ in (1, 2, 3):
            assert stage.ground.heat(stage.racer, round_, 1).outcome is Outcome.FINISHED
        assert stage.starts() == 1
        assert "tracker stop tracker" not in steps(stage.calls)
    assert steps(stage.calls)[-3:] == ["seeder-1 stop seeder", "tracker stop probe", "tracker stop tracker"]


@pytest.mark.parametrize("warm_up", [False, True])
def test_after_a_void_heat_the_swarm_is_a_new_one(stage: Stage, *, warm_up: bool) -> None:
    """A heat that was void, a warm-up too, leaves no process of its swarm to the next."""
    probe: list[Any] = [{"error": "TimeoutError: no"}, {"ok": True}]
    stage.hosts["tracker"].agents["probe"] = lambda _: probe.pop(0)
    with stage.ground:
        first = stage.ground.warm_up(stage.racer) if warm_up else stage.ground.heat(stage.racer, 1, 1)
        assert first.outcome is Outcome.VOID
        assert steps(stage.calls)[-1] == "tracker stop tracker"
        again = stage.ground.heat(stage.racer, 1, 2)
    assert (again.outcome, again.attempt) == (Outcome.FINISHED, 2)
    assert stage.starts() == 2


def test_a_swarm_that_died_between_heats_is_replaced(stage: Stage) -> None:
    """A seeder that died after a heat that finished costs the next heat nothing."""
    with stage.ground:
        stage.ground.heat(stage.racer, 1, 1)
        stage.hosts["seeder-1"].processes[0].status = -9
        assert stage.ground.heat(stage.racer, 2, 1).outcome is Outcome.FINISHED
    assert stage.starts() == 2


def test_a_testbed_that_is_gone_ends_the_race(stage: Stage) -> None:
    """Without hosts there is nothing to replace a swarm with."""
    with stage.ground:
        stage.testbed.alive = False
        with pytest.raises(TestbedError, match="namespaces are gone"):
            stage.ground.heat(stage.racer, 1, 1)


def test_a_swarm_that_cannot_be_started_is_an_error(stage: Stage) -> None:
    """When even a new swarm does not start, the error says which part; nothing half started is kept."""
    stage.hosts["seeder-1"].silent = ("seeder",)
    with stage.ground:
        for _ in range(2):
            with pytest.raises(HostError, match="seeder-1: seeder did not give its ready line"):
                stage.ground.swarm()
    words = steps(stage.calls)
    assert words.count("tracker start tracker") == words.count("tracker stop tracker") == 2


def test_a_warm_up_is_small_and_short(stage: Stage) -> None:
    """A warm-up has a small payload and a short limit, whatever the scenario; the files' number stays."""
    scenario = small(time_limit_s=600.0)
    big = scenario.model_copy(
        update={
            "payload": scenario.payload.model_copy(update={"size": 200_000_000, "files": "many", "piece_size": 1 << 18})
        }
    )
    short = warm_up_scenario(big)
    assert (short.payload.size, short.payload.files, short.time_limit_s) == (2_000_000, "many", 30.0)
    assert short.num_pieces > 1
    assert warm_up_scenario(small()).payload.size == 32768
    with stage.ground:
        assert stage.ground.warm_up(stage.racer).outcome is Outcome.FINISHED


def test_contestants_run_as_nobody_in_particular(stage: Stage) -> None:
    """With root a race has an unprivileged user of its own for contestants; without, the user namespace does."""
    uid = stage.ground.arena.bounds.uid
    assert uid is None if os.geteuid() else uid is not None and 61184 <= uid <= 65519


def test_the_testbed_has_room_for_every_copy() -> None:
    """Memory is counted for each seeder's copy, the download twice, and some."""
    scenario = small()
    group = scenario.seeders[0].model_copy(update={"count": 3})
    more = scenario.model_copy(update={"seeders": (group,)})
    assert memory_bytes(more) - memory_bytes(scenario) == 2 * 32768
    assert memory_bytes(scenario) >= 3 * 32768


@pytest.fixture
def any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this machine pass for one that can hold any race."""
    monkeypatch.setattr("btgames.testbeds.local.LocalTestbed.check", lambda _: None)


@pytest.mark.usefixtures("any_machine")
def test_the_hosts_of_a_scenario() -> None:
    """Tracker, seeders and client, each with its links; nothing is started."""
    links = local_testbed(small()).links
    assert list(links) == ["tracker", "seeder-1", "client"]
    assert (links["tracker"]["up_mbit"], links["client"]["down_mbit"]) == (None, 250)


@pytest.mark.usefixtures("any_machine")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tracker": "opentracker"}, ["opentracker: apt-get install opentracker"]),
        ({"seeder": "deluge"}, ["Deluge: apt-get install deluged"]),
        (
            {"tracker": "opentracker", "seeder": "deluge"},
            ["opentracker: apt-get install opentracker", "Deluge: apt-get install deluged"],
        ),
    ],
)
def test_a_missing_program_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], words: list[str]
) -> None:
    """A scenario with opentracker or Deluge needs it on this machine, and says how to get it, all at once."""
    monkeypatch.setattr(Need, "find", lambda _: None)
    with pytest.raises(TestbedError) as refused:
        local_testbed(small(**fields))
    assert str(refused.value).split("\n") == [f"this scenario needs Debian's {each}" for each in words]
    assert local_testbed(small()).programs == {}


@pytest.mark.usefixtures("any_machine")
def test_the_card_has_the_version_of_what_a_scenario_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Package and version of each program; nobody knows that of one that is no package's."""
    monkeypatch.setattr(Need, "find", lambda need: f"/usr/bin/{need.package}")
    monkeypatch.setattr(Need, "version", lambda need: {"deluged": "2.0.3-4"}.get(need.package, ""))
    testbed = local_testbed(small(tracker="opentracker", seeder="deluge"))
    assert testbed.programs == {"opentracker": "", "deluged": "2.0.3-4"}


# Ready to race: installed, and of the version that was asked for.


@pytest.mark.parametrize(
    ("asked", "word", "fits"),
    [
        (None, "1.37", True),
        ("1.36.0", "1.36.0", True),
        ("1.36", "1.36.0", True),
        ("1.36.0", "aria2 version 1.36.0-1+deb12", True),
        ("3", "11.36", False),
        ("1.3", "1.36.0", False),
        ("1.36.0", "21.36.0", False),
        ("2.0", "1.2.0", False),
        ("abc12", "1.2-abc123f", True),
        ("abc12", "1.2-abd123f", False),
    ],
)
def test_the_version_that_was_asked_for_is_the_one_that_races(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, word: str, *, fits: bool
) -> None:
    """A contestant of another version than the user asked for does not race under that label."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one = entry(tmp_path, head=f"{HEAD}def version(host): return {word!r}\n", version=asked)
    with Workshop() as workshop:
        if fits:
            assert workshop.ready(one, lambda _: None).version == word
        else:
            with pytest.raises(Unsupported, match=f"version {word} is installed, {asked} was asked for"):
                workshop.ready(one, lambda _: None)


def test_without_a_version_of_its_own_the_pin_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot tell its version is recorded with its pin."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one = entry(tmp_path)
    with Workshop() as workshop:
        assert workshop.ready(one, lambda _: None).version == "1"


def test_facts_of_a_void_heat_are_kept(stage: Stage) -> None:
    """A heat that the testbed spoiled is recorded with what is known of it."""
    failed = {"who": "cell", "reason": "no namespaces"}
    stage.hosts["client"].agents["stopwatch"] = lambda _: [facts(failed=failed)]
    with stage.ground:
        result = stage.ground.heat(stage.racer, 1, 1)
    assert (result.outcome, result.reason) == (Outcome.VOID, "the testbed failed: no namespaces")
    assert result.info_hash
