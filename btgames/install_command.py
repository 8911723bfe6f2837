"""``install``: contestants ahead of a race, with the packages of the system that they need when the user says so."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from btgames import contestant, install_folder, installing, places
from btgames.errors import GamesError, NeedsPackages, Unsupported, UserError
from btgames.report.figures import plain
from btgames.testbeds.wish import ANY, Wish, machines_of
from btgames.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from btgames.contestant import Contestant


def command(contestants: Sequence[str], *, yes: bool, wish: Wish = ANY) -> int:
    """Install contestants, packages of the system included when the user says so; 2 when one could not be."""
    everyone = contestant.load(contestants or contestant.DEFAULT, places.CONTESTANTS)
    if machines := machines_of(wish, print):
        from btgames import far_installing  # noqa: PLC0415 - what SSH needs is there only then

        return far_installing.command(everyone, machines, wish, yes=yes)
    missing = _install_all(everyone)
    packages = sorted(
        {package for needs in missing.values() if isinstance(needs, NeedsPackages) for package in needs.packages}
    )
    if packages and _may_run(apt_line(packages), yes=yes):
        _apt(packages)
        missing = _install_all([one for one in everyone if one.label in missing])
    print(_total(places.installed()))
    for label, why in missing.items():
        print(plain(f"{label}: not installed: {why}"), file=sys.stderr)
    return UserError.status if missing else 0


def _install_all(everyone: Sequence[Contestant]) -> dict[str, Unsupported]:
    """Install each; return who could not be, and why."""
    missing: dict[str, Unsupported] = {}
    with Workshop() as workshop:
        made = workshop.ready_all(everyone, lambda text: print(plain(text), flush=True))
    for one, each in zip(everyone, made, strict=True):
        if isinstance(each, Unsupported):
            missing[one.label] = each
        else:
            print(plain(f"{one.label}: ready in {each.installed.folder}"))
    return missing


def _total(base: Path) -> str:
    """Return how much is installed here, and where."""
    whole = [
        there
        for stems in install_folder.stems(base).values()
        for stem in stems
        if (there := installing.recorded(base / stem)) is not None
    ]
    taken = install_folder.megabytes(sum(each.bytes for each in whole))
    return plain(f"Installed on this machine: {len(whole)}, {taken} in {base}")


def apt_line(packages: Sequence[str]) -> list[str]:
    """Return the command that installs packages of the system, with sudo for someone who is not root."""
    apt = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    return apt if os.geteuid() == 0 else ["sudo", *apt]


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
