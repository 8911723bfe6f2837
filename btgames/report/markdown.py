"""The leaderboard as Markdown (GitHub's, for its tables): for a README or an issue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from btgames import history
from btgames.report import words
from btgames.report.figures import past_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from btgames.leaderboard import Board

# What begins emphasis, code, links, HTML, entities, cells, headings.
_MEANS_SOMETHING = re.compile(r"[\\`*_\[\]<>|~#&$]")
# What begins a list (in a list), where a line begins.
_LIST = re.compile(r"^(?:[-+=]|\d+(?=[.)]))")
# Whom GitHub would call in.
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def render(boards: Sequence[Board]) -> str:
    """Return one section per board."""
    return (
        "\n".join(line for number, board in enumerate(boards) for line in _section(board, boards[number + 1 :])) + "\n"
    )


def escaped(line: str) -> str:
    """Return a plain line so that Markdown shows it as it is."""
    return _MENTION.sub("@&#8203;", _MEANS_SOMETHING.sub(r"\\\g<0>", line))


def _section(board: Board, later: Sequence[Board]) -> Iterator[str]:
    yield f"## {escaped(words.title(board))}"
    yield ""
    yield from _items(words.conditions(board))
    if any(row.runs for row in board.rows):
        yield from _table(words.COLUMNS, map(words.cells, board.rows), left={"contestant", "version", "outcomes"})
        yield from _items([*words.notes(board), *words.LEGEND])
    else:
        yield from _items(["no heats yet"])
    past = history.past(board.header.scenario)
    if past and board.header.scenario not in {other.header.scenario for other in later}:
        yield escaped(history.CAPTION)
        yield ""
        rows = [(old.contestant, past_seconds(old.median_s), ", ".join(map(past_seconds, old.times_s))) for old in past]
        yield from _table(("2013", "median", "each"), rows, left={"2013", "each"})


def _items(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        begin = _LIST.match(line)
        text = escaped(line)
        # A backslash goes before the sign, or between the number and its point.
        yield (
            f"- {text}"
            if not begin
            else f"- {begin[0]}\\{text[len(begin[0]) :]}"
            if begin[0].isdigit()
            else f"- \\{text}"
        )
    yield ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: set[str]) -> Iterator[str]:
    yield f"| {' | '.join(map(escaped, columns))} |"
    yield f"| {' | '.join(':--' if name in left else '--:' for name in columns)} |"
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"
    yield ""
