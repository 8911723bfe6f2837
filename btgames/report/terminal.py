"""The leaderboard on a terminal, or in a pipe: rich tables that keep every figure at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from btgames import history
from btgames.report import words
from btgames.report.figures import aligned, flush_right, past_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from btgames.leaderboard import Board

WIDTH = 80
"""
Columns that hold a whole table; what a pipe gets.
"""

_LEAST_TEXT = 12  # columns of a label before it is folded further
_WIDE = 110  # columns from which version and outcomes stand in the table
_WIDE_ONLY = {"version", "outcomes"}
_TEXT = {"contestant", *_WIDE_ONLY}


def show(boards: Sequence[Board], console: Console) -> None:
    """Print the boards; each scenario's past beneath its last board. Figures are never cut, labels fold."""
    for number, board in enumerate(boards):
        _say(console, [words.title(board)], "bold")
        _say(console, words.conditions(board), "dim")
        if any(row.runs for row in board.rows):
            _say(console, [""])
            console.print(_table(board, console.width), crop=False)
            _say(console, words.notes(board))
            _say(console, words.LEGEND, "dim")
        else:
            _say(console, ["no heats yet"])
        if board.header.scenario not in {later.header.scenario for later in boards[number + 1 :]}:
            _past(board.header.scenario, console)
        _say(console, [""])


def _say(console: Console, lines: Iterable[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(line, style=style))


def _table(board: Board, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    columns: list[Sequence[str]] = []
    needed = 0
    for name, *texts in zip(words.COLUMNS, *map(words.cells, board.rows), strict=True):
        if name in _TEXT and (width >= _WIDE or name not in _WIDE_ONLY):
            table.add_column(name, overflow="fold")
            columns.append(texts)
            needed += _LEAST_TEXT + 1
        elif name not in _TEXT:
            header, *figures = flush_right([name, *aligned(texts)])
            table.add_column(header, no_wrap=True)
            columns.append(figures)
            needed += len(header) + 1
    # A console that is too narrow breaks the lines of the table: better than figures cut short.
    table.width = needed if width < needed else None
    yardsticks = [row.entrant.yardstick for row in board.rows]
    for number, line in enumerate(zip(*columns, strict=True)):
        if number and yardsticks[number] and not yardsticks[number - 1]:
            table.add_section()
        table.add_row(*map(Text, line))
    return table


def _past(scenario: str, console: Console) -> None:
    times = history.past(scenario)
    if not times:
        return
    _say(console, ["", history.CAPTION], "dim")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for median, entry in zip(aligned([past_seconds(past.median_s) for past in times]), times, strict=True):
        each = ", ".join(map(past_seconds, entry.times_s))
        table.add_row(entry.contestant, median, f"median of {each}", style="dim")
    console.print(table)
