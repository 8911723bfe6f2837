"""
Installing contestants: each into a directory of its own, contained and unprivileged, once per module, pin and source.

Outside the race's namespaces, since it may use the internet. What was interrupted is done again from the start: see
install_folder.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import caller, companions, containment, install_folder, install_log, places
from btgames.errors import NeedsPackages, Unsupported
from btgames.side_by_side import in_parallel, in_turn
from btgames.wrapper import INSTALL_S, SLOW_INSTALL_S, ModuleError, Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant

Notify = Callable[[str], None]
"""
Takes a line about what goes on.
"""

_ROOM_BYTES = 50_000_000  # less is left by hardly any disk but one that is full: a small client takes as much


@dataclass(frozen=True)
class Installed:
    """A contestant's installed things."""

    folder: str  # its directory
    read_only: tuple[str, ...]  # what a race must show beside it
    seconds: float  # how long the install took
    bytes: int = 0  # of the disk that it takes
    before: bool = field(default=False, compare=False)  # whether it was there already


def folder_of(one: Contestant, base: Path) -> Path:
    """
    Return the directory of a contestant's installed things.

    Another module, pin or source is another directory; so is another file beside the module that it names.
    """
    what = f"{one.sha256} {one.pin} {sys.version_info[:2]} {os.geteuid()} {companions.digest(one.path)}".rstrip()
    digest = hashlib.sha256(what.encode())
    if one.source is not None:
        for path in sorted(one.source.rglob("*")):
            if ".git" not in path.relative_to(one.source).parts and path.is_file():
                facts = path.stat()
                digest.update(os.fsencode(path) + f" {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return base / install_folder.stem(one.name, digest.hexdigest())


def side_by_side(everyone: Sequence[Contestant], base: Path, notify: Notify) -> list[Installed | Unsupported]:
    """
    Install contestants, as many at a time as there are processors; return what came of each, in their order.

    Builds that take minutes use all processors by themselves: they come one after the other, beside the rest. An
    interrupt waits for none of them, and leaves to the next install to repair what was half done.
    """
    made: dict[str, Installed | Unsupported] = {}

    def install(some: Sequence[Contestant]) -> None:
        for one in some:
            try:
                with Wrapper(one) as wrapper:  # in this thread: its process dies with who started it
                    made[one.label] = ensure(one, wrapper, base, tell)
            except Unsupported as why:
                made[one.label] = why

    slow = [one for one in everyone if one.constants["SLOW"]]
    others = [[one] for one in everyone if one not in slow]
    with in_turn(notify) as tell:
        at_once = max(2, len(os.sched_getaffinity(0)))
        in_parallel([partial(install, some) for some in ([slow] if slow else []) + others], at_once)
    return [made[one.label] for one in everyone]


def ensure(one: Contestant, wrapper: Wrapper, base: Path, notify: Notify) -> Installed:
    """
    Return a contestant's installed things; install them first if they are not there.

    Raises:
        NeedsPackages: packages of the system are missing.
        Unsupported: it cannot be installed here; says why.

    """
    if one.problem:
        raise ModuleError(one.problem)
    try:
        folder = folder_of(one, base)
        record = install_folder.record_of(folder)
        caller.make_folder(base)
        with install_folder.locked(folder, lambda: notify(f"{one.label}: another install is at it")):
            if (there := recorded(folder)) is not None:
                return there
            record.unlink(missing_ok=True)
            installed = _install(one, wrapper, folder, notify)
            # Written last and renamed into place: a record that is there is whole.
            part = record.with_suffix(".part")
            part.write_text(json.dumps(asdict(installed)), encoding="utf-8")
            caller.give(part)
            part.rename(record)
            return installed
    except OSError as error:  # a full disk, a cache that belongs to somebody else
        raise Unsupported(f"cannot be installed: {error.filename or base}: {error.strerror}") from error


def recorded(folder: Path) -> Installed | None:
    """Return what a folder's record says; None where there is none, or where what it tells of is gone."""
    try:
        fields = json.loads(install_folder.record_of(folder).read_bytes())
        seconds, taken = float(fields["seconds"]), int(fields["bytes"])
        installed = Installed(str(folder), tuple(fields["read_only"]), seconds, taken, before=True)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return installed if all(Path(path).exists() for path in (installed.folder, *installed.read_only)) else None


def _install(one: Contestant, wrapper: Wrapper, folder: Path, notify: Notify) -> Installed:
    began = time.monotonic()
    install_folder.remove(folder)
    folder.mkdir()
    log = install_log.log_of(folder)
    log.write_bytes(b"")
    caller.give(log)
    seen = () if one.source is None else (str(one.source),)
    cell = containment.cell_here(folder, seen)
    if cell.uid is not None:
        os.chown(folder, cell.uid, cell.uid)
    slow = "; this may take minutes" if one.constants["SLOW"] else ""
    notify(f"{one.label}: installing {one.name} {one.pin}".rstrip() + slow)

    def goes_on() -> None:
        words = "installing", duration(time.monotonic() - began), install_log.last_line(log)
        notify(f"{one.label}: {', '.join(filter(None, words))}")

    try:
        limit_s = SLOW_INSTALL_S if one.constants["SLOW"] else INSTALL_S
        needed = wrapper.install(cell, limit_s, log=str(log), goes_on=goes_on)
    except BaseException as error:
        left = shutil.disk_usage(folder).free
        install_folder.remove(folder)
        if isinstance(error, Unsupported) and not isinstance(error, NeedsPackages):
            raise _in_words(error, folder, left, log) from error
        raise
    seconds, taken = time.monotonic() - began, install_folder.disk_bytes(folder)
    notify(f"{one.label}: installed in {seconds:.1f} s, {install_folder.megabytes(taken)} on disk")
    return Installed(str(folder), (*seen, *needed), seconds, taken)


def _in_words(why: Unsupported, folder: Path, left_bytes: int, log: Path) -> Unsupported:
    """Return why an install failed, with what the tools themselves do not always say, and where they say all."""
    words = str(why).replace(f"{folder}/", "")
    hint = ""
    if left_bytes < _ROOM_BYTES:
        hint = f"the disk is almost full, {install_folder.megabytes(left_bytes)} are left: "
    elif install_log.unreached(log):
        hint = "no internet, perhaps, or a mirror that does not answer: "
    return type(why)(f"{hint}{words}" + (f"; log: {log}" if log.stat().st_size else ""))


def duration(seconds: float) -> str:
    """Return seconds in words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def how_to(one: Contestant, needs: NeedsPackages, options: str = "") -> str:
    """Return what a race says of a contestant whose packages are missing; `options` name its testbed."""
    return f"needs {' '.join(needs.packages)}: {places.COMMAND} install --contestant {shlex.quote(one.spec)}{options}"
