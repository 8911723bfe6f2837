"""The contest of 2013 raced again: its times beside today's, by module, and what is printed of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from cards import card, entrant, failed, finished, header
from rich.console import Console

from btgames import contestant, history, leaderboard, places, rematch, scenario
from btgames.errors import UserError
from btgames.interrupts import INTERRUPTED
from btgames.report import rematch as report
from btgames.result import CardWriter, Outcome, RaceCard
from btgames.testbeds.wish import Wish

if TYPE_CHECKING:
    from pathlib import Path

RACE = card(
    header(
        entrant("steves", name="steve"),
        entrant("jeff", name="jeff"),
        entrant("aria2", name="aria2"),
        entrant("http", name="http", yardstick=True),
    ),
    finished("steves", 0.5, 0.3),
    finished("jeff", 0.9),
    failed("jeff", Outcome.TIMED_OUT, 2),
    failed("aria2", Outcome.CRASHED, 1, 2, reason="no reason"),
    finished("http", 0.1, 0.1),
)


def table(*cards: RaceCard, format: str = "table", width: int = 80) -> str:  # noqa: A002 - the option's name
    """Return what is printed of these cards."""
    out = io.StringIO()
    tables = [rematch.rematch(board) for board in leaderboard.boards(cards)]
    report.FORMATS[format](tables, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def line_of(text: str, name: str) -> list[str]:
    """Return the words of the line that begins with a name."""
    return next(line.split() for line in text.splitlines() if line.startswith(name))


def test_everyone_who_races_ships_and_has_its_past() -> None:
    """The names are those of modules; each of 2013's times belongs to one who races; each size is a scenario."""
    known = contestant.contestant_files(places.CONTESTANTS)
    assert set(rematch.CONTESTANTS) <= set(known)
    assert set(rematch.SCENARIOS) <= set(scenario.scenario_files(places.SCENARIOS))
    for size in rematch.SCENARIOS:
        assert history.past(size)
        assert {each.name for each in history.past(size)} <= set(rematch.THEN)


def test_a_contestant_is_known_by_its_module() -> None:
    """Whatever its label, 2013's best and median stand beside today's; who was not there then has none."""
    text = table(RACE)
    assert line_of(text, "steves") == ["steves", "0.83", "0.86", "2/2", "0.300", "0.400", "25", "%"]
    assert line_of(text, "jeff")[:7] == ["jeff", "*", "0.94", "0.95", "1/2", "0.900", "0.900"], "not all finished"
    assert line_of(text, "aria2") == ["aria2", "-", "-", "0/2", "-", "-", "-"]
    assert line_of(text, "http") == ["http", "(yardstick)", "-", "-", "2/2", "0.100", "0.100", "100", "%"]


def test_who_raced_then_and_not_now_is_there() -> None:
    """2013's table is whole: those who did not race today come before the yardstick."""
    rows = [line.name for line in rematch.rematch(leaderboard.boards([RACE])[0]).lines]
    assert rows == ["steves", "jeff", "aria2", "tom", "stacey", "brian_and_jari", "http"]


def test_failures_are_told_beneath() -> None:
    """A crash is no gap in a table but a line that says what happened."""
    assert "aria2: 2 crashed (rounds 1, 2): no reason" in " ".join(table(RACE).split())


@pytest.mark.parametrize("width", [80, 160])
def test_no_figure_is_cut(width: int) -> None:
    """It fits 80 columns."""
    assert max(map(len, table(RACE, width=width).splitlines())) <= width


def test_markdown() -> None:
    """One table a size, its cells escaped, with as many columns in each line."""
    text = table(RACE, format="markdown")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(report.COLUMNS) + 1}
    assert "| steves | 0.83 | 0.86 | 2/2 | 0.300 | 0.400 | 25 % |" in lines


