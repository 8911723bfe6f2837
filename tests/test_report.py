"""The reports: every figure readable, every format valid, and nothing that strangers wrote does harm."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest
from cards import CARDS, NASTY, SECONDS, TEXTS, card, entrant, failed, finished, header
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from btgames import leaderboard, report
from btgames.report import figures, markdown, terminal
from btgames.report.csv import harmless
from btgames.result import Outcome, RaceCard

HTTP = entrant("http", yardstick=True)
RACE = card(
    header("libtorrent_default", "aria2", "transmission", "evil", "jeff", HTTP, heats=3),
    finished("libtorrent_default", 0.6123, 0.6012, 0.6234, done_s=0.63, exit_s=0.65, version="2.1.1"),
    finished("aria2", 14.234, 14.5, 14.1, ended_by="SIGINT", ended_at_s=19.3),
    finished("transmission", 1.4949, 1.5),
    failed("transmission", Outcome.TIMED_OUT, 3, reason="no byte for 60 s"),
    failed("aria2", Outcome.VOID, 2, reason="the seeder died"),
    failed("aria2", Outcome.VOID, 2, attempt=2, reason="the seeder died"),
    failed("evil", Outcome.CRASHED, 1, 2, reason=NASTY),
    failed("evil", Outcome.NOT_RUN, 3, reason="retired"),
    failed("jeff", Outcome.UNSUPPORTED, 1, 2, 3, reason="needs python2.7"),
    finished("http", 0.067, 0.0671, 0.0669),
)


def shown(cards: list[RaceCard], width: int) -> list[str]:
    """Return the lines on a terminal of that width, as a pipe would get them."""
    text = io.StringIO()
    terminal.show(leaderboard.boards(cards), Console(file=text, width=width, color_system=None))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.000"),
        (0.0004, "0.000"),
        (0.067, "0.067"),
        (0.0671, "0.067"),
        (0.9996, "1.00"),
        (1.494, "1.49"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (14.23, "14.2"),
        (99.96, "100"),
        (529.4, "529"),
        (3601.0, "3601"),
    ],
)
def test_seconds_have_three_significant_digits(value: float | None, text: str) -> None:
    """Three digits, nothing finer than a millisecond, whole seconds in full."""
    assert figures.seconds(value) == text


@given(SECONDS)
def test_seconds_are_never_off(value: float) -> None:
    """What is shown is within half a percent, or half a millisecond, of the time."""
    assert float(figures.seconds(value)) == pytest.approx(value, rel=0.00501, abs=0.000501)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0 %"), (0.4, "<1 %"), (4.6, "5 %"), (100.0, "100 %"), (1e300, "1e+300 %")],
)
def test_percent(value: float | None, text: str) -> None:
    """Whole percent; little is not shown as nothing."""
    assert figures.percent(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 MB"), (2_000_000, "2 MB"), (28_300_000, "28.3 MB"), (999_999_999, "1000 MB"), (8 * 10**9, "8 GB")],
)
def test_size(count: int, text: str) -> None:
    """MB or GB, three digits."""
    assert figures.size(count) == text


def test_decimal_points_meet() -> None:
    """A column reads downwards."""
    assert figures.aligned(["0.067", "14.2", "529", "-", "> 6.49"]) == [
        "  0.067",
        " 14.2  ",
        "529    ",
        "      -",
        "> 6.49 ",
    ]


def is_seen(text: str) -> bool:
    """Whether no character of the text is a control, format or surrogate one, new lines apart."""
    return all(char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"} for char in text)


@given(TEXTS | st.text())
def test_plain_text_is_one_line_that_no_terminal_obeys(text: str) -> None:
    """No control character is left, and printable text stays as it is but for its white space."""
    line = figures.plain(text)

    assert is_seen(line)
    assert "\n" not in line
    if text.isascii() and text.isprintable():
        assert line == " ".join(text.split())


def test_plain_text_loses_its_colours() -> None:
    """Sequences vanish whole; a stray control character is marked; long text ends in an ellipsis."""
    assert (
        figures.plain("\x1b[1;31mno\x1b[0m \x1b]0;title\x07such\n\tfile\x00") == "no such file\N{REPLACEMENT CHARACTER}"
    )
    assert figures.plain("x" * 20, 10) == "xxxxxxx..."


def test_the_table_at_80_columns() -> None:
    """People see this: no figure cut, one line per contestant, the yardstick apart."""
    lines = shown([RACE], 80)
    begin = next(number for number, line in enumerate(lines) if line.startswith("#"))

    assert max(map(len, lines)) <= 80
    assert lines[begin : begin + 9] == [
        "# contestant         heats median    min    max spread  done     exit speed",
        "───────────────────────────────────────────────────────────────────────────",
        "1 libtorrent_default   3/3  0.612  0.601  0.623    4 % 0.630    0.650  11 %",
        "2 transmission *       2/3  1.50   1.49   1.50    <1 %     -        -   4 %",
        "3 aria2                3/3 14.2   14.1   14.5      3 %     - > 19.3    <1 %",
        "- evil                 0/2      -      -      -      -     -        -     -",
        "- jeff                 0/0      -      -      -      -     -        -     -",
        "",
        "- http (yardstick)     3/3  0.067  0.067  0.067   <1 %     -        - 100 %",
    ]


def test_notes_beneath_the_table() -> None:
    """The mark is explained, ends are in words with rounds and reasons, void heats are named as not counted."""
    text = "\n".join(shown([RACE], 200))

    assert "* not all heats finished: figures and rank are those of the finished ones." in text
    assert "transmission: 1 timed out (round 3): no byte for 60 s" in text
    assert "aria2: 2 void (rounds 2, 2 again), not counted: the seeder died" in text
    assert "aria2: the testbed failed in 2 of its heats" in text
    assert "evil: 2 crashed (rounds 1, 2): =cmd|' /C calc'!A0 [red]| pipe |[/red]" in text
    assert "evil: 1 not run: retired" in text
    assert "jeff: 3 unsupported: needs python2.7" in text
    assert re.search(r"3/3 .* 2\.1\.1 +3 finished$", text, re.MULTILINE)


def test_history_stands_beneath_the_last_board_of_its_scenario() -> None:
    """2013's times are printed once a scenario, said to be another link and machine, and never for other scenarios."""
    other = card(header("a", machine={}), finished("a", 1.0))
    drag = card(header("a", scenario="drag", payload_bytes=9), finished("a", 1.0))
    text = "\n".join(shown([RACE, other], 80))

    assert text.count("Brian and Jari") == 1
    assert text.index("Brian and Jari") > text.rindex("speed: in percent")
    assert re.search(r"history and not ranked: another link, another\s+machine", text)
    assert "Brian" not in "\n".join(shown([drag], 80))


