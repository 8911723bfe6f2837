"""The header of a new race card: everything that is needed to run the race again."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import btgames
from btgames import machine
from btgames.result import Entrant, Header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.scenario import Loaded
    from btgames.testbeds import Testbed


def header_of(loaded: Loaded, everyone: Sequence[Contestant], heats: int, order_seed: int, testbed: Testbed) -> Header:
    """Return the header of a race that begins now."""
    now = datetime.now(UTC)
    return Header(
        id=secrets.token_hex(4),
        started_at=now.isoformat(timespec="seconds"),
        btgames_version=btgames.__version__,
        scenario=loaded.name,
        scenario_text=loaded.text,
        scenario_sha256=loaded.sha256,
        payload_bytes=loaded.scenario.payload.size,
        entrants=tuple(_entrant(one) for one in everyone),
        heats=heats,
        order_seed=order_seed,
        testbed=testbed.name,
        tracker=loaded.scenario.tracker,
        seeder=loaded.scenario.seeder,
        links=testbed.links,
        machine=testbed.machine([one.label for one in everyone]),
        libraries={**machine.libraries(), **testbed.programs},
    )


def _entrant(one: Contestant) -> Entrant:
    return Entrant(
        label=one.label,
        name=one.name,
        title=one.title,
        spec=one.spec,
        pin=one.pin,
        module_sha256=one.sha256,
        yardstick=one.yardstick,
        exits=one.exits,
    )
