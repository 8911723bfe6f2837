"""Uninstalling: all of whom was named and nothing else, and not under the hands of an install."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from modules import entry

from btgames import install_folder, installing, places, uninstalling
from btgames.errors import UserError
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

PUT = 'def install(host, version="1"): host.put(bytes(2_000_000), "it")\n'


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of installed things: of `mine` in two versions, a remnant of it, and `other`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(places, "CONTESTANTS", tmp_path / "ship")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ship").mkdir()
    base = places.installed()
    for name, version in (("mine", "1"), ("mine", "2"), ("other", None)):
        one = entry(tmp_path / "ship", name=name, install=PUT, version=version)
        with Wrapper(one) as wrapper:
            installing.ensure(one, wrapper, base, lambda _: None)
    (base / install_folder.stem("mine", "0" * 12)).mkdir()
    return base


def left(base: Path) -> set[str]:
    """Return the names of contestants of which anything is left."""
    return {path.name.rpartition("-")[0] for path in base.iterdir()}


@pytest.mark.parametrize("spec", ["mine", "./ship/mine.py", "ship/mine.py"])
def test_all_of_a_contestant_goes(base: Path, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By name or path: every version and remnant, and nothing of others."""
    assert uninstalling.command([spec]) == 0
    assert left(base) == {"other"}
    assert capsys.readouterr().out == "mine: uninstalled, 4.0 MB freed\n"
    assert uninstalling.command([spec]) == 0
    assert capsys.readouterr().out == "mine: nothing of it is installed\n"


@pytest.mark.parametrize("specs", [["all"], ["other", "mine", "other"]])
def test_several_go(base: Path, specs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """All, or those that are named, each once; then what it frees in all is told."""
    assert uninstalling.command(specs) == 0
    assert list(base.iterdir()) == []
    assert capsys.readouterr().out.endswith("Freed in all: 6.0 MB\n")


@pytest.mark.parametrize("spec", ["mine", "./ship/mine.py"])
def test_whose_module_is_gone_can_be_removed(base: Path, tmp_path: Path, spec: str) -> None:
    """What no module names any more goes by its name, or by the path that it had."""
    (tmp_path / "ship" / "mine.py").unlink()
    assert uninstalling.command([spec]) == 0
    assert left(base) == {"other"}


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([], r"whom\? --contestant NAME, or `all`; installed in .*: mine, other"),
        (["othre"], "did you mean other"),
        (["mine@7"], "mine@7: all versions go together; give its name alone"),
        (["a=mine"], "give its name alone"),
        (["mine:src"], "give its name alone"),
    ],
)
def test_whom_it_does_not_know(base: Path, specs: list[str], words: str) -> None:
    """Nobody named, or one who is neither installed nor a contestant: a user's mistake, and nothing goes."""
    with pytest.raises(UserError, match=words):
        uninstalling.command(specs)
    assert left(base) == {"mine", "other"}


def test_what_is_being_installed_stays(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is being installed at the moment is not torn: it is said, the status is 1, and others go all the same."""
    (stem,) = install_folder.stems(base)["other"]
    with install_folder.locked(base / stem, lambda: None):
        assert uninstalling.command(["other", "mine"]) == 1
    assert left(base) == {"other"}
    assert installing.recorded(base / stem) is not None
    assert capsys.readouterr().err == "other: is being installed, and stays\n"


def test_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was ever installed that is no failure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert uninstalling.command(["all"]) == 0
    assert uninstalling.command(["http"]) == 0
    assert capsys.readouterr().out == "Freed in all: 0.0 MB\nhttp: nothing of it is installed\n"
    assert list(tmp_path.iterdir()) == []