def raced(monkeypatch: pytest.MonkeyPatch, statuses: list[int | UserError]) -> list[str]:
    """Have races end with these statuses, with no host; return the list of scenarios that were raced on."""
    names: list[str] = []

    def hold(loaded: scenario.Loaded, _: object, **__: object) -> tuple[int, RaceCard]:
        names.append(loaded.name)
        head = header("jeff", scenario=loaded.name, id=loaded.name, scenario_sha256=loaded.sha256)
        status = statuses[len(names) - 1]
        if isinstance(status, UserError):
            raise status
        return status, card(head, finished("jeff", 1.0), path=f"results/{loaded.name}.jsonl")

    monkeypatch.setattr("btgames.race.hold", hold)
    return names


def test_every_size_is_raced_and_the_worst_status_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unsupported contestant on one size does not keep the others from being raced; how to print again is told."""
    names = raced(monkeypatch, [0, 1, 0])
    assert rematch.command(cards=[], heats=2, format="table", quiet=True) == 1
    assert names == ["small", "medium", "large"]
    again = "board --card results/small.jsonl --card results/medium.jsonl --card results/large.jsonl"
    assert again in capsys.readouterr().out


def test_an_interrupt_ends_the_board_and_shows_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After Ctrl-C in a race the next one does not begin, and what was measured is shown."""
    names = raced(monkeypatch, [0, INTERRUPTED])
    assert rematch.command(cards=[], heats=2, format="table", quiet=True) == INTERRUPTED
    assert names == ["small", "medium"]
    assert "medium" in capsys.readouterr().out


def test_where_nobody_can_race_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a race: status 2, no table, no card, and no next size."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "small.jsonl"
    path.parent.mkdir()
    path.touch()
    names = raced(monkeypatch, [2])
    assert rematch.command(cards=[], heats=2, format="table", quiet=True) == 2
    assert (names, path.exists()) == (["small"], False)
    told = capsys.readouterr()
    assert told.out.split() == ["==", "small"]
    assert "Nobody could race" in told.err


def test_a_size_that_cannot_be_raced_leaves_the_others_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too little memory for one size, say: what was measured before is shown, and then why there is no more."""
    raced(monkeypatch, [0, UserError("too little memory")])
    assert rematch.command(cards=[], heats=2, format="table", quiet=True) == 2
    told = capsys.readouterr()
    assert "small: 2 MB" in told.out
    assert told.err == "too little memory\n"


def test_cards_are_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are printed again from cards, and nothing is raced."""
    names = raced(monkeypatch, [])
    path = tmp_path / "a.jsonl"
    with CardWriter(path, RACE.header) as writer:
        for heat in RACE.heats:
            writer.add(heat)
    assert rematch.command(cards=[str(path)], heats=None, format="table", quiet=False) == 0
    assert names == []
    assert line_of(capsys.readouterr().out, "steves")[1] == "0.83"


def test_a_race_given_twice_counts_once_and_a_torn_line_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on the leaderboard: both are told on stderr."""
    path = tmp_path / "a.jsonl"
    with CardWriter(path, RACE.header) as writer:
        for heat in RACE.heats:
            writer.add(heat)
    path.write_bytes(path.read_bytes()[:-30])
    assert rematch.command(cards=[str(path), str(path)], heats=None, format="table", quiet=False) == 0
    told = capsys.readouterr()
    assert line_of(told.out, "http")[4] == "1/1"
    assert "counted once" in told.err
    assert "torn" in told.err


@pytest.mark.parametrize("how", [{"heats": 3}, {"heats": None, "wish": Wish("local")}])
def test_cards_are_not_raced(how: dict[str, Any]) -> None:
    """Options of a race beside cards of earlier ones would do nothing: said, not swallowed."""
    with pytest.raises(UserError, match="--card prints what was raced already"):
        rematch.command(cards=["a.jsonl"], format="table", quiet=False, **how)


def test_an_unknown_format_is_told_at_once() -> None:
    """Nothing is raced for a misspelt format."""
    with pytest.raises(UserError, match="one of table, markdown"):
        rematch.command(cards=[], heats=1, format="tabel", quiet=True)
