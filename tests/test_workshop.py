"""The workshop on this machine: several contestants made ready together, each judged by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from modules import INSTALL, entry

from btgames.errors import Unsupported
from btgames.workshop import MadeReady, Racer, Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.contestant import Contestant


@pytest.fixture
def everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Contestant]:
    """Return one that works, one whose module is torn, one that is another version than asked for, one that works."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = f"open({str(tmp_path / 'log')!r}, 'a').write('once ')"
    told = f"{INSTALL}def version(host): return '2.0'\n"
    return [
        entry(tmp_path, name="one", install=f"def install(host, version='1'): {log}\n"),
        entry(tmp_path, name="torn", install="def install(:\n"),
        entry(tmp_path, name="old", install=told, version="1.0"),
        entry(tmp_path, name="two", install=told),
    ]


def test_several_are_made_ready_together(everyone: list[Contestant]) -> None:
    """Who can race comes in the place of who asked, with functions that work; who cannot, with the reason."""
    notes: list[str] = []
    with Workshop() as workshop:
        one, torn, old, two = workshop.ready_all(everyone, notes.append)
        assert isinstance(one, Racer)
        assert isinstance(two, Racer)
        assert [racer.wrapper.download("t", "i").argv for racer in (one, two)] == [("get", "t", "i")] * 2
    assert (one.version, two.version, one.installed.before) == ("1", "2.0", False)
    assert "torn.py:3" in str(torn)
    assert str(old) == "version 2.0 is installed, 1.0 was asked for"
    assert not [note for note in notes if "torn" in note]


def test_what_came_of_each_is_told_again(everyone: list[Contestant], tmp_path: Path) -> None:
    """Who was made ready with others is had one by one, nothing being installed or tried a second time."""
    with Workshop() as workshop:
        made = MadeReady(workshop, everyone, lambda _: None)
        racer = made.ready(everyone[0], lambda _: None)
        assert racer is made.ready(everyone[0], lambda _: None)
        with pytest.raises(Unsupported, match=r"torn\.py:3"):
            made.ready(everyone[1], lambda _: None)
        assert made.ready_all(everyone[:1], lambda _: None) == [racer]
        assert made.options == ""
    assert (tmp_path / "log").read_text() == "once "
