"""
Installing contestants: each into a directory of its own, contained and unprivileged, once per module, pin and source.

Outside the race's namespaces, since it may use the internet. An install is whole when its record (a JSON file beside
its directory) is there; what was interrupted is done again from the start.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import caller, containment, contestant, places
from btgames.contract import NeedsPackages
from btgames.errors import GamesError, Unsupported
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.contestant import Contestant
    from btgames.testbeds.wish import Wish

Notify = Callable[[str], None]
"""
Takes a line about what goes on.
"""


@dataclass(frozen=True)
class Installed:
    """A contestant's installed things."""

    folder: str  # its directory
    read_only: tuple[str, ...]  # what a race must show beside it
    seconds: float  # how long the install took
    before: bool = field(default=False, compare=False)  # whether it was there already


def folder_of(one: Contestant, base: Path) -> Path:
    """Return the directory of a contestant's installed things: another module, pin or source is another directory."""
    digest = hashlib.sha256(f"{one.sha256} {one.pin} {sys.version_info[:2]} {os.geteuid()}".encode())
    if one.source is not None:
        for path in sorted(one.source.rglob("*")):
            if ".git" not in path.relative_to(one.source).parts and path.is_file():
                facts = path.stat()
                digest.update(os.fsencode(path) + f" {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return base / f"{one.name}-{digest.hexdigest()[:12]}"


def record_of(one: Contestant, base: Path) -> Path:
    """Return the file that is there when, and only when, the contestant is installed whole."""
    folder = folder_of(one, base)
    return folder.with_name(folder.name + ".json")


def ensure(one: Contestant, wrapper: Wrapper, base: Path, notify: Notify) -> Installed:
    """
    Return a contestant's installed things; install them first if they are not there.

    Raises:
        NeedsPackages: packages of the system are missing.
        Unsupported: it cannot be installed here; says why.

    """
    try:
        folder, record = folder_of(one, base), record_of(one, base)
        caller.make_folder(base)
        with _locked(folder.with_name(folder.name + ".lock"), lambda: notify(f"{one.label}: another install is at it")):
            if (there := _recorded(folder, record)) is not None:
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


def _recorded(folder: Path, record: Path) -> Installed | None:
    """Return what the record says; None where there is none, or where what it tells of is gone."""
    try:
        fields = json.loads(record.read_bytes())
        installed = Installed(str(folder), tuple(fields["read_only"]), float(fields["seconds"]), before=True)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return installed if all(Path(path).exists() for path in (str(folder), *installed.read_only)) else None


def _install(one: Contestant, wrapper: Wrapper, folder: Path, notify: Notify) -> Installed:
    began = time.monotonic()
    _remove(folder)
    folder.mkdir()
    seen = () if one.source is None else (str(one.source),)
    cell = containment.cell_here(folder, seen)
    if cell.uid is not None:
        os.chown(folder, cell.uid, cell.uid)
    notify(f"{one.label}: installing {one.name} {one.pin}".rstrip())
    try:
        needed = wrapper.install(cell)
    except BaseException:
        _remove(folder)
        raise
    seconds = time.monotonic() - began
    notify(f"{one.label}: installed in {seconds:.1f} s")
    return Installed(str(folder), (*seen, *needed), seconds)


def _remove(folder: Path) -> None:
    """Remove a folder if it is there, also with folders in it that nobody may write to: Go makes such."""
    for path, below, _ in os.walk(folder):
        for each in (Path(path, name) for name in below):
            if not each.is_symlink():
                each.chmod(0o700)
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`; the kernel lets go of it when its holder dies."""
    with path.open("w") as file:
        caller.give(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def apt_line(packages: Sequence[str]) -> list[str]:
    """Return the command that installs packages of the system, with sudo for someone who is not root."""
    apt = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    return apt if os.geteuid() == 0 else ["sudo", *apt]


def how_to(one: Contestant, needs: NeedsPackages, options: str = "") -> str:
    """Return what a race says of a contestant whose packages are missing; `options` name its testbed."""
    return f"needs {' '.join(needs.packages)}: {places.COMMAND} install --contestant {shlex.quote(one.spec)}{options}"


def command(contestants: Sequence[str], *, yes: bool, wish: Wish | None = None) -> int:
    """Install contestants, packages of the system included when the user says so; 1 when one could not be."""
    # Not at the top: machines far away, where this module works too, have no rich, and need none of the rest.
    from btgames.report.figures import plain  # noqa: PLC0415
    from btgames.testbeds.wish import ANY, machines_of  # noqa: PLC0415

    everyone = contestant.load(contestants or contestant.DEFAULT, places.CONTESTANTS)
    if machines := machines_of(wish or ANY, print):
        from btgames import far_installing  # noqa: PLC0415

        return far_installing.command(everyone, machines, wish or ANY, yes=yes)
    missing = _install_all(everyone)
    packages = sorted(
        {package for needs in missing.values() if isinstance(needs, NeedsPackages) for package in needs.packages}
    )
    if packages and _may_run(apt_line(packages), yes=yes):
        _apt(packages)
        missing = _install_all([one for one in everyone if one.label in missing])
    for label, why in missing.items():
        print(plain(f"{label}: not installed: {why}"), file=sys.stderr)
    return 1 if missing else 0


def _install_all(everyone: Sequence[Contestant]) -> dict[str, Unsupported]:
    """Install each; return who could not be, and why."""
    missing: dict[str, Unsupported] = {}
    for one in everyone:
        with Wrapper(one) as wrapper:
            try:
                done = ensure(one, wrapper, places.installed(), print)
                print(f"{one.label}: ready in {done.folder}")
            except Unsupported as why:
                missing[one.label] = why
    return missing


def _may_run(argv: Sequence[str], *, yes: bool) -> bool:
    print(f"Packages of the system are needed: {shlex.join(argv)}")
    if yes:
        return True
    if not sys.stdin.isatty():
        print("Say --yes to have this run, or run it yourself.", file=sys.stderr)
        return False
    try:
        return input("Run it now? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _apt(packages: Sequence[str]) -> None:
    argv = apt_line(packages)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        # The one thing that a dying harness leaves to finish: an interrupted dpkg is worse than a late one. Hence no
        # subprocess.run, which kills what it waits for on Ctrl-C. Sudo needs the terminal, to ask for a password.
        process = subprocess.Popen(argv, env=environment, start_new_session=argv[0] != "sudo")
    except OSError as error:
        raise GamesError(
            f"{error.filename} is not here: install {' '.join(packages)} the way this system does"
        ) from error
    if status := process.wait():
        raise GamesError(f"{shlex.join(argv)} ended with status {status}; is an apt-get update due?")
