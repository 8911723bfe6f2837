"""What ``test``, ``lint`` and ``bench`` do. They need a clone: a wheel carries no tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from btgames import places
from btgames.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A suite is also the name of any module under test: `--suite scenario` runs tests/test_scenario.py.
SUITES = {
    "all": ["-m", "not all_contestants"],
    "unit": ["-m", "not testbed and not cloud and not all_contestants"],  # starts no host: seconds, on any machine
    "testbed": ["-m", "testbed"],  # real namespaces, links and clients
    "cloud": ["-m", "cloud"],  # a stand-in for AWS: Debian machines that boot, the real Pulumi engine
    # Slow builds and git-hosted clients, too, on three sizes, for an hour and more: what goes on is not hidden.
    "all-contestants": ["-m", "all_contestants", "--capture=no"],
}
CHECKED = ["btgames", "infra", "contestants", "tasks.py", "tests", "benchmarks"]
SCRIPTS = ["inv", ".ci/run"]


def test(*, suite: str, expression: str | None, extra: Sequence[str]) -> int:
    """
    Run a suite with pytest and return pytest's exit status.

    Raises:
        UserError: not a clone, unknown suite, or pytest is not installed here.

    """
    root = _clone()
    _need("pytest")
    modules = {path.stem.removeprefix("test_"): [str(path)] for path in sorted((root / "tests").glob("test_*.py"))}
    suites = {**modules, **SUITES}
    if suite not in suites:
        raise UserError(
            f"--suite {suite!r}: no such suite{nearest(suite, suites)}\n"
            f"suites are {', '.join(SUITES)} and the modules under test: {', '.join(modules)}",
        )
    chosen = ["-k", expression] if expression is not None else []
    return _python(root, "-m", "pytest", *suites[suite], *chosen, *extra)


def lint() -> int:
    """
    Run ruff, mypy and, where it is installed, shellcheck over everything; return 1 when one of them complains.

    Raises:
        UserError: not a clone, or the tools are not installed here.

    """
    root = _clone()
    _need("ruff")
    _need("mypy")
    statuses = [
        _python(root, "-m", "ruff", "check", "."),
        _python(root, "-m", "ruff", "format", "--check", "."),
        _python(root, "-m", "mypy", *CHECKED),
    ]
    if shellcheck := shutil.which("shellcheck"):
        statuses.append(subprocess.run([shellcheck, *SCRIPTS], cwd=root, check=False).returncode)
    return int(any(statuses))


def bench(*, only: str | None) -> int:
    """
    Run the benchmarks one after another; return 1 when one of them failed.

    Raises:
        UserError: not a clone, or no benchmark is called `only`.

    """
    root = _clone()
    benchmarks = {path.stem: path for path in sorted((root / "benchmarks").glob("[!_]*.py"))}
    if only is not None and only not in benchmarks:
        raise UserError(
            f"--only {only!r}: no such benchmark{nearest(only, benchmarks)}; there are {', '.join(benchmarks)}"
        )
    failed = False
    for name in benchmarks if only is None else [only]:
        print(f"== {name}", flush=True)
        failed |= bool(_python(root, str(benchmarks[name])))
    return int(failed)


def _clone() -> Path:
    root = places.PACKAGE.parent
    if not (root / "tests").is_dir():
        raise UserError(f"{root} is no clone of the project: test, lint and bench need one, with its own ./inv")
    return root


def _need(tool: str) -> None:
    if importlib.util.find_spec(tool) is None:
        raise UserError(f"{tool} is not installed here; ./inv test and ./inv lint install what they need")


def _python(root: Path, *arguments: str) -> int:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run([sys.executable, *arguments], cwd=root, env=environment, check=False).returncode
