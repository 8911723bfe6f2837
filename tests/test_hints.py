"""What an author is told of a tiny heat: each defect by its own sentence, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from btgames.hints import Evidence, hints, log_lines
from btgames.remains import Remains
from btgames.result import Heat, Outcome

EMPTY = Remains(0, 32, None, ())
WHOLE = Remains(32, 32, 0, (("payload.bin", 524288),))
ANNOUNCE: dict[str, Any] = {"status": "ok", "port": 6881, "info_hash": "ab" * 20}

FINE = Evidence(
    heat=Heat(
        contestant="mine", round=1, outcome=Outcome.FINISHED, complete_s=0.3, exit_s=0.4, exit_status=0,
        first_block_s=0.1, info_hash="ab" * 20, blocks_right=32, blocks=32,
    ),
    module="/mine.py",
    exits=True,
    yardstick=False,
    layout=(("payload.bin", 524288),),
    tracker="http://198.18.0.1:6969/announce",
    into=WHOLE,
    desk=EMPTY,
    announces=(ANNOUNCE,),
)  # fmt: skip


def _failed(outcome: Outcome, into: Remains, **changes: Any) -> Evidence:
    """Return the evidence of a heat that exited with status 0 without the payload, changed."""
    heat: dict[str, Any] = {"outcome": outcome, "complete_s": None, "first_block_s": None, "blocks_right": 0}
    heat |= changes.pop("heat", {})
    return replace(FINE, heat=FINE.heat.model_copy(update=heat), into=into, **changes)


def test_nothing_is_said_of_what_is_fine() -> None:
    """A client that downloads, announces and exits gets no hint; nor does a yardstick that announces nothing."""
    assert hints(FINE) == []
    assert hints(replace(FINE, yardstick=True, announces=())) == []


def test_it_does_not_exit() -> None:
    """Right bytes without an exit name the constant to set, and where; one that has set it hears nothing."""
    stays = replace(FINE, heat=FINE.heat.model_copy(update={"exit_s": None, "exit_status": None, "ended_by": "SIGINT"}))
    (hint,) = hints(stays)
    assert "EXITS = False in /mine.py" in hint
    assert "SIGINT" in hint
    assert hints(replace(stays, exits=False)) == []


def test_it_wrote_under_another_name() -> None:
    """The name found and the one expected are told; a name that only lacks its renaming is told as such."""
    (hint,) = hints(_failed(Outcome.CORRUPT, Remains(32, 32, None, (("data", 524288),))))
    assert "it wrote data (524288 bytes), the torrent says payload.bin (524288 bytes)" in hint
    assert "every byte in it is right" in hint
    assert "rename" not in hint
    part = Remains(3, 32, None, (("log", 1), ("x/payload.bin.part", 4096)))
    (hint,) = hints(_failed(Outcome.CORRUPT, part))
    assert "x/payload.bin.part (4096 bytes)" in hint
    assert "does it rename the file" in hint


def test_it_exited_too_early() -> None:
    """Status 0 with a file that is not right asks for flushing; with another status it does not."""
    half = Remains(16, 32, 9, (("payload.bin", 524288),))
    (hint,) = hints(_failed(Outcome.CORRUPT, half, heat={"blocks_right": 16, "first_block_s": 0.1}))
    assert "16 of 32 blocks" in hint
    assert "flush" in hint
    crashed = _failed(Outcome.CRASHED, half, heat={"exit_status": 1, "first_block_s": 0.1})
    assert hints(crashed) == []


def test_it_wrote_nothing_or_elsewhere() -> None:
    """An empty download directory asks for `into`; the payload beside the torrent is told of."""
    started = {"first_block_s": 0.1}
    (hint,) = hints(_failed(Outcome.CORRUPT, EMPTY, heat=started))
    assert "wrote nothing" in hint
    (hint,) = hints(_failed(Outcome.CORRUPT, EMPTY, desk=WHOLE, heat=started))
    assert "beside the torrent" in hint


def test_it_could_not_be_started() -> None:
    """A program that is not there: where programs are looked up, and nothing else."""
    (hint,) = hints(_failed(Outcome.CRASHED, EMPTY, announces=(), heat={"reason": "could not be started: x: No such"}))
    assert "venv/bin" in hint


def test_it_died_at_once() -> None:
    """One that crashed before it did anything is sent to its log, not to the tracker."""
    (hint,) = hints(_failed(Outcome.CRASHED, EMPTY, announces=(), heat={"exit_status": 3}))
    assert "log" in hint


@pytest.mark.parametrize(
    ("announces", "said"),
    [
        ((), "saw no announce"),
        (({**ANNOUNCE, "status": "unknown info_hash", "info_hash": "cd" * 20},), "cdcdcd"),
        (({**ANNOUNCE, "status": "info_hash has 0 bytes", "info_hash": ""},), "it sent none"),
        (({**ANNOUNCE, "port": None},), "without a port"),
    ],
)
def test_what_the_tracker_saw(announces: tuple[dict[str, Any], ...], said: str) -> None:
    """No announce, a refused one and one without a port each have their sentence, whether or not it finished."""
    assert said in " ".join(hints(replace(FINE, announces=announces)))


def test_it_met_the_seeder_in_vain() -> None:
    """Announced, and no block: the peers, the handshake and what follows are pointed at."""
    found = hints(_failed(Outcome.TIMED_OUT, EMPTY, heat={"exit_s": None, "exit_status": None}))
    assert any("handshake" in hint for hint in found)
    stuck = {"exit_s": None, "exit_status": None, "first_block_s": 0.25}
    half = Remains(16, 32, 9, (("payload.bin", 524288),))
    (hint,) = hints(_failed(Outcome.TIMED_OUT, half, heat=stuck))
    assert "0.25 s" in hint


def test_the_end_of_a_log_is_harmless_text() -> None:
    """The last lines are kept with their indentation; terminal sequences and empty lines are not."""
    tail = "first\n\n  \x1b[31mred\x1b[0m\n\tdeep\nlast\n"
    assert log_lines(tail, 3) == ["  red", "        deep", "last"]
    assert log_lines("") == []
