"""What `check` finds, one thing after the other, and how it says so."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from btgames.report.figures import plain

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 110
"""Columns beyond which prose is hard to read."""


class Mark(enum.StrEnum):
    """What a finding means."""

    OK = "ok"
    NOTE = "note"  # worth knowing, in nobody's way
    NOT_OK = "not ok"

    @property
    def colour(self) -> str:
        """Its colour on a terminal."""
        return {Mark.OK: "green", Mark.NOTE: "yellow", Mark.NOT_OK: "red"}[self]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    mark: Mark
    subject: str  # up to 12 letters
    words: str  # what was found
    to_do: str = ""  # what the user can do about it

    def tell(self, console: Console, indent: int = 0) -> None:
        """Print it, what is to be done on lines of its own."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=6 + indent)
        table.add_column(width=12)
        table.add_column(overflow="fold")
        table.add_row(
            Text(" " * indent + self.mark, style=self.mark.colour), self.subject, Text(_lines(self.words)), style=""
        )
        if self.to_do:
            table.add_row("", "", Text(_lines(self.to_do), style="bold"))
        console.print(table, width=min(console.width, WIDEST), markup=False)


def _lines(text: str) -> str:
    """Return strangers' text harmless, its lines kept."""
    return "\n".join(plain(line) for line in text.splitlines())
