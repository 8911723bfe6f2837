"""Where things are, in a clone and in an installed wheel."""

from __future__ import annotations

import importlib.util
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import places

if TYPE_CHECKING:
    from types import ModuleType

    import pytest


def copied(folder: Path) -> ModuleType:
    """Return places as it finds itself in `folder`."""
    copy = shutil.copy(places.PACKAGE / "places.py", folder)
    spec = importlib.util.spec_from_file_location("copied_places", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_clone(root: Path) -> None:
    """In a clone tasks, contestants and scenarios stand beside the package."""
    assert (root / "tasks.py", root / "contestants", root / "scenarios") == (
        places.TASKS,
        places.CONTESTANTS,
        places.SCENARIOS,
    )
    assert places.TASKS.is_file()


def test_wheel(root: Path, tmp_path: Path) -> None:
    """What the wheel packs is what is looked for in it."""
    (tmp_path / "btgames" / "packed").mkdir(parents=True)
    module = copied(tmp_path / "btgames")
    targets = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    packed = {tmp_path / place for place in targets["wheel"]["force-include"].values()}
    assert packed == {module.TASKS, module.CONTESTANTS, module.SCENARIOS}
    assert all((root / source).exists() for source in targets["wheel"]["force-include"])


def test_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed things live in the cache of the user, or of a home that is named; XDG_CACHE_HOME overrules."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert places.installed(Path("/home/x")) == Path("/home/x/.cache/btgames/installed")
    assert places.installed() == Path.home() / ".cache/btgames/installed"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert places.installed(Path("/home/x")) == Path("/caches/btgames/installed")
