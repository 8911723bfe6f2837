"""The map of the package names what there is, and nothing else."""

from __future__ import annotations

import re

import btgames
from btgames import places

PAGE = 50  # lines


def named() -> set[str]:
    """Return what the map names: ``race.py``, ``report/``."""
    return set(re.findall(r"(?<![\w/])(\w+(?:\.py|/))", btgames.__doc__ or ""))


def test_everything_is_named() -> None:
    """Each module and each package is on the map."""
    modules = {path.name for path in places.PACKAGE.glob("[!_]*.py")}
    packages = {f"{path.parent.name}/" for path in places.PACKAGE.glob("*/__init__.py")}
    assert not (modules | packages) - named()


def test_nothing_else_is_named() -> None:
    """What the map names is there, in the package or beside it."""
    folders = (places.PACKAGE, places.TASKS.parent)
    assert not {name for name in named() if not any((folder / name).exists() for folder in folders)}


def test_one_page() -> None:
    """The map fits on a page."""
    assert len((btgames.__doc__ or "").splitlines()) < PAGE
