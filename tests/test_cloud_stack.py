"""What a stack has, as pulumi tells it; nobody is asked who need not be."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from cloud_fakes import fleet_of, outputs_of

from btgames.cloud import engine, stack
from btgames.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give what pulumi answers: to `stack output`, `stack export` and `stack ls`."""
    answers: dict[str, Any] = {"output": outputs_of(), "export": {}, "ls": [{"name": "dev", "current": True}]}

    def ask(*arguments: str, stack: str = "") -> str:
        assert stack in ("", "dev")
        return json.dumps(answers[arguments[1]])

    monkeypatch.setattr(engine, "ask", ask)
    return answers


def test_fleet(told: dict[str, Any]) -> None:
    """The selected stack's machines can be logged in to: key, user, address, and the host key that we made."""
    assert told
    fleet = stack.fleet()
    assert fleet is not None
    assert [machine.name for machine in fleet.machines] == ["tracker", "seeder-1", "client-1"]
    client = fleet.machine("client-1")
    assert (client.role, client.user, client.port) == ("client", "btgames", 22)
    assert (client.address, client.private_address) == ("203.0.113.7", "198.18.0.7")
    assert client.key_file == fleet.key_file
    assert client.host_key == "ssh-ed25519 client-1"
    assert client.facts == {
        "instance_type": "c7a.large",
        "architecture": "amd64",
        "image_id": "ami-1",
        "instance_id": "i-client-1",
        "region": "us-east-1",
        "zone": "us-east-1b",
    }


def test_words() -> None:
    """A line of output says which stack it is, and how long it lives."""
    assert fleet_of(hours_left=1.5).words == "stack dev, 3 machines in us-east-1b, ending in 1 h 30 min"
    assert fleet_of(hours_left=0.25).words.endswith("ending in 15 min")


def test_cost() -> None:
    """What it has cost so far is its time by its price, and no more once it has ended."""
    assert fleet_of(hours_left=3.0, hours=4.0).cost_usd == pytest.approx(0.3, abs=0.01)
    assert fleet_of(hours_left=-5.0, hours=4.0).cost_usd == pytest.approx(1.2)
    assert fleet_of(hourly_usd=None).cost_usd is None


def test_no_such_machine() -> None:
    """A machine that there is not is answered by the nearest, or by all."""
    with pytest.raises(UserError, match="stack dev has no machine cleint-1 - did you mean client-1"):
        fleet_of().machine("cleint-1")
    with pytest.raises(UserError, match="no machine x; there are tracker, seeder-1, client-1"):
        fleet_of().machine("x")


def test_none_selected(told: dict[str, Any]) -> None:
    """Without a selected stack there is no fleet; where one is needed, the ways to one are told."""
    told["ls"] = [{"name": "dev", "current": False}]
    assert stack.fleet(needed=False) is None
    with pytest.raises(UserError, match=r"no stack is selected\n--stack NAME names one"):
        stack.fleet()


@pytest.mark.parametrize("outputs", [{}, outputs_of(machines=[])], ids=["never", "terminated"])
def test_no_machines(outputs: dict[str, Any], told: dict[str, Any]) -> None:
    """A stack without machines is no fleet."""
    told["output"] = outputs
    assert stack.fleet("dev", needed=False) is None
    with pytest.raises(UserError, match="stack dev has no machines"):
        stack.fleet("dev")


def test_expired(told: dict[str, Any]) -> None:
    """A fleet whose time is over is an error that says what to do, needed or not: never a silent local race."""
    told["output"] = outputs_of(hours_left=-1)
    with pytest.raises(UserError, match=r"the machines of stack dev ended at .*\n\./inv down clears what is left"):
        stack.fleet("dev", needed=False)
    found = stack.read("dev")
    assert found is not None
    assert found.left == dt.timedelta(0)


@pytest.mark.parametrize(
    "deployment",
    [{"resources": [{"type": "aws:ec2/vpc:Vpc"}]}, {"pending_operations": [{"type": "creating"}]}],
    ids=["some", "pending"],
)
@pytest.mark.parametrize("outputs", [{}, {"machines": [{"name": "tracker", "address": None}]}], ids=["none", "half"])
def test_half(outputs: dict[str, Any], deployment: dict[str, Any], told: dict[str, Any]) -> None:
    """A stack that was only made half is an error that says what to do."""
    told["output"], told["export"] = outputs, {"deployment": deployment}
    with pytest.raises(UserError, match=r"stack dev was only made half\n\./inv up goes on with it"):
        stack.fleet("dev", needed=False)


def test_any_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who never made a fleet has no key; a folder without one counts for nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert not stack.any_keys()
    keys = tmp_path / "btgames" / "keys"
    keys.mkdir(parents=True)
    assert not stack.any_keys()
    (keys / "me-btgames-dev").touch()
    assert stack.any_keys()
