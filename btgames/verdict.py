"""From the facts that the stopwatch tells to an outcome and one line of reason. Pure; DESIGN's rules of the clock."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from btgames.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def judge(facts: Mapping[str, Any], *, time_limit_s: float) -> tuple[Outcome, str]:
    """
    Judge a heat.

    Args:
        facts: what agents/stopwatch.py told as its ``result``.
        time_limit_s: the scenario's.

    Returns:
        The outcome, and why in one line; no words where it finished and nothing is worth saying.

    """
    if facts["failed"] is not None:
        return _never_ran(facts["failed"])
    if facts["complete_s"] is not None:
        return _complete(facts)
    if facts["limit"] is not None:
        return Outcome.CRASHED, f"ended for using too much {facts['limit']}; {_progress(facts)}"
    if facts["timed_out"]:
        return Outcome.TIMED_OUT, f"not complete after {time_limit_s:g} s; {_progress(facts)}"
    outcome = Outcome.CRASHED if facts["exit_status"] else Outcome.CORRUPT
    return outcome, f"{status_words(facts['exit_status'])}; {_progress(facts)}"


def _never_ran(failed: Mapping[str, str]) -> tuple[Outcome, str]:
    if failed["who"] == "cell":
        return Outcome.VOID, f"the testbed failed: {failed['reason']}"
    return Outcome.CRASHED, f"could not be started: {failed['reason']}"


def _complete(facts: Mapping[str, Any]) -> tuple[Outcome, str]:
    if facts["wrong_pieces"] is None:
        return Outcome.CORRUPT, "complete for a moment, but the payload was gone when it was to be hashed"
    if facts["wrong_pieces"]:
        count = facts["wrong_pieces"]
        return (
            Outcome.CORRUPT,
            f"looked complete, but {count} {'piece has' if count == 1 else 'pieces have'} the wrong hash",
        )
    if facts["exit_s"] is not None and facts["exit_status"]:
        return Outcome.FINISHED, status_words(facts["exit_status"])
    return Outcome.FINISHED, ""


def status_words(status: int | None) -> str:
    """Return an exit status in words; -N is signal N."""
    if status is None:
        return "did not exit by itself"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _progress(facts: Mapping[str, Any]) -> str:
    """Return how far it came, and, where nothing was found under the final name, what was found instead."""
    words = f"{facts['blocks_right']} of {facts['blocks']} blocks were right"
    if facts["wrong_pieces"] is not None:  # something lies under the final name
        return words
    seen = ", ".join(f"{path} ({size} bytes)" for path, size in facts["files_seen"][:3])
    if facts["blocks_right"] and seen:
        return f"{words}, but under another name: {seen}"
    return f"{words}; found {seen}" if seen else f"{words}; no file was written"
