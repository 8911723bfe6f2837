"""The race over recording fakes: order, void heats, retirement, interruption, exit status; no host anywhere."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from fake_swarm import FakeWrapper
from modules import HEAD, entry
from test_ground import FakeTestbed

from btgames import places, race
from btgames.contract import NeedsPackages
from btgames.errors import GamesError, TestbedError, Unsupported, UserError
from btgames.installing import Installed
from btgames.result import CardWriter, Heat, Outcome, RaceCard
from btgames.workshop import Racer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from btgames.contestant import Contestant

Script = dict[str, list[Outcome | BaseException]]


@dataclass
class Stage:
    """A race's fakes: `script` has how each contestant's heats end, in order, then they finish; `log` what was done."""

    card: Path
    script: Script = field(default_factory=dict)
    unready: dict[str, BaseException] = field(default_factory=dict)  # what comes of making a contestant ready
    bring_up: BaseException | None = None
    warm: dict[str, Outcome | BaseException] = field(default_factory=dict)  # how warm-ups end
    log: list[str] = field(default_factory=list)
    options: str = ""  # of the workshop that it is, too
    on_disk: list[int] = field(default_factory=list)  # heats in the card's file at the beginning of each heat
    keep: Path | None = None

    def ready(self, one: Contestant, notify: Callable[[str], None]) -> Racer:
        """Stand in for a workshop's `ready`."""
        self.log.append(f"ready {one.label}")
        assert callable(notify)
        if one.label in self.unready:
            raise self.unready[one.label]
        return Racer(one, FakeWrapper([]), Installed("/x", (), 0.0), "1")  # type: ignore[arg-type] # a fake

    def ready_all(self, everyone: Sequence[Contestant], notify: Callable[[str], None]) -> list[Racer | Unsupported]:
        """Stand in for a workshop's `ready_all`."""
        made: list[Racer | Unsupported] = []
        for one in everyone:
            try:
                made.append(self.ready(one, notify))
            except Unsupported as why:
                made.append(why)
        return made

    def end(self, label: str, round_: int, attempt: int, planned: Outcome | BaseException) -> Heat:
        """Return how a heat ends, or raise."""
        if isinstance(planned, BaseException):
            raise planned
        complete_s = 1.0 if planned is Outcome.FINISHED else None
        return Heat(contestant=label, round=round_, attempt=attempt, outcome=planned, complete_s=complete_s, reason="")


class FakeGround:
    """Stands in for `btgames.ground.Ground`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> Self:
        self._stage.log.append("ground up")
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.log.append("ground down")

    def warm_up(self, racer: Racer) -> Heat:
        """Note it."""
        label = racer.contestant.label
        self._stage.log.append(f"warm-up {label}")
        return self._stage.end(label, 1, 1, self._stage.warm.get(label, Outcome.FINISHED))

    def heat(self, racer: Racer, round_: int, attempt: int) -> Heat:
        """Note it, and what the card's file holds."""
        label = racer.contestant.label
        self._stage.log.append(f"{round_} {label}" + (" again" if attempt > 1 else ""))
        self._stage.on_disk.append(len(RaceCard.read(self._stage.card).heats))
        planned = self._stage.script.get(label, [])
        return self._stage.end(label, round_, attempt, planned.pop(0) if planned else Outcome.FINISHED)


