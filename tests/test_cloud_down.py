"""Ending fleets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud_fakes import INSTANCE, FakeStack, outputs_of, step

from btgames.cloud import down, engine
from btgames.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

GONE = [step("delete", INSTANCE, "tracker"), step("delete", "aws:ec2/vpc:Vpc", "btgames-dev")]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state folder with the keys of two stacks."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for folder in ("keys", "known_hosts"):
        (tmp_path / "btgames" / folder).mkdir(parents=True)
        for name in ("me-btgames-dev", "me-btgames-other"):
            (tmp_path / "btgames" / folder / name).touch()
    monkeypatch.setattr(engine, "selected", lambda: "dev")
    return tmp_path / "btgames"


def ended(fake: FakeStack, monkeypatch: pytest.MonkeyPatch, *, remove: bool = False) -> int:
    """Run the command on a stack."""
    monkeypatch.setattr(engine, "opened", lambda _: fake)
    return down.command(stack=None, remove=remove)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "half"])
def test_down(whole: bool, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    """Everything is ended and the key forgotten, that of a stack that was only made half, too; nobody else's is."""
    told: dict[str, Any] = outputs_of(key_file=str(state / "keys" / "me-btgames-dev")) if whole else {}
    fake = FakeStack(done=GONE, told=told, config={"btgames:terminated": "client-1", "btgames:hours": "8"})
    assert ended(fake, monkeypatch) == 0
    assert fake.asked == ["destroy"]
    assert capsys.readouterr().out.splitlines() == [
        "  ended instance tracker",
        "  ended vpc btgames-dev",
        "Stack dev: 1 machine ended, nothing is left",
    ]
    for folder in ("keys", "known_hosts"):
        assert [path.name for path in (state / folder).iterdir()] == ["me-btgames-other"]
    assert fake.config == {"btgames:hours": "8"}
    assert fake.workspace.removed == []


def test_remove(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack itself goes if that is asked for."""
    assert state.is_dir()
    fake = FakeStack(told={})
    ended(fake, monkeypatch, remove=True)
    assert fake.workspace.removed == ["dev"]


def test_fails(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it cannot be ended the key stays: there are machines that it opens."""
    fake = FakeStack(told=outputs_of(key_file=str(state / "keys" / "me-btgames-dev")), fails=UserError("no"))
    with pytest.raises(UserError, match="no"):
        ended(fake, monkeypatch)
    assert (state / "keys" / "me-btgames-dev").exists()


def test_none_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stack there is nothing to end; strays may still be."""
    monkeypatch.setattr(engine, "selected", lambda: None)
    with pytest.raises(UserError, match=r"nothing to end\n\./inv leftovers"):
        down.command(stack=None, remove=False)
