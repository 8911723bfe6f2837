"""``tracker``: start a tracker that runs on, or end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btgames import places
from btgames.by_hand.crew import reached, say, the
from btgames.by_hand.unit import Unit
from btgames.swarm import TRACKER_PORT
from btgames.testbeds.ssh import address_of
from btgames.testbeds.wish import needed

if TYPE_CHECKING:
    from btgames.testbeds.station import Station
    from btgames.testbeds.wish import Machines, Wish

UNIT = "btgames-tracker"
FLEET = "198.18.0.0/16"
"""The network of a fleet; infra/network.py has the same."""


def command(*, stop: bool, wish: Wish) -> int:
    """Start a tracker and print its announce address, or end it; return 0."""
    machines = needed(wish, say, "tracker")
    with reached(the("tracker", machines)) as (station,):
        if stop:
            ran = Unit(station, UNIT).stop()
            say(f"{station.remote.name}: the tracker {'has ended' if ran else 'did not run'}")
            return 0
        announce, began = started(station, machines)
        say(f"{station.remote.name}: the tracker {'runs' if began else 'runs already'}")
        say(announce)
        say(f"Seed a file: {places.COMMAND} seed --file FILE{wish.options}")
        say(f"End it: {places.COMMAND} tracker --stop{wish.options}")
    return 0


def started(station: Station, machines: Machines) -> tuple[str, bool]:
    """
    Have the tracker run, as it is to be for these machines; return its announce address and whether it was started.

    One that was started for other machines, or other addresses of theirs, is started anew.

    Raises:
        UserError: it cannot run; says why.

    """
    address = address_of(station.remote)
    argv = ["python3", "-m", "btgames.agents.tracker_open", "--bind", address, "--port", str(TRACKER_PORT)]
    argv += _public(machines)
    unit, announce = Unit(station, UNIT), f"http://{address}:{TRACKER_PORT}/announce"
    if unit.runs(argv):
        return announce, False
    unit.stop()
    unit.start(argv)
    return announce, True


def _public(machines: Machines) -> list[str]:
    """Return options that tell the public addresses of a fleet, which has a network of its own."""
    if not machines.ours:
        return []
    pairs = [f"{each.private_address}={each.address}" for each in machines.remotes if each.private_address]
    return ["--network", FLEET, *(word for pair in sorted(pairs) for word in ("--public", pair))]
