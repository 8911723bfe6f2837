"""
From race cards to ranked rows, and from the command line to what is printed. Never touches a host.

Contestants are ranked by the median `complete_s` of their finished heats (see `btgames.row`); who never finished comes
last, the yardstick stands apart.
Cards share a board only when scenario, testbed, tracker, links and machine are equal: other times are no rivals.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from btgames import places, report
from btgames.errors import UserError, nearest
from btgames.report import terminal
from btgames.result import Entrant, Header, RaceCard
from btgames.row import Row, Run, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Board:
    """One table: races of one scenario under equal conditions."""

    cards: tuple[RaceCard, ...]  # at least one
    rows: tuple[Row, ...]  # in the order of a table: ranked, never finished, yardstick
    unlike: tuple[str, ...] = ()  # conditions in which it differs from the other boards of the same scenario name

    @property
    def header(self) -> Header:
        """The first card's, which speaks for all in what concerns the conditions."""
        return self.cards[0].header


def boards(cards: Iterable[RaceCard]) -> tuple[Board, ...]:
    """Group the cards by their conditions and rank the contestants of each group; boards by size of the payload."""
    groups: dict[str, list[RaceCard]] = {}
    for card in cards:
        groups.setdefault(json.dumps(_conditions(card.header), sort_keys=True), []).append(card)
    made = [Board(tuple(group), _rows(group)) for group in groups.values()]
    made.sort(key=lambda board: (board.header.payload_bytes, board.header.scenario))
    return tuple(replace(board, unlike=_unlike(board, made)) for board in made)


def _conditions(header: Header) -> dict[str, Any]:
    fixed = {
        "scenario file": header.scenario_sha256,
        "testbed": header.testbed,
        "tracker": header.tracker,
        "seeder": header.seeder,
        "links": header.links,
    }
    return fixed | {f"machine {fact}": value for fact, value in header.machine.items()}


def _unlike(board: Board, among: list[Board]) -> tuple[str, ...]:
    own = _conditions(board.header)
    others = [_conditions(other.header) for other in among if other.header.scenario == board.header.scenario]
    names = dict.fromkeys(name for conditions in [own, *others] for name in conditions)
    return tuple(name for name in names if any(other.get(name) != own.get(name) for other in others))


def _rows(cards: Sequence[RaceCard]) -> tuple[Row, ...]:
    rows = _contestants(cards)
    medians = [row.median_s for row in rows if row.median_s is not None and not row.entrant.yardstick]
    yardstick_s = min(
        (row.median_s for row in rows if row.entrant.yardstick and row.median_s is not None), default=None
    )

    def ranked(row: Row) -> Row:
        if row.median_s is None:
            return row
        share = None if yardstick_s is None else percent(yardstick_s, row.median_s)
        rank = None if row.entrant.yardstick else 1 + sum(other < row.median_s for other in medians)
        return replace(row, rank=rank, yardstick_percent=share)

    def place(row: Row) -> tuple[bool, float, int, str]:
        median_s = math.inf if row.median_s is None else row.median_s
        return (row.entrant.yardstick, median_s, -row.started, row.contestant)

    return tuple(sorted(map(ranked, rows), key=place))


def _contestants(cards: Sequence[RaceCard]) -> list[Row]:
    """Return unranked rows: a label's heats are one contestant's where module, pin and installed version are equal."""
    found: dict[tuple[Entrant, tuple[str, ...]], Row] = {}
    for number, card in enumerate(cards, 1):
        entrants = {entrant.label: entrant for entrant in card.header.entrants}
        for label in dict.fromkeys([*entrants, *(heat.contestant for heat in card.heats)]):
            entrant = entrants.get(label, Entrant(label=label, name="", title="", spec="", pin="", module_sha256=""))
            runs = tuple(Run(number, heat) for heat in card.heats if heat.contestant == label)
            row = Row(label, entrant, runs)
            same = (entrant.model_copy(update={"spec": ""}), row.versions)
            found[same] = replace(found[same], runs=found[same].runs + runs) if same in found else row
    labels = Counter(row.contestant for row in found.values())
    return [_told_apart(row) if labels[row.contestant] > 1 else row for row in found.values()]


def _told_apart(row: Row) -> Row:
    cards = sorted({run.card for run in row.runs})
    return replace(row, contestant=f"{row.contestant} (card {', '.join(map(str, cards)) or 'without its heats'})")


def print_board(cards: Sequence[RaceCard], console: Console) -> None:
    """Print the leaderboard of these cards, as at the end of a race; a race under way is ``RaceCard(path, ...)``."""
    terminal.show(boards(cards), console)


def command(cards: Sequence[str], format: str, results_dir: Path, out: TextIO) -> int:  # noqa: A002 - the option's name
    """
    Do ``leaderboard``: read the cards (none named: the newest of `results_dir`), write the leaderboard to `out`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: no card, a file that is none, or an unknown format.

    """
    if format not in report.FORMATS:
        known = ", ".join(report.FORMATS)
        raise UserError(f"--format {format!a}: one of {known}{nearest(format, report.FORMATS)}")
    if isinstance(out, io.TextIOWrapper):
        # Not every terminal speaks UTF-8, and a label may hold anything.
        out.reconfigure(errors="backslashreplace")
    races = read([Path(card) for card in cards] or [_newest(results_dir)])
    if format == "table":
        print_board(races, Console(file=out))
    else:
        out.write(report.render(boards(races), format))
    return 0


def read(paths: Iterable[Path]) -> list[RaceCard]:
    """Read cards, each race once; torn lines and races given twice are told on stderr."""
    races: dict[str, RaceCard] = {}
    for path in paths:
        card = RaceCard.read(path)
        first = races.setdefault(card.header.id, card)
        again = () if first is card else (f"{path}: the same race as {first.path}, counted once",)
        for warning in (*card.warnings, *again):
            sys.stderr.write(f"{warning}\n")
    return list(races.values())


def _newest(results_dir: Path) -> Path:
    found = [(path.stat().st_mtime_ns, path.name, path) for path in results_dir.glob("*.jsonl")]
    if not found:
        raise UserError(f"{results_dir}: no race card yet: {places.COMMAND} race makes one")
    return max(found)[-1]
