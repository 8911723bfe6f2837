"""
What contestants are run and built by: interpreters and compilers, found where users have them.

That is PATH, where their own version managers put them, and the system's folders. What is missing or too old is one
line: what is needed, and how to get it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import bullseye
from btgames.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.contract import Host

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""Where a contestant's programs are looked up after what was installed for it."""

ANSWER_S = 20.0
"""How long a runtime may take to tell its version; Go's first answer reads its whole environment."""


@dataclass(frozen=True)
class Place:
    """Folders where a version manager, or a system, puts runtimes."""

    root: str  # ~ is the user's home
    pattern: str  # of folders beneath it, those that hold the program
    variable: str = ""  # of the environment: names another root, for those who have moved it


@dataclass(frozen=True)
class Runtime:
    """A kind of runtime: how to find one and what to say where there is none."""

    title: str
    program: str
    ask: str  # the argument that has it tell its version
    places: tuple[Place, ...]  # to look in after PATH
    hint: str  # how to get it


NODE = Runtime(
    "Node.js",
    "node",
    "--version",
    (
        Place("~/.nvm", "versions/node/*/bin", "NVM_DIR"),
        Place("~/.local/share/fnm", "node-versions/*/installation/bin", "FNM_DIR"),
        Place("~/.volta", "tools/image/node/*/bin", "VOLTA_HOME"),
        Place("~/.asdf", "installs/nodejs/*/bin", "ASDF_DATA_DIR"),
    ),
    "on Debian: apt-get install nodejs npm",
)
GO = Runtime(
    "Go",
    "go",
    "version",
    (
        Place("/usr/local/go", "bin", "GOROOT"),
        Place("/usr/lib", "go-*/bin"),
        Place("~/sdk", "go*/bin"),
        Place("~/.asdf", "installs/golang/*/go/bin", "ASDF_DATA_DIR"),
    ),
    "on Debian: apt-get install golang; newer ones from Go's own page",
)
RUST = Runtime(
    "Rust",
    "cargo",
    "--version",
    (Place("~/.rustup", "toolchains/[1-9s]*/bin", "RUSTUP_HOME"),),  # numbers and stable; no nightlies
    "by rustup, or on Debian: apt-get install cargo",
)


@dataclass(frozen=True)
class Found:
    """A runtime that is there."""

    path: str  # of its program, symlinks resolved
    version: tuple[int, ...]

    @property
    def folder(self) -> str:
        """Where its program lies, beside others of its kind."""
        return str(Path(self.path).parent)

    @property
    def prefix(self) -> str:
        """The directory tree that it lives in: PREFIX/bin/PROGRAM."""
        return str(Path(self.path).parent.parent)


def find(runtime: Runtime, least: tuple[int, ...]) -> Found:
    """
    Return a runtime of at least this version: the first on PATH, else the newest of the first place that has one.

    Raises:
        Unsupported: there is none, or those that are there are too old; says what is needed and how to get it.

    """
    seen = []
    for path in _candidates(runtime):
        version = _version(runtime, path)
        if version >= least:
            return Found(path, version)
        seen.append(f"{path} is {_dotted(version)}" if version else f"{path} does not tell its version")
    there = "; ".join(seen) or f"no {runtime.program} on PATH or where it usually is"
    raise Unsupported(f"needs {runtime.title} {_dotted(least)} or later: {there} ({runtime.hint})")


def _candidates(runtime: Runtime) -> Iterator[str]:
    seen = set()
    for folder in [*path_folders(), *_elsewhere(runtime.places)]:
        path = folder / runtime.program
        if os.access(path, os.X_OK) and (real := path.resolve()) not in seen and not _is_proxy(path, runtime.program):
            seen.add(real)
            yield str(real)


def _is_proxy(path: Path, program: str) -> bool:
    """Tell whether it is a version manager under the program's name, which would ask for settings of the user's."""
    # Volta and snap have symlinks to a program of another name, rustup has these or hard links.
    return path.resolve().name != program or ((own := path.with_name("rustup")).exists() and path.samefile(own))


def path_folders() -> list[Path]:
    """Return the folders of the user's PATH and the system's, without shims: scripts that ask a version manager."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *SYSTEM_PATH.split(os.pathsep)]
    return [Path(folder) for folder in folders if folder and Path(folder).name != "shims"]


def _elsewhere(places: tuple[Place, ...]) -> Iterator[Path]:
    for place in places:
        root = Path(os.environ.get(place.variable) or place.root).expanduser()
        with contextlib.suppress(OSError):  # somebody else's home: nothing to be found there
            yield from sorted(root.glob(place.pattern), key=lambda folder: _numbers(str(folder)), reverse=True)


def _version(runtime: Runtime, path: str) -> tuple[int, ...]:
    """Return what version a program says it is; empty where it says nothing of the kind."""
    try:
        answer = subprocess.run(
            [path, runtime.ask], capture_output=True, text=True, timeout=ANSWER_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\d+(\.\d+)+", answer.stdout)
    return _numbers(found[0]) if found else ()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def python_of(version: str) -> str:
    """
    Return the path of an interpreter such as ``2.7``: on PATH, or one that pyenv built.

    Raises:
        Unsupported: there is none.

    """
    name = f"python{version}"
    pyenv = Place("~/.pyenv", f"versions/{version}*/bin", "PYENV_ROOT")
    for folder in [*path_folders(), *_elsewhere((pyenv,))]:
        if os.access(folder / name, os.X_OK):
            return str((folder / name).resolve())
    raise Unsupported(f"needs CPython {version}: no {name} on PATH or under pyenv (pyenv install {version})")


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