class NotedTestbed(FakeTestbed):
    """A testbed that notes when it is brought up and taken down."""

    def __init__(self, stage: Stage) -> None:
        super().__init__({})
        self._stage = stage

    def __enter__(self) -> Self:
        self._stage.log.append("testbed up")
        if self._stage.bring_up:
            raise self._stage.bring_up
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.log.append("testbed down")

    @contextmanager
    def workshop(self, labels: Sequence[str] = ()) -> Iterator[Stage]:  # type: ignore[override] # a fake
        """Give what stands in for a workshop."""
        del labels
        yield self._stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return the fakes of a race, in place of the real things; contestants a, b and c are modules here."""
    made = Stage(tmp_path / "cards" / "race.jsonl")

    def ground(_testbed: object, _scenario: object, _show: object, keep: Path | None) -> FakeGround:
        made.keep = keep
        return FakeGround(made)

    monkeypatch.setattr(race, "Ground", ground)
    monkeypatch.setattr(race, "testbed_for", lambda *_: nullcontext(NotedTestbed(made)))
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        entry(tmp_path, name=name)
    return made


def run(stage: Stage, *labels: str, heats: int | None = 2, **options: Any) -> int:
    """Race; return the exit status."""
    usual: dict[str, Any] = {"scenario": "small", "card": str(stage.card), "keep": None, "dry_run": False, "seed": 5}
    usual |= {"retire": True, "quiet": False, **options}
    return race.command(contestants=[f"./{label}.py" for label in labels or "abc"], heats=heats, **usual)


def heats(stage: Stage) -> list[tuple[str, int, int, str]]:
    """Return what the card holds: contestant, round, attempt, outcome."""
    return [(h.contestant, h.round, h.attempt, h.outcome.value) for h in RaceCard.read(stage.card).heats]


def raced(stage: Stage) -> list[str]:
    """Return the heats that were run, in order: ``1 a``."""
    return [line for line in stage.log if line[0].isdigit()]


# The order of things.


def test_the_steps_of_a_race(stage: Stage) -> None:
    """All are made ready, then the testbed comes up, all warm up, and then the rounds; all is taken down."""
    assert run(stage) == 0
    assert stage.log[:8] == [
        *("ready a", "ready b", "ready c"),
        *("testbed up", "ground up"),
        *("warm-up a", "warm-up b", "warm-up c"),
    ]
    assert len(raced(stage)) == 6
    assert stage.log[-2:] == ["ground down", "testbed down"]


def test_rounds_are_interleaved(stage: Stage) -> None:
    """Each round has one heat of each contestant, and is over before the next begins."""
    run(stage, heats=4)
    words = [line.split() for line in raced(stage)]
    assert [int(round_) for round_, _ in words] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    for first in range(0, 12, 3):
        assert sorted(label for _, label in words[first : first + 3]) == ["a", "b", "c"]


def test_the_order_is_the_seeds(stage: Stage) -> None:
    """One seed, one order, recorded in the card; other seeds shuffle otherwise, and rounds differ."""
    orders = {}
    for number, seed in enumerate((5, 5, 6, 7, 8)):
        stage.card = stage.card.with_name(f"{number}.jsonl")
        stage.log.clear()
        run(stage, heats=6, seed=seed)
        orders[number] = tuple(line.split()[1] for line in raced(stage))
        assert RaceCard.read(stage.card).header.order_seed == seed
    assert orders[0] == orders[1]
    assert len(set(orders.values())) == 4
    assert len({orders[0][first : first + 3] for first in range(0, 18, 3)}) > 1


def test_without_a_seed_there_is_a_fresh_one(stage: Stage) -> None:
    """The seed that was drawn is recorded, and repeats the order."""
    run(stage, heats=5, seed=None)
    order = raced(stage)
    seed = RaceCard.read(stage.card).header.order_seed
    stage.card = stage.card.with_name("again.jsonl")
    stage.log.clear()
    run(stage, heats=5, seed=seed)
    assert raced(stage) == order


def test_warm_ups_are_not_recorded(stage: Stage) -> None:
    """Only heats are in the card; a warm-up that fails is no heat, and retires nobody."""
    stage.warm = {"a": Outcome.CRASHED, "b": Outcome.VOID, "c": Outcome.TIMED_OUT}
    assert run(stage) == 0
    assert Counter(outcome for *_, outcome in heats(stage)) == {"finished": 6}


def test_each_heat_is_on_the_disk_before_the_next_begins(stage: Stage) -> None:
    """When a heat begins, the card's file holds all heats before it."""
    run(stage, heats=2)
    assert stage.on_disk == [0, 1, 2, 3, 4, 5]


def test_heats_are_the_scenarios_unless_said_otherwise(stage: Stage) -> None:
    """Without --heats a race has as many as the scenario says: six."""
    run(stage, "a", heats=None)
    assert len(raced(stage)) == RaceCard.read(stage.card).header.heats == 6


