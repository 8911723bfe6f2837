"""``install`` on machines far away: on every client of a fleet or an inventory, side by side."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from btgames.contract import NeedsPackages
from btgames.errors import HostError, Unsupported, UserError
from btgames.far_workshop import FarWorkshop
from btgames.report.figures import plain
from btgames.side_by_side import in_parallel, in_turn
from btgames.testbeds.station import Station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.hosts.remote import Remote
    from btgames.installing import Notify
    from btgames.testbeds.wish import Machines, Wish


def command(everyone: Sequence[Contestant], machines: Machines, wish: Wish, *, yes: bool) -> int:
    """Install contestants on every client machine, packages of the system included where that may be; 2: not all."""
    clients = [remote for remote in machines.remotes if remote.role == "client"]
    if not clients:
        raise UserError(f"{machines.name} has no client machine, and contestants live there\n{machines.more}")
    missing: dict[str, Unsupported] = {}
    apt, several = machines.ours or yes, len(clients) > 1
    with in_turn(lambda text: print(plain(text), flush=True)) as tell:
        in_parallel(
            [partial(_on, remote, everyone, missing, wish, tell, apt=apt, several=several) for remote in clients]
        )
    for label, why in missing.items():
        print(plain(f"{label}: not installed: {_words(why)}"), file=sys.stderr)
    if not apt and any(isinstance(why, NeedsPackages) for why in missing.values()):
        print("Say --yes to have apt-get run there.", file=sys.stderr)
    return UserError.status if missing else 0


def _on(
    remote: Remote,
    everyone: Sequence[Contestant],
    missing: dict[str, Unsupported],
    wish: Wish,
    tell: Notify,
    *,
    apt: bool,
    several: bool,
) -> None:
    """Install everyone on one machine; add who could not be to `missing`, with the machine's name where it matters."""
    station = Station(remote)
    where = f"{remote.name}: " if several else ""
    try:
        station.reach()
        packages = station.packages if apt else None
        with FarWorkshop(station.machine, station.send, packages, wish.options) as workshop:
            made = workshop.ready_all(everyone, lambda text: tell(f"{where}{text}"))
        for one, each in zip(everyone, made, strict=True):
            if isinstance(each, Unsupported):
                missing[f"{where}{one.label}"] = each
            else:
                tell(f"{where}{one.label}: ready in {each.installed.folder}")
    except HostError as error:
        raise UserError(str(error)) from error
    finally:
        station.close()


def _words(why: Unsupported) -> str:
    return f"needs {' '.join(why.packages)}" if isinstance(why, NeedsPackages) else str(why)
