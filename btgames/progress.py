"""What a race shows while it runs: a live bar on a terminal, plain lines elsewhere, nothing when it is to be quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from btgames.payload import BLOCK
from btgames.report.figures import plain
from btgames.result import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from btgames.result import Heat

COLOURS = {Outcome.FINISHED: "green", Outcome.VOID: "yellow", Outcome.UNSUPPORTED: "yellow"}


class Show:
    """Shows a race to its user. A context manager, so that a terminal is left as it was found."""

    def __init__(self, console: Console, payload_bytes: int, *, quiet: bool = False) -> None:
        self._console = console
        self._payload_bytes = payload_bytes
        self._quiet = quiet
        self._live = console.is_terminal and not quiet
        self._elapsed_s = self._done_bytes = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Say a line about what goes on."""
        if not self._quiet:
            self._bar.console.print(escape(plain(text)), style="dim", highlight=False, soft_wrap=True)

    def begins(self, what: str, payload_bytes: int) -> None:
        """Show that a heat has begun."""
        self._payload_bytes = payload_bytes
        self.clear()
        self._task = self._bar.add_task(escape(plain(what)), total=payload_bytes, rate="")

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """Show how far the running heat is; `rx_bytes` crossed the client's link, headers included."""
        if self._task is not None:
            rate = f"{rx_bytes * 8 / 1e6 / elapsed_s:.0f} Mbit/s" if elapsed_s > 0 else ""
            done = min(blocks_right * BLOCK, self._payload_bytes)
            self._bar.update(self._task, completed=done, rate=rate)

    def clear(self) -> None:
        """Show no running heat any more."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def ended(self, heat: Heat, place: str) -> None:
        """Show how a heat ended, above the bar; `place` is ``heat 3 of 24``."""
        self.clear()
        if self._quiet:
            return
        colour = COLOURS.get(heat.outcome, "red")
        time = f"{heat.complete_s:.3f} s" if heat.outcome is Outcome.FINISHED else ""
        label = escape(f"{plain(heat.contestant):<20}")
        reason = f"  {plain(heat.reason)}" if heat.reason else ""
        self._bar.console.print(
            f"{place}  {label} [{colour}]{heat.outcome.words:<11}[/] {time:>9}{escape(reason)}",
            highlight=False,
            soft_wrap=True,
        )