def test_what_is_kept_goes_where_it_was_asked_for(stage: Stage, tmp_path: Path) -> None:
    """--keep makes its folder and hands on one in it that is this race's; without, nothing is kept."""
    run(stage, keep=str(tmp_path / "out" / "deep"))
    header = RaceCard.read(stage.card).header
    assert stage.keep == tmp_path / "out" / "deep" / f"{header.started_at[:10]}-{header.scenario}-{header.id}"
    assert stage.keep.parent.is_dir()
    stage.card = stage.card.with_name("other.jsonl")
    run(stage)
    assert stage.keep is None


# Void heats.


def test_a_void_heat_is_run_again_once(stage: Stage) -> None:
    """It is recorded, run again at once, and the second attempt counts; the status is that of a whole race."""
    stage.script = {"a": [Outcome.VOID]}
    assert run(stage, "a") == 0
    assert raced(stage) == ["1 a", "1 a again", "2 a"]
    assert heats(stage) == [("a", 1, 1, "void"), ("a", 1, 2, "finished"), ("a", 2, 1, "finished")]


def test_a_heat_that_is_void_twice_could_not_be_run(stage: Stage) -> None:
    """After two void attempts the race goes on, and its status says that a heat is missing."""
    stage.script = {"a": [Outcome.VOID, Outcome.VOID]}
    assert run(stage, "a") == 1
    assert heats(stage) == [("a", 1, 1, "void"), ("a", 1, 2, "void"), ("a", 2, 1, "finished")]


def test_void_heats_retire_nobody(stage: Stage) -> None:
    """The testbed's failures never count against the contestant."""
    stage.script = {"a": [Outcome.VOID, Outcome.VOID, Outcome.CRASHED, Outcome.FINISHED]}
    assert run(stage, "a", heats=4) == 1
    assert [outcome for *_, outcome in heats(stage)] == ["void", "void", "crashed", "finished", "finished"]


