"""
The leaderboard as JSON: everything, each heat included; only the time series stay in the race card.

Text is as it was recorded, every character beyond ASCII escaped, so that it harms no terminal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from btgames import history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from btgames.leaderboard import Board
    from btgames.result import RaceCard
    from btgames.row import Row

_OF_CARD = {"id", "started_at", "btgames_version", "heats", "order_seed", "libraries"}
_SERIES = {"type", "traffic", "announces"}


def render(boards: Sequence[Board]) -> str:
    """Return one object: ``boards``, a list of scenario, conditions, cards, rows and 2013's times."""
    return json.dumps({"boards": [_board(board) for board in boards]}, indent=2, allow_nan=False) + "\n"


def _board(board: Board) -> dict[str, Any]:
    header = _fields(board.header, exclude={"type", "entrants", *_OF_CARD})
    past = history.past(board.header.scenario)
    return {
        **header,
        "cards": [_card(card) for card in board.cards],
        "differs_from_other_boards_in": board.unlike,
        "rows": [_row(row) for row in board.rows],
        "history_2013": [{"contestant": old.contestant, "times_s": old.times_s} for old in past],
    }


def _card(card: RaceCard) -> dict[str, Any]:
    return {"path": str(card.path), **_fields(card.header, include=_OF_CARD), "warnings": card.warnings}


def _row(row: Row) -> dict[str, Any]:
    exits = row.exit_s
    return {
        **_fields(row.entrant),
        "label": row.contestant,
        "versions": row.versions,
        "rank": row.rank,
        "finished_heats": row.finished,
        "started_heats": row.started,
        "outcomes": {outcome.value: count for outcome, count in row.outcomes.items()},
        "complete_median_s": row.median_s,
        "complete_min_s": min(row.complete_s, default=None),
        "complete_max_s": max(row.complete_s, default=None),
        "spread_percent": row.spread_percent,
        "done_median_s": row.done_s,
        "exit_median_s": None if exits is None else exits.seconds,
        "exit_median_is_more": None if exits is None else exits.beyond,
        "yardstick_percent": row.yardstick_percent,
        "heats": [{"card": run.card, **_fields(run.heat, exclude=_SERIES)} for run in row.runs],
    }


def _fields(record: BaseModel, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
    # By way of its JSON, where a fact of a machine that is no number has become null.
    fields: dict[str, Any] = json.loads(record.model_dump_json(include=include, exclude=exclude))
    return fields
