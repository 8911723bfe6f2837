"""Several calls at once: their results in order, their errors told, an interrupt that waits for nobody."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from btgames.side_by_side import in_parallel, in_turn


def test_results_come_in_order() -> None:
    """Whoever ends first, results stand where their calls stood; calls wait for each other and so do run at once."""
    barrier = threading.Barrier(3, timeout=10)
    assert in_parallel([lambda number=number: (barrier.wait(), number)[1] for number in range(3)]) == [0, 1, 2]  # type: ignore[misc]
    assert in_parallel([]) == []


def test_so_many_at_once_and_no_more() -> None:
    """With a limit they are begun in their order, and no more than that many go on at a time."""
    lock, now, most, order = threading.Lock(), [0], [0], list[int]()

    def call(number: int) -> int:
        with lock:
            order.append(number)
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return number

    assert in_parallel([lambda number=number: call(number) for number in range(7)], 2) == list(range(7))  # type: ignore[misc]
    assert most == [2]
    assert [sorted(order[:2]), order[-1]] == [[0, 1], 6]


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


def test_lines_come_one_after_the_other() -> None:
    """What several threads tell is told whole, one line at a time; what comes too late is not told."""
    told: list[str] = []

    def slowly(text: str) -> None:
        for letter in text:
            told.append(letter)
            time.sleep(0.001)

    with in_turn(slowly) as tell:
        in_parallel([lambda text=text: tell(text) for text in ("aaaa", "bbbb", "cccc")])  # type: ignore[misc]
    assert sorted("".join(told)[at : at + 4] for at in (0, 4, 8)) == ["aaaa", "bbbb", "cccc"]
    tell("late")
    assert len(told) == 12
