"""Real races as an unprivileged user, from a copy of the project with an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from games import need_namespaces
from unprivileged import AS_OTHER, UID

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.testbed, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone else")]

SYSTEM_PYTHON = "/usr/bin/python3"
NOT_NEEDED = ("__pycache__", "mypy*", "ruff*", "pip*", "setuptools*", "*librt*")
TESTS = (
    "tests/test_games.py",
    "tests/test_bad_luck.py::test_a_swarm_that_dies_once[nsenter]",
    "tests/test_bad_luck.py::test_ctrl_c",
    "tests/test_bad_input.py::test_no_namespaces",
    "tests/test_bad_input.py::test_too_little_memory",
    *(f"tests/test_kill.py::test_whoever_is_killed[{who}]" for who in ("harness", "keeper", "cell")),
)
SAME_FOR_ALL = "rounds or retirement or leaderboards or dry_run"  # whoever runs them


@pytest.fixture
def copy(root: Path) -> Iterator[Path]:
    """Return a copy of the project that everyone may read; pytest's own folders are for one user only."""
    with tempfile.TemporaryDirectory(prefix="btgames-test-") as name:
        place = Path(name)
        ignore = shutil.ignore_patterns(*NOT_NEEDED)
        for folder in ("btgames", "tests", "scenarios", "contestants"):
            shutil.copytree(root / folder, place / folder, ignore=ignore)
        for file in ("tasks.py", "pyproject.toml"):
            shutil.copy(root / file, place)
        (place / "scratch").mkdir()
        _environment(place / ".venv")
        for path in [place, *place.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.chown(place / "scratch", UID, UID)
        yield place


def _environment(venv: Path) -> None:
    """Make an environment of the system's Python with our packages; skip where they are of another Python."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    asked = [SYSTEM_PYTHON, "-I", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
    if not Path(SYSTEM_PYTHON).exists() or subprocess.check_output(asked, text=True).strip() != version:
        pytest.skip(f"needs {SYSTEM_PYTHON} to be of our own version, {version}")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    site = Path("lib", version, "site-packages")
    shutil.copytree(Path(sys.prefix, site), venv / site, ignore=shutil.ignore_patterns(*NOT_NEEDED), dirs_exist_ok=True)


def test_races_of_an_unprivileged_user(copy: Path) -> None:
    """Someone who is not root can run all kinds of races, with the same outcomes, and leaves as little behind."""
    need_namespaces()
    scratch = copy / "scratch"
    options = ("-p", "no:cacheprovider", "-q", f"--basetemp={scratch / 'tmp'}", "-k", f"not ({SAME_FOR_ALL})")
    done = subprocess.run(
        [*AS_OTHER, copy / ".venv/bin/python", "-B", "-m", "pytest", *options, *TESTS],
        cwd=copy,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(scratch), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout, done.stdout[-2000:]
