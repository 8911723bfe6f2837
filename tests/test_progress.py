"""What a race shows while it runs."""

from __future__ import annotations

import io

import pytest
from cards import NASTY
from rich.console import Console

from btgames.progress import Show
from btgames.result import Heat, Outcome


def console(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    """Return a console of 80 columns and what is written to it."""
    written = io.StringIO()
    return Console(file=written, width=80, force_terminal=terminal, legacy_windows=False), written


def heat(**fields: object) -> Heat:
    """Return a heat that finished in 1.2345 s; `fields` override."""
    usual = {"contestant": "aria2", "round": 1, "outcome": Outcome.FINISHED, "complete_s": 1.2345}
    return Heat.model_validate({**usual, **fields})


def test_plain_lines_where_there_is_no_terminal() -> None:
    """Each heat that ended is a line: place, contestant, outcome, time; nothing live, no colour."""
    to, written = console()
    with Show(to, 100) as show:
        show.note("aria2: installing")
        show.begins("round 1 aria2", 100)
        show.moved(0.5, 1, 10)
        show.ended(heat(), "heat 1 of 2")
        show.ended(heat(outcome=Outcome.CRASHED, complete_s=None, reason="exited with status 1"), "heat 2 of 2")
    assert written.getvalue().splitlines() == [
        "aria2: installing",
        "heat 1 of 2  aria2                finished      1.234 s",
        "heat 2 of 2  aria2                crashed                exited with status 1",
    ]


def test_a_reason_is_not_broken_into_lines() -> None:
    """A long reason stays one line, for grep and for logs."""
    to, written = console()
    with Show(to, 100) as show:
        show.ended(heat(outcome=Outcome.CRASHED, complete_s=None, reason="why " * 100), "heat 1 of 1")
        show.note("note " * 100)
    assert len(written.getvalue().splitlines()) == 2


def test_quiet_says_nothing() -> None:
    """With --quiet there are neither lines nor notes."""
    to, written = console(terminal=True)
    with Show(to, 100, quiet=True) as show:
        show.note("x")
        show.begins("round 1 aria2", 100)
        show.moved(0.5, 1, 10)
        show.ended(heat(), "heat 1 of 1")
    assert written.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    """On a terminal the running heat has a bar with its rate; at the end the cursor is back and the bar gone."""
    to, written = console(terminal=True)
    with Show(to, 1 << 20) as show:
        show.begins("round 1 aria2", 1 << 20)
        show.moved(0.5, 32, 1_000_000)
        show._bar.refresh()
        show.ended(heat(), "heat 1 of 1")
    text = written.getvalue()
    assert "round 1 aria2" in text
    assert "16 Mbit/s" in text
    assert "0.5/1.0 MB" in text
    assert "heat 1 of 1" in text
    assert text.rindex("\x1b[?25h") > text.rindex("heat 1 of 1")


def test_progress_cannot_run_past_the_payload() -> None:
    """The last block is shorter than a block; the bar ends where the payload ends."""
    to, written = console(terminal=True)
    with Show(to, 20_000) as show:
        show.begins("x", 20_000)
        show.moved(0.0, 2, 0)
        show._bar.refresh()
    assert "20.0/20.0 kB" in written.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile_text_is_harmless(*, terminal: bool) -> None:
    """What a contestant calls itself or says does not reach the terminal as control sequences or markup."""
    to, written = console(terminal=terminal)
    with Show(to, 100) as show:
        show.note(NASTY)
        show.begins(NASTY, 100)
        show._bar.refresh()
        show.ended(heat(contestant=NASTY, outcome=Outcome.CORRUPT, complete_s=None, reason=NASTY), "heat 1 of 1")
    text = written.getvalue()
    for bad in ("\x1b[31m=", "\x9b", "\u202e", "\x00"):
        assert bad not in text
    assert "[red]" in text
