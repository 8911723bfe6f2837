"""What all tests share: where the clone is, and CI's rule that a skip is a failure."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# Who runs the tests in the background has SIGINT ignored, and so would all that they start; some are about Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Skips that BTGAMES_NO_SKIP lets pass: a pattern for the reason -> why a CI machine cannot have what it names.
ALLOWED_SKIPS: dict[str, str] = {
    r"anacrolix is not installed": "it compiles for minutes; the suite all-contestants has it",
    r"needs CPython 3\.6": "Debian has none, and pyenv builds one in minutes",
}


def forbidden_skip(longrepr: object) -> str | None:
    """Return the reason of a skip (pytest's file, line, reason) that CI does not accept, None for one that it does."""
    if os.environ.get("BTGAMES_NO_SKIP") != "1":
        return None
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    reason = reason.removeprefix("Skipped: ")
    return None if any(re.search(pattern, reason) for pattern in ALLOWED_SKIPS) else reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped where BTGAMES_NO_SKIP=1."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and (reason := forbidden_skip(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which BTGAMES_NO_SKIP=1 forbids: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a whole file that was skipped where BTGAMES_NO_SKIP=1."""
    report = yield
    if report.skipped and (reason := forbidden_skip(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, which BTGAMES_NO_SKIP=1 forbids: {reason}"
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the clone's folder."""
    return Path(__file__).parent.parent
