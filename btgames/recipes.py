"""
What makes a contestant's install() read as a recipe: from Debian, PyPI, npm, Go's and Rust's registries.

All of it lands in the contestant's own directory, unprivileged; only apt is the system's, and that is never run here.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import runtimes
from btgames.errors import NeedsPackages, Unsupported
from btgames.runtimes import SYSTEM_PATH

if TYPE_CHECKING:
    from btgames.contract import Host
    from btgames.runtimes import Found

BUILD_S = 3500.0
"""Time limit of one build: a little less than an install has in all."""

_BUILD = "build"
"""Folder of sources and caches that a build needs and a race does not; gone when it is done."""


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


def npm(host: Host, *packages: str, least: tuple[int, ...] = (18,), scripts: bool = False) -> None:
    """
    Install packages of npm; their programs land in ``bin``, beside the ``node`` that runs them.

    Args:
        host: as given to install().
        packages: as npm understands them, ``name@version``.
        least: the oldest Node.js that will do, such as (18,) or (22, 4).
        scripts: whether the packages' install scripts run; many fetch binaries of their own, which a package that
            works without should not.

    Raises:
        Unsupported: there is no such Node.js, or no npm.
        CommandFailed: npm failed, with its last lines.

    """
    node = runtimes.find(runtimes.NODE, least)
    script = _npm(node)
    host.needs(node.prefix)
    host.needs(str(script.parent.parent))
    host.run("mkdir", "-p", f"{host.installed}/bin")
    host.run("ln", "-s", node.path, f"{host.installed}/bin/node")
    options = ["--global", f"--prefix={host.installed}", "--no-audit", "--no-fund", "--no-update-notifier"]
    ignore = [] if scripts else ["--ignore-scripts"]
    cache = {"NPM_CONFIG_CACHE": f"{host.installed}/{_BUILD}"}
    host.run(node.path, script, "install", *options, *ignore, *packages, env=cache, timeout_s=BUILD_S)
    host.run("rm", "-rf", _BUILD)


def _npm(node: Found) -> Path:
    """Return npm's program, a script for Node.js: the one beside it, else the first on PATH."""
    for folder in [Path(node.folder), *runtimes.path_folders()]:
        # npm's own is a symlink to a script of this name; a version manager's asks for settings of the user's.
        if os.access(folder / "npm", os.R_OK) and (script := (folder / "npm").resolve()).name == "npm-cli.js":
            return script
    raise Unsupported(f"needs npm: none beside {node.path} or on PATH ({runtimes.NODE.hint})")


def go(host: Host, *words: str, least: tuple[int, ...] = (1, 21), cgo: bool = False) -> None:
    """
    Run a command of Go's; what ``go install`` builds lands in ``bin``.

    ``go(host, "install", "example.org/client@v1.2.3")``; in a source of its own: ``go(host, "-C", "src", "install")``.

    Args:
        host: as given to install().
        words: the command, without ``go``.
        least: the oldest Go that will do.
        cgo: whether packages in C are built, which needs a C compiler.

    Raises:
        Unsupported: there is no such Go.
        CommandFailed: it failed, with its last lines.

    """
    found = runtimes.find(runtimes.GO, least)
    host.needs(found.prefix)
    build = f"{host.installed}/{_BUILD}"
    env = {
        "GOBIN": f"{host.installed}/bin",
        "GOPATH": f"{build}/go",
        "GOCACHE": f"{build}/cache",
        "GOTOOLCHAIN": "local",  # the one that was found, and none that it would fetch by itself
        "CGO_ENABLED": str(int(cgo)),
    }
    host.run("mkdir", "-p", _BUILD)
    host.run(found.path, *words, env=env, timeout_s=BUILD_S)
    host.run("chmod", "-R", "u+w", _BUILD)  # Go keeps modules read-only
    host.run("rm", "-rf", _BUILD)


def cargo(host: Host, crate: str, version: str, *options: str, least: tuple[int, ...] = (1, 75)) -> None:
    """
    Build a crate's programs, with the versions of its own lock file, into ``bin``.

    Args:
        host: as given to install().
        crate: its name.
        version: exactly this one.
        options: more of ``cargo install``'s, such as ``--features=...``.
        least: the oldest Rust that will do.

    Raises:
        Unsupported: there is no such Rust, or no linker.
        CommandFailed: cargo failed, with its last lines.

    """
    apt(host, "gcc", "libc6-dev", program="cc")  # which links
    found = runtimes.find(runtimes.RUST, least)
    host.needs(found.prefix)
    build = f"{host.installed}/{_BUILD}"
    env = {
        "PATH": f"{found.folder}:{SYSTEM_PATH}",
        "CARGO_HOME": f"{build}/cargo",
        "CARGO_TARGET_DIR": f"{build}/target",
    }
    exact = ["--locked", "--root", host.installed, "--version", f"={version}"]
    host.run(found.path, "install", *exact, *options, crate, env=env, timeout_s=BUILD_S)
    host.run("rm", "-rf", _BUILD)


def _prefix(python: str) -> str:
    """Return the directory tree that an interpreter lives in: PREFIX/bin/python."""
    return str(Path(python).resolve().parent.parent)
