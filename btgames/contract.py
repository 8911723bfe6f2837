"""
What a contestant's module may use: the contract, and helpers that make a module read as a recipe.

A module is one file with three functions::

    def install(host, version="1.36.0"): ...   # untimed; may use the internet; the default is the pin
    def torrentfile(host, torrent): ...        # untimed; puts the .torrent where the client wants it; returns its path
    def download(torrentfile, into): ...       # returns the Command; the harness starts, times, stops and checks it

Optional are ``version(host)``, which returns what is really installed, a parameter ``source`` of install (a local
checkout), and the constants TITLE, HOME, LANGUAGE, YEAR, EXITS, YARDSTICK and SLOW (install takes over two minutes).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from btgames import bullseye
from btgames.errors import Unsupported
from btgames.torrent import Torrent

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Command",
    "CommandFailed",
    "Host",
    "NeedsPackages",
    "Torrent",
    "Unsupported",
    "apt",
    "pip",
    "python27",
    "python_of",
]


SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""Where a contestant's programs are looked up after what was installed for it."""


@dataclass(frozen=True, init=False)
class Command:
    """
    What to run: an argument list, never a shell string (but see `shell`).

    ``Command("aria2c", "--dir", into, torrentfile)``. Programs are looked up in what was installed (``venv/bin``,
    ``bin``), then in the system's folders. `env` is added to a small environment; `cwd` is the download directory
    unless said otherwise.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None

    def __init__(self, *argv: object, env: Mapping[str, str] | None = None, cwd: str | None = None) -> None:
        if not argv:
            raise TypeError("a Command needs at least a program")
        object.__setattr__(self, "argv", tuple(str(word) for word in argv))
        object.__setattr__(self, "env", {str(name): str(value) for name, value in (env or {}).items()})
        object.__setattr__(self, "cwd", None if cwd is None else str(cwd))

    @classmethod
    def shell(cls, text: str, *, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Self:
        """Return a Command of several steps, in the words of POSIX sh."""
        return cls("/bin/sh", "-c", text, env=env, cwd=cwd)


class NeedsPackages(Unsupported):
    """It cannot run until packages of the system are installed, which only happens when the user says so."""

    def __init__(self, *packages: str) -> None:
        super().__init__(f"needs packages of the system: {' '.join(packages)}")
        self.packages = packages


class CommandFailed(Unsupported):
    """A command of `Host.run` failed: an outcome in a race, but for `check` not the contestant's own word."""


class Host(Protocol):
    """The host as a contestant's module sees it: during install this machine, else the client host of a heat."""

    @property
    def installed(self) -> str:
        """The directory of installed things: writable in install(), read-only in a race."""

    @property
    def folder(self) -> str:
        """Where `put` puts: the same directory in install(), a fresh one for each heat in torrentfile()."""

    def run(self, *argv: object, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> str:
        """
        Run a command, unprivileged and contained, in `folder`; return what it printed.

        Raises:
            CommandFailed: it failed or took too long; the message ends with the last lines that it printed.

        """

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:
        """Write a file named `name` beneath `folder` and return its path."""

    def needs(self, path: str) -> None:
        """Let the contestant see a directory of this machine, read-only: a runtime under someone's home, say."""


def apt(host: Host, *packages: str, program: str) -> None:
    """
    See that `program` is there; if it is not, say which of Debian's packages bring it.

    They are installed by ``./inv install`` after asking, never by a race.

    Raises:
        NeedsPackages: the program is missing.

    """
    del host  # the same on every host: packages are the system's
    if shutil.which(program, path=SYSTEM_PATH) is None:
        raise NeedsPackages(*packages)


def pip(host: Host, *requirements: str, python: str = "") -> None:
    """
    Install packages of PyPI into a virtual environment of the contestant's own, ``venv`` in what is installed.

    Args:
        host: as given to install().
        requirements: as pip understands them, ``name==version``.
        python: the interpreter; "" is the one that runs the race. One older than 3.8 gets its environment from
            virtualenv, which no longer makes them since 20.22.

    Raises:
        CommandFailed: pip failed, with its last lines.

    """
    base = python or str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
    host.needs(_prefix(base))
    venv = f"{host.installed}/venv"
    if python:
        maker = str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
        host.needs(_prefix(maker))
        host.run(maker, "-m", "venv", f"{host.installed}/maker")
        host.run(f"{host.installed}/maker/bin/pip", "install", "--quiet", "virtualenv<20.22")
        host.run(f"{host.installed}/maker/bin/virtualenv", "--quiet", "--python", base, venv)
    else:
        host.run(base, "-m", "venv", venv)
    host.run(f"{venv}/bin/pip", "install", "--quiet", "--no-input", *requirements)


def python_of(version: str) -> str:
    """
    Return the path of an interpreter such as ``2.7``: on PATH, or one that pyenv built.

    Raises:
        Unsupported: there is none.

    """
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    # pyenv's shims are scripts that ask pyenv; what they would choose lies in its versions.
    folders = [folder for folder in folders if folder.name != "shims"]
    with contextlib.suppress(OSError):  # somebody else's home: nothing to be found there
        folders += sorted(pyenv.glob(f"versions/{version}*/bin"), reverse=True)
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return str((folder / name).resolve())
    raise Unsupported(f"needs CPython {version}: no {name} on PATH or under pyenv")


def python27(host: Host) -> str:
    """
    Return the path of a CPython 2.7: the one that `python_of` finds, else Debian 11's, unpacked in what is installed.

    Raises:
        Unsupported: there is none, and Debian's cannot be had.

    """
    try:
        return python_of("2.7")
    except Unsupported:
        if not all(shutil.which(program, path=SYSTEM_PATH) for program in ("apt-get", "dpkg-deb")):
            raise
    return bullseye.unpack(host)


def _prefix(python: str) -> str:
    """Return the directory tree that an interpreter lives in: PREFIX/bin/python."""
    return str(Path(python).resolve().parent.parent)
