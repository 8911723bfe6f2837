"""
What a contestant's module may use: the contract, and helpers that make a module read as a recipe.

A module is one file with three functions::

    def install(host, version="1.36.0"): ...   # untimed; may use the internet; the default is the pin
    def torrentfile(host, torrent): ...        # untimed; puts the .torrent where the client wants it; returns its path
    def download(torrentfile, into): ...       # returns the Command; the harness starts, times, stops and checks it

Optional are ``version(host)``, which returns what is really installed, a parameter ``source`` of install (a local
checkout), and the constants TITLE, HOME, LANGUAGE, YEAR, EXITS, YARDSTICK and SLOW (install may take over two minutes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from btgames.errors import CommandFailed, NeedsPackages, Unsupported
from btgames.git_home import git
from btgames.recipes import apt, cargo, go, npm, pip
from btgames.runtimes import SYSTEM_PATH, python27, python_of
from btgames.torrent import Torrent

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SYSTEM_PATH",
    "Command",
    "CommandFailed",
    "Host",
    "NeedsPackages",
    "Torrent",
    "Unsupported",
    "apt",
    "cargo",
    "git",
    "go",
    "npm",
    "pip",
    "python27",
    "python_of",
]


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
