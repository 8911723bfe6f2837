"""Doing things on several machines at once, such that Ctrl-C waits for none of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = TypeVar("Result")


def in_parallel(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """
    Do all at once, wait for all, and return their results in their order.

    The threads are daemons, other than a pool's: an interrupt, which only the caller gets, ends the waiting at once,
    and the program is not held up by a machine that does not answer.

    Raises:
        Exception: what the first of them raised, in their order, when all have ended.

    """
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}

    def run(index: int, call: Callable[[], Result]) -> None:
        try:
            results[index] = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            errors[index] = error

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[index] for index in range(len(calls))]
