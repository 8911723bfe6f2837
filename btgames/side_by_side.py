"""Doing several things at once, on machines or on this one, such that Ctrl-C waits for none of them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Result = TypeVar("Result")


def in_parallel(calls: Sequence[Callable[[], Result]], at_once: int | None = None) -> list[Result]:
    """
    Do all at once, wait for all, and return their results in their order.

    The threads are daemons, other than a pool's: an interrupt, which only the caller gets, ends the waiting at once,
    and the program is not held up by a machine that does not answer.

    Args:
        calls: what to do.
        at_once: how many of them may go on at a time, begun in their order; None: all.

    Raises:
        Exception: what the first of them raised, in their order, when all have ended.

    """
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    waiting = deque(enumerate(calls))

    def work() -> None:
        while True:
            try:
                index, call = waiting.popleft()
            except IndexError:
                return
            try:
                results[index] = call()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                errors[index] = error

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once or len(calls), len(calls)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[index] for index in range(len(calls))]


@contextmanager
def in_turn(tell: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Give `tell` for several threads: one line after the other, and none any more when the context has ended."""
    lock, over = threading.Lock(), threading.Event()

    def told(text: str) -> None:
        with lock:
            if not over.is_set():
                tell(text)

    try:
        yield told
    finally:
        over.set()
