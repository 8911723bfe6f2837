"""Programs of ours that run on this machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btgames.hosts.here import Here

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_users_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A json.py in the folder from which somebody races does not stand in for Python's own."""
    (tmp_path / "json.py").write_text("raise SystemExit('not the real one')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    here = Here()

    process = here.start([here.python, "-c", "import json; print(json.__name__)"])

    try:
        assert process.receive(20.0) == b"json\n"
    finally:
        process.stop(grace_s=0)
