"""The machines of the tasks by hand: which of a fleet or an inventory they are; reached, and let go of in the end."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from btgames.errors import GamesError, HostError, UserError
from btgames.interrupts import ended_by_signals
from btgames.report.figures import plain
from btgames.side_by_side import in_parallel
from btgames.testbeds.station import Station

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.hosts.remote import Remote
    from btgames.testbeds.wish import Machines

_CONSOLE = Console(highlight=False, markup=False, soft_wrap=True)


def say(line: str) -> None:
    """Tell the user a line, as it is indented; what machines or clients printed may be in it."""
    _CONSOLE.print(" " * (len(line) - len(line.lstrip(" "))) + plain(line))


def the(role: str, machines: Machines) -> Remote:
    """
    Return the machine of a role, the first where there are several; without a tracker's, the first seeder's is that.

    Raises:
        UserError: there is none.

    """
    roles = (role, "seeder") if role == "tracker" else (role,)
    found = next((remote for each in roles for remote in machines.remotes if remote.role == each), None)
    if found is None:
        raise UserError(f"{machines.name} has no {role}\n{machines.more}")
    return found


@contextmanager
def reached(*remotes: Remote) -> Iterator[list[Station]]:
    """
    Give a station for each of these machines, the same one for the same machine; hang up in the end.

    Raises:
        UserError: one refuses us, lacks something, or does not answer.

    """
    stations = {remote: Station(remote) for remote in remotes}
    try:
        with ended_by_signals():
            try:
                in_parallel([partial(station.reach) for station in stations.values()])
            except HostError as error:
                raise UserError(str(error)) from error
            yield [stations[remote] for remote in remotes]
    finally:
        for station in stations.values():
            station.close()


def failed(error: GamesError, to_do: str) -> UserError:
    """Return an error that says what to do as well."""
    return UserError(f"{error}\n{to_do}")
