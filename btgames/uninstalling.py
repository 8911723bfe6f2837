"""``uninstall``: what was installed for a contestant on this machine goes, whatever its module, pin or source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import contestant, install_folder, places
from btgames.errors import GamesError, UserError
from btgames.report.figures import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class _BusyError(Exception):
    """An install is at it."""


def command(contestants: Sequence[str]) -> int:
    """
    Uninstall contestants: folders, records, logs, and what interrupted installs have left.

    Returns:
        0: nothing of them is left, if anything was there.
        1: one is being installed at the moment, and stays.

    """
    base = places.installed()
    there = install_folder.stems(base)
    if not contestants:
        known = ", ".join(there) or "nothing"
        raise UserError(plain(f"uninstall whom? --contestant NAME, or `all`; installed in {base}: {known}"))
    status, freed = 0, 0
    names = _names(contestants, there)
    for name in names:
        try:
            freed += _uninstall(name, there.get(name, ()), base)
        except _BusyError:
            print(plain(f"{name}: is being installed, and stays"), file=sys.stderr)
            status = 1
        except OSError as error:
            raise GamesError(f"{name}: cannot be uninstalled: {error.filename or base}: {error.strerror}") from error
    if len(names) != 1:
        print(f"Freed in all: {install_folder.megabytes(freed)}")
    return status


def _names(specs: Sequence[str], there: Iterable[str]) -> list[str]:
    """Return whom the user named; a module that is gone is known by what it has left."""
    names: list[str] = []
    for spec in specs:
        if spec == "all":
            names += there
        elif spec in there:
            names.append(spec)
        elif any(sign in spec for sign in "@=:"):
            raise UserError(plain(f"--contestant {spec}: all versions go together; give its name alone"))
        else:
            try:
                names += [one.name for one in contestant.load([spec], places.CONTESTANTS)]
            except UserError:
                if Path(spec).stem not in there:
                    raise
                names.append(Path(spec).stem)
    return list(dict.fromkeys(names))


def _uninstall(name: str, stems: Iterable[str], base: Path) -> int:
    """Remove all of one contestant, and say so; return how many bytes of the disk are free now."""

    def busy() -> None:
        raise _BusyError

    freed = 0
    for stem in stems:
        with install_folder.locked(base / stem, busy) as lock:
            freed += install_folder.remove_all(base / stem)
            lock.unlink()
    words = f"uninstalled, {install_folder.megabytes(freed)} freed" if stems else "nothing of it is installed"
    print(plain(f"{name}: {words}"))
    return freed
