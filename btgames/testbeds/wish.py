"""Which machines the user asks for: this one, the fleet of a Pulumi stack, or an inventory of one's own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import places
from btgames.errors import UserError, nearest
from btgames.strict_yaml import shown
from btgames.testbeds import inventory

if TYPE_CHECKING:
    from collections.abc import Callable

    from btgames.cloud.stack import Fleet
    from btgames.hosts.remote import Remote

_NAMES = ("auto", "local", "cloud")


@dataclass(frozen=True)
class Wish:
    """Which testbed the user asks for."""

    testbed: str = "auto"  # auto, local, cloud, or an inventory's file
    stack: str | None = None  # Pulumi's; None is the selected one
    hosts: tuple[str, ...] = ()  # an inventory on the command line: ROLE=USER@ADDRESS
    key: str | None = None  # private key for `hosts`
    spread: bool = False  # whether contestants are dealt among all client machines

    @property
    def options(self) -> str:
        """The options that say the same to another task; begins with a blank where there are any."""
        words = [] if self.testbed == "auto" else ["--testbed", self.testbed]
        words += [] if self.stack is None else ["--stack", self.stack]
        words += [word for host in self.hosts for word in ("--host", host)]
        words += [] if self.key is None else ["--key", self.key]
        return "".join(f" {shlex.quote(word)}" for word in words)


ANY = Wish()


@dataclass(frozen=True)
class Machines:
    """Machines over SSH that were asked for."""

    name: str  # of the testbed, in the race card
    remotes: tuple[Remote, ...]
    more: str  # what to do where they are too few
    ours: bool  # whether they are there for the games only: packages may be installed unasked


def machines_of(wish: Wish, notify: Callable[[str], None]) -> Machines | None:
    """
    Return the machines that are asked for, those of a fleet set up and ready; None is this machine.

    The first line that `notify` takes says which testbed it is.

    Raises:
        UserError: there is no such testbed, or its fleet has expired, is not whole or does not answer: what to do.

    """
    _check(wish)
    if wish.hosts or wish.testbed not in _NAMES:
        name, remotes = _inventory(wish)
        notify(f"Testbed: {name}, {len(remotes)} machine{'' if len(remotes) == 1 else 's'} over SSH")
        return Machines(name, tuple(remotes), "name more of them", ours=False)
    if (fleet := _fleet(wish)) is None:
        notify("Testbed: local, this machine")
        return None
    notify(f"Testbed: cloud, {fleet.words}")
    from btgames.testbeds.waiting import wait_until_ready  # noqa: PLC0415 - local races do without SSH

    wait_until_ready(fleet.machines, notify)
    return Machines("cloud", fleet.machines, fleet.more, ours=True)


def needed(wish: Wish, notify: Callable[[str], None], task: str) -> Machines:
    """Return the machines that are asked for; a UserError where that is this machine, which the task is not for."""
    if (machines := machines_of(wish, notify)) is None:
        raise UserError(
            f"{task} is for machines far away, and there is no fleet\n"
            f"{places.COMMAND} up makes one; --testbed FILE or --host names machines of your own"
        )
    return machines


def _check(wish: Wish) -> None:
    """Refuse options of which one would be of no effect."""
    if wish.key is not None and not wish.hosts:
        raise UserError("--key is for machines named by --host; an inventory's file and a fleet name their own keys")
    if wish.hosts and wish.testbed != "auto":
        raise UserError(f"--testbed {shlex.quote(wish.testbed)} and --host: one or the other says where")
    if wish.stack is not None and (wish.hosts or wish.testbed not in {"auto", "cloud"}):
        other = "--host" if wish.hosts else f"--testbed {shlex.quote(wish.testbed)}"
        raise UserError(f"--stack {shlex.quote(wish.stack)} and {other}: one or the other says where")


def _inventory(wish: Wish) -> tuple[str, list[Remote]]:
    if wish.hosts:
        return "hosts of the command line", inventory.from_words(wish.hosts, wish.key)
    path = Path(wish.testbed)
    if "/" not in wish.testbed and not path.suffix and not _exists(path):
        raise UserError(
            f"--testbed {shown(wish.testbed)!r}: no such testbed{nearest(wish.testbed, _NAMES)}\n"
            f"known: {', '.join(_NAMES)}, or the file of an inventory"
        )
    return path.stem, inventory.load(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _fleet(wish: Wish) -> Fleet | None:
    """Return the fleet that the wish means; None is this machine."""
    if wish.testbed == "local":
        return None
    from btgames.cloud import stack  # noqa: PLC0415 - only here

    if wish.testbed == "auto" and wish.stack is None and not stack.any_keys():
        return None  # this user never had a fleet: nobody needs to be asked
    return stack.fleet(wish.stack, needed=wish.testbed == "cloud" or wish.stack is not None)