def test_who_keeps_breaking_the_testbed_is_named(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A contestant in whose heats the testbed fails again and again is named beneath the leaderboard."""
    stage.script = {"a": [Outcome.VOID] * 4}
    run(stage, "a", "b")
    assert "a: the testbed failed in 4 of its heats" in " ".join(capsys.readouterr().out.split())


# Who does not run.


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.CRASHED])
def test_who_fails_in_the_first_two_heats_is_retired(
    stage: Stage, capsys: pytest.CaptureFixture[str], outcome: Outcome
) -> None:
    """Its other heats are recorded as not run, with the reason; the others go on; it is said once."""
    stage.script = {"a": [outcome, outcome]}
    assert run(stage, "a", "b", heats=4) == 0
    assert [line for line in raced(stage) if line.endswith("a")] == ["1 a", "2 a"]
    mine = [heat for heat in RaceCard.read(stage.card).heats if heat.contestant == "a"]
    assert [(heat.round, heat.outcome.value) for heat in mine[2:]] == [(3, "not_run"), (4, "not_run")]
    assert mine[3].reason == f"retired: {outcome.words} in its first two heats"
    assert capsys.readouterr().out.count("--no-retire") == 1


@pytest.mark.parametrize(
    "outcomes",
    [
        [Outcome.TIMED_OUT, Outcome.FINISHED, Outcome.CRASHED],
        [Outcome.FINISHED, Outcome.CRASHED, Outcome.CRASHED],
        [Outcome.CORRUPT, Outcome.CORRUPT, Outcome.CORRUPT],
        [Outcome.CRASHED, Outcome.CORRUPT, Outcome.CRASHED],
    ],
)
def test_others_are_not_retired(stage: Stage, outcomes: list[Outcome]) -> None:
    """Only two failures in the first two heats retire; wrong bytes are worth seeing again."""
    stage.script = {"a": list(outcomes)}
    assert run(stage, "a", heats=4) == 0
    assert [outcome for *_, outcome in heats(stage)] == [*(each.value for each in outcomes), "finished"]


def test_no_retire_insists(stage: Stage) -> None:
    """With --no-retire every heat is run."""
    stage.script = {"a": [Outcome.CRASHED] * 4}
    assert run(stage, "a", heats=4, retire=False) == 0
    assert Counter(outcome for *_, outcome in heats(stage)) == {"crashed": 4}


def test_who_cannot_be_made_ready_is_recorded_once(stage: Stage) -> None:
    """Unsupported, missing packages included, is one record with its reason; the others race; the status is 1."""
    stage.unready = {"a": Unsupported("needs\na GPU"), "b": NeedsPackages("frob")}
    assert run(stage) == 1
    records = [heat for heat in RaceCard.read(stage.card).heats if heat.outcome is Outcome.UNSUPPORTED]
    assert [(heat.contestant, heat.reason) for heat in records] == [
        ("a", "needs a GPU"),
        ("b", "needs frob: ./inv install --contestant ./b.py"),
    ]
    assert raced(stage) == ["1 c", "2 c"]
    assert "warm-up a" not in stage.log


def test_who_speaks_no_utp_is_not_even_installed_for_it(stage: Stage, tmp_path: Path) -> None:
    """Where seeders accept uTP alone, UTP = False is unsupported, yardsticks aside; elsewhere it means nothing."""
    entry(tmp_path, name="a", head=HEAD + "UTP = False\n")
    entry(tmp_path, name="b", head=HEAD + "UTP = False\nYARDSTICK = True\n")
    text = (places.SCENARIOS / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "utp.yaml").write_text(f"{text}\ntransport: utp\n", encoding="utf-8")
    assert run(stage, scenario="./utp.yaml") == 1
    (record,) = [heat for heat in RaceCard.read(stage.card).heats if heat.outcome is Outcome.UNSUPPORTED]
    assert record.contestant == "a"
    assert "speaks no uTP" in record.reason
    assert stage.log[:2] == ["ready b", "ready c"]
    stage.card = stage.card.with_name("small.jsonl")
    assert run(stage) == 0


def test_who_turns_out_unsupported_runs_no_more(stage: Stage) -> None:
    """Whether it shows in the warm-up or in a heat: recorded once, and the others go on."""
    stage.warm = {"a": Outcome.UNSUPPORTED}
    stage.script = {"b": [Outcome.FINISHED, Outcome.UNSUPPORTED]}
    assert run(stage, heats=3) == 1
    assert Counter((label, outcome) for label, _, _, outcome in heats(stage)) == {
        ("a", "unsupported"): 1,
        ("b", "finished"): 1,
        ("b", "unsupported"): 1,
        ("c", "finished"): 3,
    }
    assert [line for line in raced(stage) if line.endswith("a")] == []


def test_when_nobody_can_race_nothing_is_started(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Without anybody who is ready there is no testbed, no card and no table, and the status is a mistake's."""
    stage.unready = dict.fromkeys("ab", Unsupported("no way"))
    assert run(stage, "a", "b") == 2
    assert stage.log == ["ready a", "ready b"]
    assert not stage.card.exists()
    said = capsys.readouterr()
    assert said.out.count("no way") == 2
    assert said.err == f"{race.NOBODY}\n"
    assert run(stage, "a", "b", quiet=True) == 2
    assert capsys.readouterr() == ("", f"a: no way\nb: no way\n{race.NOBODY}\n")


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.CORRUPT, Outcome.FINISHED])
def test_a_known_defect_stands_in_the_reason(stage: Stage, tmp_path: Path, outcome: Outcome) -> None:
    """A heat that failed says what is known of its contestant; one that finished has no need to."""
    entry(tmp_path, name="a", head=HEAD + 'DEFECT = "forgets the last piece"\n')
    stage.script = {"a": [outcome]}
    run(stage, "a", heats=1)
    (heat,) = RaceCard.read(stage.card).heats
    assert heat.reason.endswith("; known of it: forgets the last piece") == (outcome is not Outcome.FINISHED)


