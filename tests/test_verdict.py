"""From facts to outcome and reason: a table of what can happen."""

from __future__ import annotations

from typing import Any

import pytest
from fake_swarm import facts
from hypothesis import given
from hypothesis import strategies as st

from btgames.result import Outcome
from btgames.verdict import judge, status_words

NOTHING = {"complete_s": None, "exit_s": 2.0, "blocks_right": 0, "wrong_pieces": None, "blocks": 9}
PART = {**NOTHING, "blocks_right": 4, "wrong_pieces": 3}


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        # Every byte right, in time: finished, whatever else.
        ({}, "finished", ""),
        ({"exit_status": 3}, "finished", "exited with status 3"),
        ({"exit_status": -11}, "finished", "ended by SIGSEGV"),
        ({"exit_s": None, "exit_status": -2, "ended_by": "SIGINT"}, "finished", ""),
        ({"exit_s": None, "exit_status": None}, "finished", ""),
        # It looked complete, and was not.
        ({"wrong_pieces": 1}, "corrupt", "looked complete, but 1 piece has the wrong hash"),
        ({"wrong_pieces": 7}, "corrupt", "looked complete, but 7 pieces have the wrong hash"),
        (
            {"wrong_pieces": None},
            "corrupt",
            "complete for a moment, but the payload was gone when it was to be hashed",
        ),
        # It ended too early.
        ({**PART, "exit_status": 1}, "crashed", "exited with status 1; 4 of 9 blocks were right"),
        ({**PART, "exit_status": -9}, "crashed", "ended by SIGKILL; 4 of 9 blocks were right"),
        ({**PART, "exit_status": -77}, "crashed", "ended by signal 77; 4 of 9 blocks were right"),
        ({**PART, "exit_status": 0}, "corrupt", "exited with status 0; 4 of 9 blocks were right"),
        (
            {**PART, "exit_status": 1, "limit": "memory"},
            "crashed",
            "ended for using too much memory; 4 of 9 blocks were right",
        ),
        # It took too long.
        ({**PART, "timed_out": True, "exit_s": None}, "timed_out", "not complete after 60 s; 4 of 9 blocks were right"),
        # Nothing under the final name.
        (
            {**NOTHING, "exit_status": 0},
            "corrupt",
            "exited with status 0; 0 of 9 blocks were right; no file was written",
        ),
        (
            {**NOTHING, "exit_status": 0, "files_seen": [("a", 1), ("b", 2), ("c", 3), ("d", 4)]},
            "corrupt",
            "exited with status 0; 0 of 9 blocks were right; found a (1 bytes), b (2 bytes), c (3 bytes)",
        ),
        (
            {**NOTHING, "exit_status": 0, "blocks_right": 9, "files_seen": [("x", 5)]},
            "corrupt",
            "exited with status 0; 9 of 9 blocks were right, but under another name: x (5 bytes)",
        ),
        (
            {**NOTHING, "exit_status": 0, "blocks_right": 9},
            "corrupt",
            "exited with status 0; 9 of 9 blocks were right; no file was written",
        ),
        # It never began.
        (
            {**NOTHING, "exec_s": None, "failed": {"who": "command", "reason": "get: No such file or directory"}},
            "crashed",
            "could not be started: get: No such file or directory",
        ),
        (
            {"failed": {"who": "cell", "reason": "no namespaces"}},
            "void",
            "the testbed failed: no namespaces",
        ),
    ],
)
def test_outcomes(fields: dict[str, Any], outcome: str, reason: str) -> None:
    """Each way in which a heat can end has its outcome, and its reason in plain words."""
    assert judge(facts(**fields), time_limit_s=60) == (outcome, reason)


@given(
    complete_s=st.none() | st.just(1.0),
    exit_s=st.none() | st.just(2.0),
    exit_status=st.none() | st.integers(-70, 255),
    wrong_pieces=st.none() | st.integers(0, 3),
    timed_out=st.booleans(),
    limit=st.none() | st.just("memory"),
)
def test_only_right_bytes_finish(wrong_pieces: int | None, complete_s: float | None, **fields: Any) -> None:
    """Nothing is finished without a time and right hashes, nothing else than the testbed makes a heat void."""
    outcome, reason = judge(facts(wrong_pieces=wrong_pieces, complete_s=complete_s, **fields), time_limit_s=60)
    assert (outcome is Outcome.FINISHED) == (complete_s is not None and wrong_pieces == 0)
    assert outcome is not Outcome.VOID
    assert reason or outcome is Outcome.FINISHED
    assert "None" not in reason


def test_status_words() -> None:
    """An exit status is told in words, also when there is none."""
    assert status_words(None) == "did not exit by itself"
    assert status_words(0) == "exited with status 0"
    assert status_words(-15) == "ended by SIGTERM"
