"""What a fleet has, and what state it is in."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest
from cloud_fakes import fleet_of
from moto import mock_aws

from btgames.cloud import engine, hosts
from btgames.errors import UserError

if TYPE_CHECKING:
    from btgames.hosts.remote import Remote


@pytest.fixture(autouse=True)
def nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no real account is asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def at(port: int) -> Remote:
    """Return a machine whose SSH would be on that port of this one."""
    return replace(fleet_of().machines[0], address="127.0.0.1", port=port)


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Each machine is a line; below, the time that is left and what it has cost."""
    hosts.show(fleet_of(hours_left=1.5), lambda machines: {machines[0].name: "answers"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "role", "type", "address", "private", "state"]
    assert lines[1].split() == ["tracker", "tracker", "c7a.large", "203.0.113.7", "198.18.0.7", "answers"]
    assert lines[4].startswith("stack dev in us-east-1b: ends in 1 h 30 min (")
    assert lines[4].endswith("cost so far about $0.75")


def test_show_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """One that has ended is said to have, and unknown prices are."""
    hosts.show(fleet_of(hours_left=-1, hourly_usd=None), lambda _: {})
    assert "stack dev in us-east-1b: has ended (" in capsys.readouterr().out


def test_answering() -> None:
    """Who takes connections answers; who does not is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hosts.answering([at(port)]) == {"tracker": "answers"}
    assert hosts.answering([at(port)]) == {"tracker": "silent"}
    assert hosts.answering([]) == {}


def test_states() -> None:
    """AWS tells of machines that do not run; those that do answer or not; one that it does not know is gone."""
    with mock_aws(), socket.create_server(("127.0.0.1", 0)) as server:
        ec2 = boto3.client("ec2", region_name="us-east-1")
        started = ec2.run_instances(ImageId="ami-12c6146b", MinCount=2, MaxCount=2)["Instances"]
        ids = [each["InstanceId"] for each in started]
        ec2.terminate_instances(InstanceIds=ids[1:])
        machines = [
            replace(at(server.getsockname()[1]), name=name, facts={"instance_id": instance, "region": "us-east-1"})
            for name, instance in zip(("one", "two", "three"), [*ids, "i-0123456789abcdef0"], strict=True)
        ]
        assert hosts.states(machines) == {"one": "answers", "two": "terminated", "three": "gone"}


def test_states_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet can be used without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert hosts.states([at(server.getsockname()[1])]) == {"tracker": "answers"}


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The selected stack is shown, one whose time is over, too."""
    monkeypatch.setattr(engine, "selected", lambda: "dev")
    monkeypatch.setattr(hosts, "read", lambda _: fleet_of(hours_left=-1))
    monkeypatch.setattr(hosts, "states", lambda _: {})
    assert hosts.command(stack=None) == 0
    assert "has ended" in capsys.readouterr().out


def test_no_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack and no machines are told apart."""
    monkeypatch.setattr(hosts, "read", lambda _: None)
    monkeypatch.setattr(engine, "selected", lambda: None)
    with pytest.raises(UserError, match="no stack is selected, so there are no machines"):
        hosts.command(stack=None)
    with pytest.raises(UserError, match="stack dev has no machines"):
        hosts.command(stack="dev")