def test_places_count_what_is_to_be_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Heat N of M leaves out who is unsupported and counts a heat that is run again once."""
    stage.unready = {"c": Unsupported("no")}
    stage.script = {"a": [Outcome.VOID]}
    run(stage)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("heat ")]
    assert [line.split()[1] for line in lines if " a " in line or " b " in line][-1] == "4"
    assert all(line.split()[3] == "4" for line in lines)
    assert len(lines) == 5


# How a race ends.


def interrupted(stage: Stage, where: str) -> None:
    """Have Ctrl-C come there."""
    if where == "ready":
        stage.unready = {"b": KeyboardInterrupt()}
    elif where == "testbed":
        stage.bring_up = KeyboardInterrupt()
    elif where == "warm-up":
        stage.warm = {"b": KeyboardInterrupt()}
    else:
        stage.script = {"b": [Outcome.FINISHED, KeyboardInterrupt()]}


@pytest.mark.parametrize("where", ["ready", "testbed", "warm-up", "heat"])
def test_ctrl_c_keeps_what_was_measured(stage: Stage, capsys: pytest.CaptureFixture[str], where: str) -> None:
    """Ctrl-C at any time: all is taken down, the card is valid, the leaderboard is printed, the status is 130."""
    interrupted(stage, where)
    assert run(stage, heats=3) == 130
    ups = [line.removesuffix(" up") for line in stage.log if line.endswith(" up") and where != "testbed"]
    assert [line.removesuffix(" down") for line in stage.log if line.endswith(" down")] == ups[::-1]
    recorded = heats(stage)
    assert len(recorded) == (len(raced(stage)) - 1 if where == "heat" else 0)
    assert all(outcome == "finished" for *_, outcome in recorded)
    out = capsys.readouterr().out
    assert "Interrupted" in out
    assert "small: " in out
    assert f"Race card: {stage.card}" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_a_race_as_ctrl_c_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """SIGTERM and SIGHUP end a race in order; afterwards they mean what they meant before."""
    before = signal.getsignal(number)
    monkeypatch.setattr(stage, "end", lambda *_: os.kill(os.getpid(), number))
    assert run(stage) == 130
    assert stage.log[-2:] == ["ground down", "testbed down"]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("where", ["testbed", "heat"])
def test_a_testbed_that_fails_ends_the_race_in_words(
    stage: Stage, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    """A testbed that is gone is told on stderr; what was measured stands, and the status is 1."""
    error = TestbedError("the namespaces are gone")
    stage.bring_up = error if where == "testbed" else None
    stage.script = {"a": [Outcome.FINISHED, error]}
    assert run(stage, "a", heats=3) == 1
    said = capsys.readouterr()
    assert said.err == "the namespaces are gone\n"
    assert len(heats(stage)) == (0 if where == "testbed" else 1)
    assert "Race card: " in said.out


def test_a_full_disk_ends_the_race_in_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When a heat cannot be recorded the race ends, and the card is valid up to there."""
    add, room = CardWriter.add, [2]

    def filling(writer: CardWriter, record: Any) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise GamesError(f"{writer.path}: No space left on device")
        add(writer, record)

    monkeypatch.setattr(CardWriter, "add", filling)
    assert run(stage, "a", heats=3) == 1
    assert len(heats(stage)) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_a_defect_of_ours_keeps_its_traceback(stage: Stage) -> None:
    """What nobody foresaw is not made to look like a result; the card is valid all the same."""
    stage.script = {"a": [Outcome.FINISHED, ZeroDivisionError("ours")]}
    with pytest.raises(ZeroDivisionError):
        run(stage, "a", heats=3)
    assert len(heats(stage)) == 1


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([Outcome.FINISHED] * 2, 0),
        ([Outcome.CRASHED, Outcome.CORRUPT], 0),
        ([Outcome.TIMED_OUT] * 2, 0),
        ([Outcome.VOID, Outcome.FINISHED], 0),
        ([Outcome.VOID, Outcome.VOID], 1),
        ([Outcome.UNSUPPORTED], 1),
    ],
)
def test_exit_statuses(stage: Stage, script: list[Outcome | BaseException], status: int) -> None:
    """0 when all heats ran, whatever their outcomes; 1 when some could not be run."""
    stage.script = {"a": script}
    assert run(stage, "a", "b") == status


