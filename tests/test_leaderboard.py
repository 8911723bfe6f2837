"""The leaderboard: who counts, who ranks, what is never ranked together; and its command."""

from __future__ import annotations

import io
import os
import statistics
from typing import TYPE_CHECKING

import pytest
from cards import CARDS, card, entrant, failed, finished, header
from hypothesis import given, settings
from rich.console import Console

from btgames import history, leaderboard
from btgames.errors import UserError
from btgames.result import CardWriter, Outcome, RaceCard
from btgames.row import Median

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.result import Header, Heat
    from btgames.row import Row

HTTP = entrant("http", yardstick=True)


def rows(head: Header, *heats: list[Heat]) -> dict[str, Row]:
    """Return the rows of a single card's board by label, in their order."""
    (board,) = leaderboard.boards([card(head, *heats)])
    return {row.contestant: row for row in board.rows}


def test_ranks_by_the_median_of_finished_heats() -> None:
    """The lower median leads, whatever the best heat was."""
    found = rows(header("steady", "lucky"), finished("lucky", 0.1, 3.0, 3.2), finished("steady", 2.0, 2.1, 2.2))

    assert [(row.contestant, row.rank, row.median_s) for row in found.values()] == [
        ("steady", 1, 2.1),
        ("lucky", 2, 3.0),
    ]


def test_equal_medians_share_a_rank() -> None:
    """Two first places are followed by a third."""
    found = rows(header("a", "b", "c"), finished("c", 2.0), finished("b", 1.0), finished("a", 1.0))

    assert {label: row.rank for label, row in found.items()} == {"a": 1, "b": 1, "c": 3}


def test_only_the_contestant_s_own_heats_count_as_started() -> None:
    """Timed out, crashed and corrupt heats were started; void, unsupported and not run ones were not, but are told."""
    ends = [failed("a", outcome) for outcome in Outcome if outcome is not Outcome.FINISHED]

    row = rows(header("a"), finished("a", 1.0), *ends)["a"]

    assert (row.finished, row.started) == (1, 4)
    assert row.outcomes == dict.fromkeys(Outcome, 1)


def test_times_are_those_of_finished_heats() -> None:
    """A corrupt heat's complete_s is no time."""
    row = rows(header("a"), finished("a", 2.0), failed("a", Outcome.CORRUPT, complete_s=0.1))["a"]

    assert row.complete_s == (2.0,)


def test_who_never_finished_comes_last_and_unranked() -> None:
    """A crashed contestant stands behind the slowest, and before the yardstick."""
    found = rows(
        header("dead", "slow", HTTP), failed("dead", Outcome.CRASHED), finished("slow", 900.0), finished("http", 0.1)
    )

    assert {label: row.rank for label, row in found.items()} == {"slow": 1, "dead": None, "http": None}
    assert list(found) == ["slow", "dead", "http"]


def test_speed_is_in_percent_of_the_yardstick_s() -> None:
    """Twice the yardstick's time is half its speed; without a yardstick there is no such figure."""
    with_it = rows(header("a", HTTP), finished("a", 2.0), finished("http", 1.0))
    without = rows(header("a"), finished("a", 2.0))

    assert (with_it["a"].yardstick_percent, with_it["http"].yardstick_percent) == (50.0, 100.0)
    assert without["a"].yardstick_percent is None


@pytest.mark.parametrize(("times", "spread"), [((1.0,), None), ((1.0, 2.0, 4.0), 150.0), ((0.0, 0.0), None)])
def test_spread_is_the_range_over_the_median(times: tuple[float, ...], spread: float | None) -> None:
    """(max - min) / median in percent; None of one heat, or where it is no number."""
    assert rows(header("a"), finished("a", *times))["a"].spread_percent == spread


def exits(*ends: float | tuple[float, float | None]) -> Row:
    """Return a row of heats of 1 s that exited at a time, or were ended at (complete_s, ended_at_s)."""
    heats = [
        finished("a", end[0], ended_by="SIGINT", ended_at_s=end[1])
        if isinstance(end, tuple)
        else finished("a", 1.0, exit_s=end)
        for end in ends
    ]
    return rows(header("a"), *heats)["a"]


