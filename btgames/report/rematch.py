"""The tables of a rematch, 2013's times beside today's: on a terminal, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from btgames.report import words
from btgames.report.figures import NOTHING, aligned, flush_right, past_seconds, percent, seconds
from btgames.report.markdown import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from btgames.rematch import Line, Rematch

COLUMNS = ("contestant", "2013's best", "2013's median", "heats", "best", "median", "speed")
LEGEND = (
    "2013: seconds until the client exits, by unix time, on EC2 m1.small, with a Deluge seeder and an opentracker.",
    "Today: seconds from the client's start to its last right block, over finished heats. Neither ranks the other.",
    "speed: in percent of the yardstick's, medians of today compared.",
)


def cells(line: Line) -> tuple[str, ...]:
    """Return the line's text under `COLUMNS`."""
    past, row = line.past, line.row
    then = (NOTHING, NOTHING) if past is None else (past_seconds(min(past.times_s)), past_seconds(past.median_s))
    if row is None:
        return (line.name, *then, NOTHING, NOTHING, NOTHING, NOTHING)
    name = words.name(row)
    now = (f"{row.finished}/{row.started}", seconds(min(row.complete_s, default=None)), seconds(row.median_s))
    return (name, *then, *now, percent(row.yardstick_percent))


def _table(tables: Sequence[Rematch], console: Console) -> None:
    for each in tables:
        console.print(Text(words.title(each.board), style="bold"))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column(COLUMNS[0], overflow="fold")
        names, *columns = zip(*map(cells, each.lines), strict=True)
        padded = [flush_right([name, *aligned(column)]) for name, column in zip(COLUMNS[1:], columns, strict=True)]
        for head, *_ in padded:
            table.add_column(head, no_wrap=True)
        for number, name in enumerate(names):
            table.add_row(*map(Text, (name, *(column[number + 1] for column in padded))))
        console.print(table, crop=False)
        for note in words.notes(each.board):
            console.print(Text(note))
        console.print()
    for line in (*_conditions(tables), *LEGEND):
        console.print(Text(line, style="dim"))


def _conditions(tables: Sequence[Rematch]) -> list[str]:
    """Return the conditions of the races, each line once."""
    return list(dict.fromkeys(line for each in tables for line in words.conditions(each.board)))


def _markdown(tables: Sequence[Rematch], console: Console) -> None:
    for line in _markdown_lines(tables):
        console.print(line, markup=False, soft_wrap=True)


def _markdown_lines(tables: Sequence[Rematch]) -> Iterator[str]:
    for each in tables:
        yield f"**{escaped(words.title(each.board))}**"
        yield ""
        yield f"| {' | '.join(COLUMNS)} |"
        yield f"| :-- |{' --: |' * (len(COLUMNS) - 1)}"
        for line in each.lines:
            yield f"| {' | '.join(map(escaped, cells(line)))} |"
        yield ""
        if notes := [f"- {escaped(note)}" for note in words.notes(each.board)]:
            yield from (*notes, "")
    yield from (f"- {escaped(line)}" for line in (*_conditions(tables), *LEGEND))


FORMATS: dict[str, Callable[[Sequence[Rematch], Console], None]] = {"table": _table, "markdown": _markdown}