def test_quiet_prints_the_leaderboard_only(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet there is no line for each heat."""
    run(stage, quiet=True)
    out = capsys.readouterr().out
    assert out.startswith("small: ")
    assert "heat 1" not in out.replace("  ", " ")


# Mistakes are found before anything happens.


def mistakes(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Return options with a mistake each."""
    (tmp_path / "file").write_text("")
    (tmp_path / "old.jsonl").write_text("old")
    return {
        "unknown scenario": {"scenario": "smal"},
        "did you mean small?": {"scenario": "smal"},
        "exists already": {"card": str(tmp_path / "old.jsonl")},
        "a race card cannot be written there": {"card": str(tmp_path / "file" / "race.jsonl")},
        "File name too long": {"card": str(tmp_path / ("x" * 300))},
        "--keep": {"keep": str(tmp_path / "file")},
        "Not a directory": {"keep": str(tmp_path / "file" / "out")},
    }


@pytest.mark.parametrize(
    "words",
    [
        "unknown scenario",
        "did you mean small?",
        "exists already",
        "a race card cannot be written there",
        "File name too long",
        "--keep",
        "Not a directory",
    ],
)
def test_a_mistake_is_told_before_anything_is_done(stage: Stage, tmp_path: Path, words: str) -> None:
    """A mistake is a UserError of at most three lines; nothing is installed or started, no card is begun."""
    options: dict[str, Any] = mistakes(tmp_path)[words]
    with pytest.raises(UserError) as caught:
        run(stage, **options)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert stage.log == []
    assert not stage.card.exists()
    assert (tmp_path / "old.jsonl").read_text() == "old"


def test_an_unknown_contestant_is_told_before_anything_is_done(stage: Stage) -> None:
    """So is a contestant that is not there."""
    with pytest.raises(UserError, match="no such file"):
        run(stage, "a", "nobody")
    assert stage.log == []
    assert not stage.card.exists()


def test_a_machine_that_cannot_race_is_told_before_anything_is_done(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A testbed that this machine cannot have is an error before anybody is installed, and no card is begun."""

    def refuse(*_: object) -> None:
        raise TestbedError("no namespaces here")

    monkeypatch.setattr(race, "testbed_for", refuse)
    with pytest.raises(TestbedError, match="no namespaces here"):
        run(stage)
    assert stage.log == []
    assert not stage.card.exists()


def test_a_dry_run_starts_nothing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run prints what would be done; nothing is installed or started, no card is begun, no folder made."""
    assert run(stage, dry_run=True, keep="out") == 0
    assert "commands" in capsys.readouterr().out
    assert stage.log == []
    assert not stage.card.exists()
    assert not Path("out").exists()


def test_the_default_card_is_in_results(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --card it is results/DATE-SCENARIO-ID.jsonl, in the current folder."""
    stage.card = Path("results")

    def no_disk(_self: FakeGround, racer: Racer, round_: int, attempt: int) -> Heat:
        return stage.end(racer.contestant.label, round_, attempt, Outcome.FINISHED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeGround, "heat", no_disk)
        assert run(stage, "a", card=None) == 0
    (card,) = Path("results").glob("*.jsonl")
    header = RaceCard.read(card).header
    assert card.name == f"{header.started_at[:10]}-small-{header.id}.jsonl"
    assert f"Race card: {card}" in capsys.readouterr().out


def test_the_order_seed_alone_decides(stage: Stage) -> None:
    """The recipe itself takes the randomness as an argument: equal states, equal orders."""
    orders: list[list[str]] = []
    for _ in range(2):
        stage.log.clear()
        stage.card = stage.card.with_name(f"{len(orders)}.jsonl")
        run(stage, seed=11, heats=3)
        orders.append(raced(stage))
    assert orders[0] == orders[1]
    shuffled = ["a", "b", "c"]
    random.Random(11).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    assert orders[0][:3] == [f"1 {label}" for label in shuffled]
