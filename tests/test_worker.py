"""The child process of a contestant's module: what its host does for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from btgames.containment import Cell
from btgames.worker import ModuleHost

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def install_host(folder: Path, uid: int | None) -> ModuleHost:
    """Return the host that install() gets."""
    return ModuleHost(Cell((), uid, str(folder)), str(folder), {}, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs an install as somebody else")
def test_put_for_an_install(tmp_path: Path) -> None:
    """What an install puts belongs to whom its commands run as, new folders included: they build in there."""
    folder = tmp_path / "installed"
    folder.mkdir()
    path = install_host(folder, NOBODY).put("all:\n", "src/deep/Makefile")
    assert path == str(folder / "src" / "deep" / "Makefile")
    assert [(folder / name).stat().st_uid for name in ("src", "src/deep", "src/deep/Makefile")] == [NOBODY] * 3
    assert folder.stat().st_uid == 0


def test_put_over_a_link(tmp_path: Path) -> None:
    """A symlink of the name that is put is replaced, not followed."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "installed"
    folder.mkdir()
    (folder / "tool").symlink_to(outside)
    install_host(folder, None).put("#!/bin/sh\n", "tool", mode=0o755)
    assert outside.read_text() == "mine"
    assert (folder / "tool").read_text() == "#!/bin/sh\n"
    assert (folder / "tool").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../outside", "/../outside", "a/../../outside", "."])
def test_put_outside(tmp_path: Path, name: str) -> None:
    """Nothing is put outside the folder."""
    with pytest.raises(ValueError, match="lies outside the folder"):
        install_host(tmp_path, None).put("x", name)
