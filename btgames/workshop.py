"""
The workshop: where contestants' modules run and where what they install lies. It makes contestants ready to race.

That is the machine of the client host: this one (`Workshop`), or one far away, where a workshop of the same kind runs
(far_workshop.py). Standard library only: it is sent there as it is.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from btgames import containment, installing, places
from btgames.errors import Unsupported
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.installing import Installed, Notify
    from btgames.wrapper import Functions


@dataclass(frozen=True)
class Racer:
    """A contestant that is ready to race."""

    contestant: Contestant
    wrapper: Functions
    installed: Installed
    version: str
    host: str = "client"  # on which it races


class Readies(Protocol):
    """Who makes contestants ready; what it starts for them lives as long as the context."""

    @property
    def options(self) -> str:
        """The options of the command line that name its machine, to be added to a task; "" for this one."""

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """
        Return a contestant that can race; install it first if it is not there.

        Raises:
            NeedsPackages: packages of the system are missing.
            Unsupported: it cannot race here; says why.

        """

    def ready_all(self, everyone: Sequence[Contestant], notify: Notify) -> list[Racer | Unsupported]:
        """
        Make several ready, their installs side by side; return in their order who can race, or why one cannot.

        From the main thread only, as what is started for racers dies with the thread that started it.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Workshop:
    """The workshop on this machine; see `Readies`."""

    options = ""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """Make a contestant ready; see `Readies.ready`."""
        wrapper = self._stack.enter_context(Wrapper(one))
        return _racer(one, wrapper, installing.ensure(one, wrapper, places.installed(), notify))

    def ready_all(self, everyone: Sequence[Contestant], notify: Notify) -> list[Racer | Unsupported]:
        """Make several ready; see `Readies.ready_all`."""
        made: list[Racer | Unsupported] = []
        installed = installing.side_by_side(everyone, places.installed(), notify)
        for one, each in zip(everyone, installed, strict=True):
            try:
                if isinstance(each, Unsupported):
                    raise each
                made.append(_racer(one, self._stack.enter_context(Wrapper(one)), each))
            except Unsupported as why:
                made.append(why)
        return made


class MadeReady:
    """Contestants that a workshop has made ready together, to be had one by one; see `Readies`."""

    def __init__(self, workshop: Readies, everyone: Sequence[Contestant], notify: Notify) -> None:
        """Make them ready; the workshop is left at the end of this context."""
        self.options = workshop.options
        self._workshop = workshop
        made = workshop.ready_all(everyone, notify)
        self._made = {one.label: each for one, each in zip(everyone, made, strict=True)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._workshop.__exit__(*exc)

    def ready(self, one: Contestant, notify: Notify) -> Racer:
        """Tell what came of one; see `Readies.ready`."""
        del notify  # all was told before
        made = self._made[one.label]
        if isinstance(made, Unsupported):
            raise made
        return made

    def ready_all(self, everyone: Sequence[Contestant], notify: Notify) -> list[Racer | Unsupported]:
        """Tell what came of several; see `Readies.ready_all`."""
        del notify
        return [self._made[one.label] for one in everyone]


def _racer(one: Contestant, wrapper: Wrapper, installed: Installed) -> Racer:
    """Return a contestant that is installed as one that races, if it is the version that was asked for."""
    cell = containment.cell_here(Path(installed.folder), installed.read_only)
    version = wrapper.version(cell) or one.pin
    if one.asked_version and not _is_version(one.asked_version, version):
        raise Unsupported(f"version {version} is installed, {one.asked_version} was asked for")
    return Racer(one, wrapper, installed, version)


def _is_version(asked: str, found: str) -> bool:
    """Whether what is installed is what was asked for: 1.36 may be 1.36.0, but 1.3 is neither 1.36 nor 11.3."""
    if re.fullmatch(r"[\d.]+", asked):
        return re.search(rf"(?<![\d.]){re.escape(asked)}(?!\d)", found) is not None
    if re.fullmatch(r"[0-9a-f]{40}", asked):
        return True  # a commit: git has given exactly this one, whatever the client calls itself
    return asked in found
