"""What is said about a board, sentence by sentence: the one place for what people read. All text is plain already."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from btgames.report.figures import NOTHING, percent, plain, seconds, size
from btgames.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.leaderboard import Board
    from btgames.result import RaceCard
    from btgames.row import Median, Row, Run

LONGEST_LABEL = 60
LONGEST_REASON = 1000  # all of it: its end may name a log

_NEVER_BEGAN = {Outcome.UNSUPPORTED, Outcome.NOT_RUN}

MARK = "*"
COLUMNS = ("#", "contestant", "heats", "median", "min", "max", "spread", "done", "exit", "speed", "version", "outcomes")
LEGEND = (
    "Seconds from the client's start to its last right block, over finished heats; spread is (max - min) / median.",
    "done: by the client's own word. exit: its last process ended; > where the harness ended it.",
    "speed: in percent of the yardstick's, medians compared.",
)


def cells(row: Row) -> tuple[str, ...]:
    """Return the row's text under `COLUMNS`."""
    times = row.complete_s
    return (
        NOTHING if row.rank is None else str(row.rank),
        name(row),
        f"{row.finished}/{row.started}",
        seconds(row.median_s),
        seconds(min(times, default=None)),
        seconds(max(times, default=None)),
        percent(row.spread_percent),
        seconds(row.done_s),
        _median(row.exit_s),
        percent(row.yardstick_percent),
        plain(", ".join(row.versions), LONGEST_LABEL) or NOTHING,
        outcomes(row),
    )


def label(row: Row) -> str:
    """Return the contestant's label, never empty."""
    return plain(row.contestant, LONGEST_LABEL) or "?"


def name(row: Row) -> str:
    """Return the label with what sets the row apart."""
    return label(row) + (" (yardstick)" if row.entrant.yardstick else "") + (f" {MARK}" if marked(row) else "")


def marked(row: Row) -> bool:
    """Whether the figures are those of some of its heats only."""
    return 0 < row.finished < row.started


def outcomes(row: Row) -> str:
    """Return ``5 finished, 1 timed out``."""
    return ", ".join(f"{count} {outcome.words}" for outcome, count in row.outcomes.items()) or "no heats yet"


def title(board: Board) -> str:
    """Return the scenario and what it was raced on."""
    header = board.header
    return f"{plain(header.scenario)}: {size(header.payload_bytes)}, {plain(header.testbed)} testbed"


def conditions(board: Board) -> Iterator[str]:
    """Yield where and when the times were taken, and why they stand in a table of their own."""
    facts = [_fact(name, value) for name, value in board.header.machine.items()]
    yield plain(f"machine: {', '.join(facts) or 'unknown'}")
    for number, card in enumerate(board.cards, 1):
        name = "card" if len(board.cards) == 1 else f"card {number}"
        yield plain(f"{name}: {card.path}, {_heats(card.header.heats)} each{_missing(card)}")
    if board.unlike:
        yield (
            f"Not ranked together with the other races of {plain(board.header.scenario)}; they differ in: "
            f"{plain(', '.join(board.unlike))}."
        )
    makers = {json.dumps([card.header.btgames_version, card.header.libraries], sort_keys=True) for card in board.cards}
    if len(makers) > 1:
        yield "These cards were made by different versions of btgames or of its libraries."


def notes(board: Board) -> Iterator[str]:
    """Yield what explains the rows: how heats ended that did not finish, and the mark."""
    if any(map(marked, board.rows)):
        yield f"{MARK} not all heats finished: figures and rank are those of the finished ones."
    for row in board.rows:
        for (outcome, reason), runs in _ended(row).items():
            where = "" if outcome in _NEVER_BEGAN else f" ({_where(board, runs)})"
            aside = ", not counted" if outcome is Outcome.VOID else ""
            told = f": {reason}" if reason else ""
            yield f"{label(row)}: {len(runs)} {outcome.words}{where}{aside}{told}"
        voids = len(row.heats(Outcome.VOID))
        if voids > 1:
            yield f"{label(row)}: the testbed failed in {voids} of its heats; is it the contestant that breaks it?"


def _ended(row: Row) -> dict[tuple[Outcome, str], list[Run]]:
    ended: dict[tuple[Outcome, str], list[Run]] = {}
    for run in row.runs:
        if run.heat.outcome is not Outcome.FINISHED:
            reason = plain(run.heat.reason, LONGEST_REASON)
            ended.setdefault((run.heat.outcome, reason), []).append(run)
    return ended


def _where(board: Board, runs: Sequence[Run]) -> str:
    """Return ``rounds 2, 5``; of several cards, ``rounds 2, 5 of card 1; round 1 of card 3``."""
    told = []
    for card, group in itertools.groupby(runs, key=lambda run: run.card):
        rounds = [f"{run.heat.round}{' again' if run.heat.attempt > 1 else ''}" for run in group]
        of_card = f" of card {card}" if len(board.cards) > 1 else ""
        told.append(f"round{'s' if len(rounds) > 1 else ''} {', '.join(rounds)}{of_card}")
    return "; ".join(told)


def _heats(count: int) -> str:
    return f"{count} heat{'' if count == 1 else 's'}"


def _missing(card: RaceCard) -> str:
    # Who is unsupported has no heats to come, however often that was recorded.
    unsupported = {heat.contestant for heat in card.heats if heat.outcome is Outcome.UNSUPPORTED}
    expected = {entrant.label for entrant in card.header.entrants} - unsupported
    seen = {(heat.contestant, heat.round) for heat in card.heats if heat.contestant in expected}
    missing = card.header.heats * len(expected) - len(seen)
    return f"; race not complete, heats missing: {missing}" if missing > 0 else ""


def _median(median: Median | None) -> str:
    if median is None:
        return NOTHING
    return f"> {seconds(median.seconds)}" if median.beyond else seconds(median.seconds)


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int) and abs(value) < 1 << 64:
        return f"{name.removesuffix('_bytes')} {size(value)}"
    return f"{name} {value if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
