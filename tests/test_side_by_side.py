"""Several calls at once: their results in order, their errors told, an interrupt that waits for nobody."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from btgames.side_by_side import in_parallel


def test_results_come_in_order() -> None:
    """Whoever ends first, results stand where their calls stood; calls wait for each other and so do run at once."""
    barrier = threading.Barrier(3, timeout=10)
    assert in_parallel([lambda number=number: (barrier.wait(), number)[1] for number in range(3)]) == [0, 1, 2]  # type: ignore[misc]
    assert in_parallel([]) == []


def test_all_end_before_an_error_is_raised() -> None:
    """The first error in their order is raised, when the others have ended, too."""
    done: list[int] = []

    def fail(word: str) -> None:
        raise ValueError(word)

    def late() -> None:
        time.sleep(0.1)
        done.append(1)

    with pytest.raises(ValueError, match="one"):
        in_parallel([lambda: fail("one"), lambda: fail("two"), late])
    assert done == [1]


def test_an_interrupt_waits_for_nobody() -> None:
    """Ctrl-C ends the waiting although a call goes on."""
    release = threading.Event()
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel([release.wait])
    assert time.monotonic() - began < 5
    release.set()
    timer.join()