def test_exit_s_of_a_client_that_exits_is_known() -> None:
    """Its median is exact, also where a single heat had to be ended late enough not to matter."""
    assert exits(1.0, 2.0, 3.0).exit_s == Median(2.0)
    assert exits(1.0, 2.0, (1.0, 6.0)).exit_s == Median(2.0)


def test_exit_s_of_a_client_that_was_ended_is_more() -> None:
    """It lived longer than it was seen: until the signal, or if that is unknown, until it was complete."""
    assert exits((1.0, 6.0), (2.0, 7.0), (3.0, 8.0)).exit_s == Median(7.0, beyond=True)
    assert exits((1.0, None)).exit_s == Median(1.0, beyond=True)
    assert exits(1.0, (1.0, 6.0)).exit_s == Median(3.5, beyond=True)


def test_done_s_is_of_the_heats_that_have_one() -> None:
    """A client that never says so has none."""
    row = rows(header("a", "b"), finished("a", 1.0, done_s=1.5), finished("a", 1.0), finished("b", 1.0))

    assert (row["a"].done_s, row["b"].done_s) == (1.5, None)


def test_equal_conditions_share_a_board() -> None:
    """Two races of one scenario on one machine are one board, their heats together."""
    (board,) = leaderboard.boards(
        [card(header("a", id="1"), finished("a", 1.0)), card(header("a", id="2"), finished("a", 3.0))]
    )

    assert [(row.median_s, [run.card for run in row.runs]) for row in board.rows] == [(2.0, [1, 2])]
    assert board.unlike == ()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("machine", {"cpu": "a CPU", "cores": 4, "kernel": "Linux 6.18"}, "machine cores"),
        ("machine", {"cpu": "a CPU", "cores": 2}, "machine kernel"),
        ("testbed", "cloud", "testbed"),
        ("tracker", "opentracker", "tracker"),
        ("seeder", "deluge", "seeder"),
        ("links", {}, "links"),
        ("scenario_sha256", "cd" * 32, "scenario file"),
    ],
)
def test_unequal_conditions_are_never_ranked_together(field: str, value: object, named: str) -> None:
    """Another machine, testbed, tracker, seeder, link or file: another board, and each says in what it differs."""
    boards = leaderboard.boards(
        [card(header("a"), finished("a", 1.0)), card(header("b", **{field: value}), finished("b", 2.0))]
    )

    assert [[(row.contestant, row.rank) for row in board.rows] for board in boards] == [[("a", 1)], [("b", 1)]]
    assert [board.unlike for board in boards] == [(named,), (named,)]


def test_a_label_that_means_two_things_is_two_rows() -> None:
    """Two races with another module or version under one label are told apart by their card."""
    (board,) = leaderboard.boards(
        [
            card(header("a"), finished("a", 2.0, version="1.36")),
            card(header("a"), finished("a", 1.0, version="1.37")),
            card(header(entrant("a", module_sha256="ff")), finished("a", 3.0, version="1.37")),
        ]
    )

    assert [(row.contestant, row.median_s) for row in board.rows] == [
        ("a (card 2)", 1.0),
        ("a (card 1)", 2.0),
        ("a (card 3)", 3.0),
    ]


def test_a_heat_of_nobody_has_its_row() -> None:
    """A label that the header does not know is shown all the same."""
    assert rows(header("a"), finished("stranger", 1.0))["stranger"].rank == 1


@given(CARDS)
@settings(deadline=None, max_examples=50)
def test_any_cards_give_consistent_boards(cards: list[RaceCard]) -> None:
    """Every heat is in one row, ranks follow the medians, and the order of the rows is ranked, unranked, yardstick."""
    boards = leaderboard.boards(cards)

    held = [run.heat for board in boards for row in board.rows for run in row.runs]
    assert sorted(map(repr, held)) == sorted(repr(heat) for each in cards for heat in each.heats)
    for board in boards:
        medians = [row.median_s for row in board.rows if row.rank is not None and row.median_s is not None]
        assert medians == sorted(medians)
        assert [row.rank for row in board.rows if row.rank] == [1 + sum(m < own for m in medians) for own in medians]
        for row in board.rows:
            assert (row.rank is None) == (row.entrant.yardstick or not row.finished)
            assert sum(row.outcomes.values()) == len(row.runs)
            assert 0 <= row.finished <= row.started <= len(row.runs)
            if row.complete_s:
                assert row.median_s == statistics.median(row.complete_s)
        groups = [(row.entrant.yardstick, row.rank is None) for row in board.rows]
        assert groups == sorted(groups)


