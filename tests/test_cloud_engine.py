"""Asking the pulumi of this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keys import key_file

from btgames import places
from btgames.cloud import engine
from btgames.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a pulumi that prints its arguments, alone on PATH."""
    path = tmp_path / "pulumi"
    path.write_text('#!/bin/sh\necho "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return path


def test_ask(pulumi: Path) -> None:
    """It is asked without a terminal, where Pulumi.yaml is."""
    assert engine.binary() == str(pulumi)
    assert engine.ask("stack", "ls", "--json") == "stack ls --json --non-interactive\n"


def test_fails(pulumi: Path) -> None:
    """What it says when it fails is put into words."""
    pulumi.write_text("#!/bin/sh\necho \"error: no stack named 'x' found\" >&2\nexit 3\n")
    with pytest.raises(UserError, match="there is no stack x"):
        engine.ask("stack", "output")


def test_selected(pulumi: Path) -> None:
    """The selected stack is the current one; there may be none."""
    pulumi.write_text('#!/bin/sh\necho \'[{"name": "a", "current": false}, {"name": "b", "current": true}]\'\n')
    assert engine.selected() == "b"
    pulumi.write_text("#!/bin/sh\necho '[]'\n")
    assert engine.selected() is None


def test_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pulumi two lines say how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"pulumi is not on PATH.*\nget it: ") as raised:
        engine.ask("stack", "ls")
    assert raised.value.status == 2


def test_no_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package has no Pulumi.yaml: the cloud needs a clone."""
    monkeypatch.setattr(engine, "ROOT", tmp_path)
    with pytest.raises(UserError, match="needs a clone of the project"):
        engine.binary()


def test_one_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program keeps keys where we look for them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert key_file("me", "btgames", "dev").parent == places.state() / "keys"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert key_file("me", "btgames", "dev").parent == places.state() / "keys"