def test_boards_of_other_machines_say_why_they_are_apart() -> None:
    """Each of the two tables names in what they differ."""
    other = card(header("a", machine={"cpu": "another"}), finished("a", 1.0))

    for style in ("table", "markdown"):
        text = report.render(leaderboard.boards([RACE, other]), style)
        assert len(re.findall(r"differ in:\s+machine\s+cpu", text)) == 2


@pytest.mark.parametrize(("heats", "says"), [(1, "1 heat each"), (6, "6 heats each")])
def test_heats_are_counted_in_words(heats: int, says: str) -> None:
    """One heat is not called heats."""
    race = card(header("a", heats=heats), finished("a", 1.0))

    assert f", {says}" in report.render(leaderboard.boards([race]), "markdown")


def test_cards_of_other_versions_are_named() -> None:
    """Races by another btgames or library share a board with a line that says so."""
    again = card(header("aria2", libraries={"libtorrent": "2.0"}), finished("aria2", 1.0))

    assert "different versions of btgames" in report.render(leaderboard.boards([RACE, again]), "table")


@given(st.integers(1, 200), st.lists(SECONDS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_no_figure_is_cut_at_any_width(width: int, times: list[float]) -> None:
    """However narrow the terminal and long the label, each figure is on the contestant's line."""
    (board,) = leaderboard.boards([card(header(), finished("a-label-" * 9, *times, done_s=1e9, exit_s=1.0))])
    expected = [figures.seconds(value) for value in (board.rows[0].median_s, min(times), max(times), 1e9, 1.0)]

    (line,) = [line for line in shown(list(board.cards), width) if line.startswith("1 a-label")]

    assert [word for word in re.sub(r"\S+ %", "-", line).split()[3:] if word != "-"][:5] == expected


@given(CARDS, st.sampled_from(sorted(report.FORMATS)))
@settings(deadline=None, max_examples=50)
def test_any_cards_can_be_reported_harmlessly(cards: list[RaceCard], style: str) -> None:
    """No format fails on any cards, nor hands on a control character; all end in a newline but an empty table."""
    text = report.render(leaderboard.boards(cards), style)

    assert is_seen(text)
    assert text.endswith("\n") or not cards


@given(CARDS)
@settings(deadline=None, max_examples=50)
def test_csv_is_one_harmless_line_per_row(cards: list[RaceCard]) -> None:
    """It reads back: all rows, raw numbers, no text that a spreadsheet would run."""
    boards = leaderboard.boards(cards)
    text = report.render(boards, "csv")
    rows = [row for board in boards for row in board.rows]

    found = list(csv.DictReader(io.StringIO(text)))

    assert text.count("\n") == len(rows) + 1
    assert [line["contestant"] for line in found] == [harmless(row.contestant) for row in rows]
    assert [line["complete_median_s"] for line in found] == [
        "" if row.median_s is None else str(row.median_s) for row in rows
    ]
    assert [int(line["finished_heats"]) for line in found] == [row.finished for row in rows]
    for line in found:
        assert not any(value[:1] in set("=+-@") for value in line.values())


@given(CARDS)
@settings(deadline=None, max_examples=50)
def test_json_holds_everything(cards: list[RaceCard]) -> None:
    """It is ASCII, reads back, and has each heat with its times and its text as recorded."""
    boards = leaderboard.boards(cards)
    text = report.render(boards, "json")

    found = json.loads(text, parse_constant=pytest.fail)

    assert text.isascii()
    assert [
        [
            (row["label"], [(heat["complete_s"], heat["reason"], heat["log_tail"]) for heat in row["heats"]])
            for row in board["rows"]
        ]
        for board in found["boards"]
    ] == [
        [
            (row.contestant, [(run.heat.complete_s, run.heat.reason, run.heat.log_tail) for run in row.runs])
            for row in board.rows
        ]
        for board in boards
    ]


@given(CARDS)
@settings(deadline=None, max_examples=50)
def test_markdown_has_one_line_per_row(cards: list[RaceCard]) -> None:
    """A row's cells are as many as the columns, whatever a label says."""
    for board in leaderboard.boards(cards):
        lines = report.render([board], "markdown").partition("\n2013's")[0].splitlines()
        table = [line for line in lines if line.startswith("|")]
        if any(row.runs for row in board.rows):
            assert len(table) == len(board.rows) + 2
        # Cells as GitHub splits them: at each bar with no backslash of its own.
        assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table} <= {13}


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        ("libtorrent", "libtorrent"),
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("<b>*x*</b>", r"\<b\>\*x\*\</b\>"),
        ("[a](b) `c`", r"\[a\](b) \`c\`"),
        ("@you me@you", "@&#8203;you me@you"),
        ("# &amp;", r"\# \&amp;"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown_as: str) -> None:
    """What means something to Markdown is escaped, and nobody is called in."""
    assert markdown.escaped(text) == shown_as


def test_markdown_begins_no_list_in_a_list() -> None:
    """A label that looks like a list item is text."""
    board = leaderboard.boards([card(header(), failed("- x", Outcome.CRASHED), failed("10. y", Outcome.CRASHED))])

    text = report.render(board, "markdown")

    assert "\n- \\- x: 1 crashed" in text
    assert "\n- 10\\. y: 1 crashed" in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "\t=1", "\x1b[0m=1", NASTY])
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    """However it is dressed up."""
    assert harmless(text).startswith("'")
