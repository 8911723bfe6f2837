"""`test`, `lint` and `bench`, and CI's rule that a skip is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from btgames import development, places
from btgames.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def test_suite(capfd: pytest.CaptureFixture[str]) -> None:
    """A suite is a module under test, narrowed by an expression; the status is pytest's."""
    assert development.test(suite="places", expression="test_clone", extra=["-p", "no:cacheprovider"]) == 0
    assert "1 passed" in capfd.readouterr().out
    nothing_selected = 5
    assert development.test(suite="places", expression="xyzzy", extra=[]) == nothing_selected


@pytest.mark.parametrize(
    ("only", "says", "status"),
    [("fine", ["== fine", "fast"], 0), (None, ["== fast", "fails", "== fine", "fast"], 1)],
)
def test_bench(
    only: str | None,
    says: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Benchmarks run one after another, or only the one named; one that fails does not stop the others."""
    for folder in ("tests", "benchmarks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "benchmarks" / "fast.py").write_text("print('fails'); raise SystemExit(3)")
    (tmp_path / "benchmarks" / "fine.py").write_text("print('fast')")
    (tmp_path / "benchmarks" / "_shared.py").write_text("print('no benchmark')")
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "btgames")
    assert development.bench(only=only) == status
    assert capfd.readouterr().out.splitlines() == says


def test_unknown_suite() -> None:
    """An unknown suite is answered by the nearest name and all names."""
    with pytest.raises(UserError, match="'progam': no such suite - did you mean program") as raised:
        development.test(suite="progam", expression=None, extra=[])
    assert "all, unit, testbed" in str(raised.value)


def test_unknown_benchmark() -> None:
    """An unknown benchmark is answered by the names of those that there are."""
    with pytest.raises(UserError, match="--only 'xyzzy': no such benchmark"):
        development.bench(only="xyzzy")


def test_no_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an installed wheel, which has no tests, a plain line says what they need."""
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "btgames")
    for task in (development.lint, lambda: development.bench(only=None)):
        with pytest.raises(UserError, match="is no clone of the project"):
            task()


SKIPPING = """
import pytest

def test_fine():
    pass

@pytest.mark.skip(reason="needs a unicorn")
def test_skipped():
    pass

@pytest.mark.skip(reason="needs a dragon")
def test_allowed():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_expected():
    assert False
"""


@pytest.mark.parametrize(("forbidden", "passed"), [("", True), ("1", False)])
def test_skips_are_failures(forbidden: str, passed: bool, root: Path, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of a test
    """BTGAMES_NO_SKIP=1 makes a failure of a skipped test and of a skipped file, but for reasons that are allowed."""
    conftest = (root / "tests" / "conftest.py").read_text()
    allowing = conftest.replace("ALLOWED_SKIPS: dict[str, str] = {", "ALLOWED_SKIPS = {r'a dragon$': 'extinct', ")
    assert allowing != conftest
    (tmp_path / "conftest.py").write_text(allowing)
    (tmp_path / "test_some.py").write_text(SKIPPING)
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "BTGAMES_NO_SKIP": forbidden},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode == 0) is passed
    if not passed:
        assert "test_some.py::test_skipped was skipped, which BTGAMES_NO_SKIP=1 forbids: needs a unicorn" in ran.stdout
        assert (
            "test_file.py was skipped, which BTGAMES_NO_SKIP=1 forbids: could not import 'no_such_module'" in ran.stdout
        )
        assert "1 passed, 1 skipped, 1 xfailed, 2 errors" in ran.stdout
