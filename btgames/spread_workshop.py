"""The workshops of several client hosts far away, among which the contestants of a race are dealt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from btgames.side_by_side import in_parallel, in_turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from btgames.contestant import Contestant
    from btgames.errors import Unsupported
    from btgames.far_workshop import FarWorkshop
    from btgames.installing import Notify
    from btgames.workshop import Racer


class SpreadWorkshop:
    """See `btgames.workshop.Readies`."""

    def __init__(self, workshops: Mapping[str, FarWorkshop]) -> None:
        """`workshops` has that of each contestant, by label; several contestants may share one."""
        self._workshops = workshops
        self._each = list(dict.fromkeys(workshops.values()))

    @property
    def options(self) -> str:
        """See `btgames.workshop.Readies`."""
        return self._each[0].options

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """Make a contestant ready on its own client host."""
        workshop = self._workshops[one.label]
        return workshop.ready(one, lambda text: notify(f"{workshop.host}: {text}"))

    def ready_all(self, everyone: Sequence[Contestant], notify: Notify) -> list[Racer | Unsupported]:
        """Make several ready, on all their client hosts at once."""
        made: dict[str, Racer | Unsupported] = {}

        def make(workshop: FarWorkshop) -> None:
            theirs = [one for one in everyone if self._workshops[one.label] is workshop]
            racers = workshop.ready_all(theirs, lambda text: tell(f"{workshop.host}: {text}"))
            made.update({one.label: racer for one, racer in zip(theirs, racers, strict=True)})

        with in_turn(notify) as tell:
            in_parallel([partial(make, workshop) for workshop in self._each])
        return [made[one.label] for one in everyone]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for workshop in self._each:
            workshop.__exit__(*exc)
