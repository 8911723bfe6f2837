"""Judging real contestants by the heats of a race."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from btgames.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.result import Heat

ITS_OWN = {Outcome.FINISHED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.CORRUPT, Outcome.NOT_RUN}
"""
Outcomes that a client with a known defect may have: they are its doing, other than `unsupported` and `void`.
"""


def judge(one: Contestant, heats: Sequence[Heat]) -> None:
    """Assert that a contestant did what its module promises; skip where it cannot be here, with the reason."""
    heats = [heat for heat in heats if heat.outcome is not Outcome.VOID or heat.attempt > 1]
    assert heats
    for heat in heats:
        if heat.outcome is Outcome.UNSUPPORTED:
            pytest.skip(f"{one.name}: {heat.reason}")
        assert heat.outcome in (ITS_OWN if one.defect else {Outcome.FINISHED}), f"{heat.reason}\n{heat.log_tail[-800:]}"
        assert heat.version or heat.outcome is Outcome.NOT_RUN
