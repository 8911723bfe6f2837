"""Tests run again as someone who is not root, from a copy of the project that everyone may read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

UID = 12345
AS_OTHER = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "env")  # env starts without our rights

# All pure Python: the interpreter may be another one than ours.
_PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "pyroute2", "pytest_timeout", "py")


def run_as_other(root: Path, names: Sequence[str], *, but: str) -> None:
    """Run test files as an unprivileged user; all must pass, but for the one (``name::test``) that asks for this."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become someone else; here everything else ran without it already")
    python = _python()
    place = _readable_copy(root)
    try:
        scratch = place / "scratch"
        scratch.mkdir()
        os.chown(scratch, UID, UID)
        plugins = ("-p", "no:cacheprovider", "-p", "pytest_timeout")
        options = (*plugins, "-q", "--noconftest", f"--basetemp={scratch / 'tmp'}", f"--deselect=tests/{but}")
        done = subprocess.run(
            [*AS_OTHER, python, "-B", "-m", "pytest", *options, *(f"tests/{name}.py" for name in names)],
            cwd=place,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(place),
                "HOME": str(scratch),
                "TMPDIR": str(scratch),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "skipped" not in done.stdout, done.stdout[-2000:]
    finally:
        shutil.rmtree(place)


def _python() -> str:
    """Return an interpreter that another user may run, new enough for the harness."""
    for python in (sys.executable, "/usr/bin/python3"):
        code = "import sys; sys.exit(sys.version_info < (3, 11))"
        if subprocess.run([*AS_OTHER, python, "-I", "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("needs a Python of 3.11 or newer that every user may run")


def _readable_copy(root: Path) -> Path:
    """Copy the project and the packages that its tests need to where everyone may read."""
    place = Path(f"/tmp/btgames-test-{os.getpid()}")  # pytest's own folders are for one user only
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("btgames", "tests"):
        shutil.copytree(root / name, place / name, ignore=ignore)
    shutil.copy(root / "pyproject.toml", place)
    for name in _PACKAGES:
        source = Path(str(import_module(name).__file__))
        if source.name == "__init__.py":
            shutil.copytree(source.parent, place / name, ignore=ignore)
        else:
            shutil.copy(source, place)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place
