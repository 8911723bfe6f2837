"""
Boards as text: one small module per format. What is printed was written by others, so each renders it harmless.

`words` says things in one way for people (terminal, Markdown); CSV and JSON carry raw numbers, units in their names.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from btgames.report import csv, json, markdown, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.leaderboard import Board


def _table(boards: Sequence[Board]) -> str:
    text = io.StringIO()
    terminal.show(boards, Console(file=text, width=terminal.WIDTH, color_system=None))
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[Board]], str]] = {
    "table": _table,
    "markdown": markdown.render,
    "csv": csv.render,
    "json": json.render,
}


def render(boards: Sequence[Board], format: str) -> str:  # noqa: A002 - the option's name
    """Return the boards in one of `FORMATS`, ending in a newline."""
    return FORMATS[format](boards)
