"""Benchmarks work and say what they measure; what they find is for people to read."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from games import need_namespaces

ROOT = Path(__file__).parent.parent
NAMES = [path.stem for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))]


@pytest.fixture(autouse=True)
def _in_a_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import and start things as `./inv bench` does."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.mark.parametrize("name", NAMES)
def test_each_is_described(name: str) -> None:
    """A benchmark says at its top what it measures, and docs/benchmarks.md has its target and figures."""
    benchmark = importlib.import_module(f"benchmarks.{name}")

    assert len((benchmark.__doc__ or "").split()) > 20
    assert callable(benchmark.main)
    assert f"`{name}`" in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "most", "least", "fine"),
    [
        ([0.1, 0.2, 9.0], 0.2, None, True),
        ([0.1, 0.3, 0.3], 0.2, None, False),
        ([0.97, 0.5, 0.98], None, 0.97, True),
        ([0.9, 0.96, 0.99], None, 0.97, False),
        ([5.0], None, None, True),
    ],
)
def test_the_median_is_held_against_the_target(
    values: list[float], most: float | None, least: float | None, *, fine: bool
) -> None:
    """One slow run of a busy machine misses no target; half of them do."""
    from benchmarks._figures import Figure  # noqa: PLC0415 - importable only within the fixture

    figure = Figure("it", values, at_most=most, at_least=least)

    assert figure.fine is fine
    assert ("MISSED" in str(figure)) is not fine


def test_a_figure_is_shown_with_its_spread_and_target() -> None:
    """A line has the median, the range, how many there were, the target, and the verdict."""
    from benchmarks._figures import Figure  # noqa: PLC0415 - see above

    line = str(Figure("what", [0.5, 0.25, 0.75], at_least=0.4, percent=True))

    assert line.split() == ["what", "50.0%", "(25.0%", "to", "75.0%,", "3x)", "at", "least", "40.0%", "ok"]


def test_how_busy_the_machine_is_is_told() -> None:
    """It is a share of its processors."""
    from benchmarks._figures import load  # noqa: PLC0415 - see above

    share = load(0.05).removeprefix("before: processors ").removesuffix("% busy")

    assert 0 <= int(share) <= 100


@pytest.fixture
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need_namespaces()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.testbed
@pytest.mark.usefixtures("_own_cache")
def test_the_overhead_of_a_heat_is_all_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The steps that are told add up to what a heat takes beside its client."""
    from benchmarks import harness_overhead  # noqa: PLC0415 - see above

    harness_overhead.measure("small", 1)

    lines = capsys.readouterr().out.splitlines()
    (at,) = (index for index, line in enumerate(lines) if line.startswith("small: added to the client's time"))
    steps = lines[at + 1 :]
    added_ms = float(lines[at].partition("time")[2].split()[0]) * 1e3
    assert len(steps) == len(harness_overhead.STEPS) + 2
    assert sum(float(step.partition(" ms")[0].split()[-1]) for step in steps) == pytest.approx(added_ms, abs=10)


@pytest.mark.testbed
@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize("way", ["bare peer", "bare http"])
def test_a_bare_client_downloads(way: str) -> None:
    """Seeder and web server serve a client that does nothing but ask."""
    from benchmarks import drag  # noqa: PLC0415 - see above
    from benchmarks._figures import track  # noqa: PLC0415 - see above

    with track("small") as bench:
        took = drag.get_bare(bench, way)

    assert took.transfer_s > 2_000_000 * 8 / 250e6 * 0.9  # the link's own time, less a full bucket
    assert took.cpu_s > 0


@pytest.mark.testbed
@pytest.mark.usefixtures("_own_cache")
def test_the_start_of_the_first_heat_is_found() -> None:
    """A race's first heat begins after its interpreter has started, and long before the race has ended."""
    from benchmarks import startup  # noqa: PLC0415 - see above

    assert 0.1 < startup.until_first_heat_s([sys.executable, "-P", "-m", "btgames"], others=()) < 60