def test_history_is_2013_s() -> None:
    """The table of 2013 has these medians, and nothing for a scenario that the contest had not."""
    medians = {size: [round(old.median_s, 3) for old in history.past(size)] for size in ("small", "medium", "large")}

    assert medians == {
        "small": [2.2, 0.98, 0.95, 0.86, 0.11],
        "medium": [14.9, 7.84, 4.4, 0.91],
        "large": [529, 54.13, 68.27, 7.43],
    }
    assert history.past("drag") == ()


def write(path: Path, *heats: list[Heat], **fields: object) -> Path:
    """Write a card of contestant a to `path`."""
    with CardWriter(path, header("a", **{"id": path.name, **fields})) as writer:
        for heat in (heat for some in heats for heat in some):
            writer.add(heat)
    return path


def printed(cards: list[Path], results: Path, style: str = "table") -> str:
    """Return what the command writes."""
    out = io.StringIO()
    assert leaderboard.command([str(path) for path in cards], style, results, out) == 0
    return out.getvalue()


def test_without_a_card_the_newest_is_taken(tmp_path: Path) -> None:
    """The newest by time, of equally new ones the last by name; other files do not matter."""
    for name, age in (("b", 5), ("c", 5), ("z", 9)):
        path = write(tmp_path / f"{name}.jsonl", finished("a", 1.0))
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "notes.txt").write_text("newer")

    assert "c.jsonl" in printed([], tmp_path)


def test_without_any_race_says_how_to_make_one(tmp_path: Path) -> None:
    """No folder and an empty folder are the same plain line."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"no race card yet: \./inv race makes one"):
            printed([], folder)


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    """Nothing is read, the formats are listed."""
    with pytest.raises(UserError, match="one of table, markdown, csv, json - did you mean markdown"):
        printed([], tmp_path, "markdwon")


def test_a_torn_line_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The leaderboard appears all the same, and holds what is whole."""
    path = write(tmp_path / "a.jsonl", finished("a", 1.5))
    with path.open("ab") as file:
        file.write(b'{"type":"heat","contes')

    assert "1.50" in printed([path], tmp_path)
    assert "torn" in capsys.readouterr().err


def test_a_race_given_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card and its copy are one race."""
    path = write(tmp_path / "a.jsonl", finished("a", 1.5))
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())

    assert " 1/1 " in printed([path, copy, path], tmp_path)
    assert capsys.readouterr().err.count("counted once") == 2


@pytest.mark.parametrize("style", ["table", "markdown", "csv", "json"])
def test_a_race_without_heats_is_no_error(tmp_path: Path, style: str) -> None:
    """A race that has just begun is shown in any format, and people read that there are no heats yet."""
    text = printed([write(tmp_path / "a.jsonl")], tmp_path, style)

    assert ("no heats yet" in text) == (style in {"table", "markdown"})


def test_a_race_under_way_says_what_is_missing(tmp_path: Path) -> None:
    """Heats that were neither run nor recorded as not run are counted; unsupported ones are not awaited."""
    half = write(tmp_path / "a.jsonl", finished("a", 1.0))
    done = write(tmp_path / "b.jsonl", failed("a", Outcome.UNSUPPORTED))

    assert "heats missing: 1" in printed([half], tmp_path)
    assert "heats missing" not in printed([done], tmp_path)


def test_a_terminal_that_speaks_no_utf_8_gets_its_board(tmp_path: Path) -> None:
    """What cannot be said in the terminal's encoding is escaped."""
    path = write(tmp_path / "a.jsonl", finished("a", 1.0), failed("\u00e9\u2603", Outcome.CRASHED))
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    assert leaderboard.command([str(path)], "table", tmp_path, out) == 0
    out.flush()
    assert rb"\xe9\u2603" in raw.getvalue()


def test_the_board_of_a_race_that_is_in_memory(tmp_path: Path) -> None:
    """A race prints its own board at its end, or after Ctrl-C, from its header and the heats so far."""
    console = Console(file=io.StringIO(), width=80)
    running = RaceCard(tmp_path / "a.jsonl", header("a"), tuple(finished("a", 1.25)))

    leaderboard.print_board([running], console)

    assert isinstance(console.file, io.StringIO)
    assert "1.25" in console.file.getvalue()
