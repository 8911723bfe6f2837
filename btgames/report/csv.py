"""
The leaderboard as CSV (RFC 4180, LF line ends): one line per contestant, raw numbers, empty where there is none.

All text is quoted, on one line, and never begins as a formula does: a spreadsheet would run it. Such text gets an
apostrophe in front (OWASP, CSV injection).
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from btgames.report.figures import plain
from btgames.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.leaderboard import Board
    from btgames.row import Row

# The last four are the full-width forms, which some spreadsheets take for the same.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")

_IDENTITY = ("scenario", "scenario_sha256", "testbed", "machine", "cards", "contestant", "version", "yardstick")
_FIGURES = (
    "rank",
    "finished_heats",
    "started_heats",
    "complete_median_s",
    "complete_min_s",
    "complete_max_s",
    "spread_percent",
    "done_median_s",
    "exit_median_s",
    "exit_median_is_more",  # 1 where the harness ended the client, so that its median is more than the figure
    "yardstick_percent",
)
COLUMNS = (
    *_IDENTITY,
    *_FIGURES,
    *(f"{outcome.value}_heats" for outcome in Outcome if outcome != "finished"),
    "reasons",
)


def render(boards: Sequence[Board]) -> str:
    """Return a header line and the rows of all boards."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in boards:
        for row in board.rows:
            writer.writerow((*_identity(board, row), *_figures(row), *_endings(row)))
    return text.getvalue()


def harmless(text: str) -> str:
    """Return strangers' text as one line that no spreadsheet runs."""
    line = plain(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def _identity(board: Board, row: Row) -> tuple[str | int, ...]:
    header = board.header
    machine = " ".join(f"{name}={value}" for name, value in header.machine.items())
    cards = " ".join(str(card.path) for card in board.cards)
    facts = (header.scenario, header.scenario_sha256, header.testbed, machine, cards, row.contestant)
    return (*map(harmless, facts), harmless(", ".join(row.versions)), int(row.entrant.yardstick))


def _figures(row: Row) -> tuple[float | None, ...]:
    times, exits = row.complete_s, row.exit_s
    return (
        row.rank,
        row.finished,
        row.started,
        row.median_s,
        min(times, default=None),
        max(times, default=None),
        row.spread_percent,
        row.done_s,
        None if exits is None else exits.seconds,
        None if exits is None else int(exits.beyond),
        row.yardstick_percent,
    )


def _endings(row: Row) -> tuple[int | str, ...]:
    counts = (len(row.heats(outcome)) for outcome in Outcome if outcome is not Outcome.FINISHED)
    reasons = dict.fromkeys(run.heat.reason for run in row.runs if run.heat.reason)
    return (*counts, harmless("; ".join(map(plain, reasons))))
