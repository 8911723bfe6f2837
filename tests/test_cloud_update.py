"""Updates by the engine: each step a line, settings set back when nothing came of them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, cast

import pytest
from cloud_fakes import INSTANCE, FakeStack, said, step
from pulumi.automation import CommandError, CommandResult

from btgames.cloud import update
from btgames.errors import UserError

if TYPE_CHECKING:
    from pulumi.automation import Stack

STEPS = [
    step("create", "aws:ec2/securityGroup:SecurityGroup", "btgames-dev"),
    step("same", "aws:ec2/vpc:Vpc", "btgames-dev"),
    step("refresh", INSTANCE, "tracker"),
    step("create", "btgames:infra:Client", "client-1"),
    step("create-replacement", INSTANCE, "client-1"),
]


def opened(fake: FakeStack) -> Stack:
    """Return the fake as what it stands for."""
    return cast("Stack", fake)


def test_up() -> None:
    """Steps that change something in AWS are told, in words; the outputs are the stack's."""
    lines: list[str] = []
    fake = FakeStack(done=STEPS)
    watched = update.up(opened(fake), lines.append)
    assert lines == ["made security group btgames-dev", "made anew instance client-1"]
    assert watched.outputs == fake.told
    assert watched.instances("create-replacement") == ["client-1"]


def test_preview() -> None:
    """A preview tells warnings, each once, and no step as if it were done."""
    lines: list[str] = []
    warning = said("warning", "<{%fg 3%}>t3.micro: CPU in credits\n<{%reset%}>")
    watched = update.preview(opened(FakeStack(planned=[*STEPS, warning, warning])), lines.append)
    assert lines == ["warning: t3.micro: CPU in credits"]
    assert watched.instances("create-replacement") == ["client-1"]


def test_fails() -> None:
    """What the engine says is put into words: the whole of it, not what it prints."""
    failure = CommandError(CommandResult("update failed", "", 255))
    fake = FakeStack(done=[said("error", "api error VcpuLimitExceeded: You have requested more")], fails=failure)
    with pytest.raises(UserError, match="your account's quota has no room"):
        update.up(opened(fake), print)


def test_interrupted() -> None:
    """Ctrl-C lets the engine come to its end, and leaves a line that says how to go on."""
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        update.destroy(opened(FakeStack(done=[step("delete", INSTANCE, "tracker")])), interrupt)
    assert lines[-2:] == [
        "interrupted; the engine finishes what it has begun",
        "./inv up goes on with it, ./inv down ends what there is",
    ]


def test_urn() -> None:
    """A machine's instance has the name that the engine gives it."""
    expected = "urn:pulumi:dev::btgames::btgames:infra:Client$aws:ec2/instance:Instance::client-1"
    assert update.urn("me/btgames/dev", "client", "client-1") == expected


def test_settings() -> None:
    """Settings are changed for good when all goes well."""
    fake = FakeStack(config={"btgames:hours": "4", "btgames:zone": "us-east-1a"})
    with update.settings(opened(fake), {"hours": "8", "zone": None, "spot": None}):
        pass
    assert fake.config == {"btgames:hours": "8"}


def test_settings_set_back() -> None:
    """They are as before when it does not."""
    before = {"btgames:hours": "4", "btgames:zone": "us-east-1a"}
    fake = FakeStack(config=dict(before))
    with (
        pytest.raises(UserError),
        update.settings(opened(fake), {"hours": "8", "zone": None, "spot": "true", "added": None}),
    ):
        raise UserError("no")
    assert fake.config == before


@pytest.mark.parametrize("text", ['["client:a", "seeder:b"]', "client:a,seeder:b"])
def test_lists(text: str) -> None:
    """Lists are read in either form, and written as words with commas."""
    fake = FakeStack(config={"btgames:added": text})
    assert update.names_in(opened(fake), "added") == ["client:a", "seeder:b"]
    assert update.names_in(opened(fake), "terminated") == []
    assert update.as_list(["a", "b"]) == "a,b"
    assert update.as_list([]) is None
