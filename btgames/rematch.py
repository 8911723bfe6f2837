"""
``board``: the contest of 2013 raced again: its six contestants and three of today's, 2013's times beside today's.

A table stands for one size. Today's times are `complete_s` of the race cards; 2013's are history: neither ranks the
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from btgames import contestant, history, leaderboard, places, race, scenario
from btgames.errors import GamesError, UserError
from btgames.interrupts import INTERRUPTED
from btgames.report import rematch as report
from btgames.testbeds.wish import ANY, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.history import Past
    from btgames.leaderboard import Board
    from btgames.result import RaceCard
    from btgames.row import Row

THEN = ("tom", "stacey", "stacey_twisted", "jeff", "steve", "brian_and_jari")
NOW = ("libtorrent", "aria2", "webtorrent")
CONTESTANTS = (*THEN, *NOW, "http")
SCENARIOS = ("small", "medium", "large")


@dataclass(frozen=True)
class Line:
    """One contestant then and now."""

    name: str
    past: Past | None  # its times of 2013
    row: Row | None  # today's heats; None: it did not race today

    @property
    def yardstick(self) -> bool:
        """Whether it is no BitTorrent client."""
        return self.row is not None and self.row.entrant.yardstick


@dataclass(frozen=True)
class Rematch:
    """The table of one size."""

    board: Board  # today's race
    lines: tuple[Line, ...]  # as today's board has them; then those of 2013 who did not race today


def rematch(board: Board) -> Rematch:
    """Put 2013's times of the same scenario beside a board's rows; a contestant is known by its module's name."""
    past = {each.name: each for each in history.past(board.header.scenario)}
    rows = [Line(row.contestant, past.pop(row.entrant.name, None), row) for row in board.rows]
    absent = [Line(each.name, each, None) for each in past.values()]
    ranked = [line for line in rows if not line.yardstick]
    return Rematch(board, (*ranked, *absent, *(line for line in rows if line.yardstick)))


def command(
    *,
    cards: Sequence[str],
    heats: int | None,
    format: str,  # noqa: A002 - the option's name
    quiet: bool,
    wish: Wish = ANY,
) -> int:
    """
    Race all of them on each size, or read the cards of such races, and print the tables; return the exit status.

    Raises:
        UserError: an unknown format, a file that is no card, or how to race beside what was raced already.

    """
    if cards and (heats is not None or wish != ANY):
        raise UserError("--card prints what was raced already; --heats, --testbed and the like are for a race")
    if format not in report.FORMATS:
        raise UserError(f"--format {format!a}: one of {', '.join(report.FORMATS)}")
    console = Console(highlight=False)
    status, held = (0, leaderboard.read(map(Path, cards))) if cards else _race(heats, wish, console, quiet=quiet)
    tables = [rematch(board) for board in leaderboard.boards(held) if board.rows]
    if tables:
        report.FORMATS[format](tables, console)
    if held and not cards:
        again = " ".join(f"--card {card.path}" for card in held)
        console.print(f"These tables again: {places.COMMAND} board {again}", soft_wrap=True, markup=False)
    return status


def _race(heats: int | None, wish: Wish, console: Console, *, quiet: bool) -> tuple[int, list[RaceCard]]:
    """Race on each size, the smallest first; what was measured before an interrupt stands."""
    everyone = contestant.load(CONTESTANTS, places.CONTESTANTS)
    worst = 0
    held: list[RaceCard] = []
    for name in SCENARIOS:
        console.print(f"== {name}", style="bold")
        loaded = scenario.load(name, places.SCENARIOS)
        try:
            status, card = race.hold(loaded, everyone, heats=heats, quiet=quiet, wish=wish, console=console)
        except GamesError as error:
            if not held:
                raise
            Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(error)
            return error.status, held
        worst = max(worst, status)
        if status == UserError.status:  # nor could anybody on the other sizes
            race.drop(card, quiet=quiet)
            break
        held.append(card)
        if status == INTERRUPTED:
            break
    return worst, held
