"""A stack as pulumi tells of it, without pulumi: outputs, settings, and an engine that does what it is told to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi.automation import ConfigValue, OutputValue
from pulumi.automation.events import (
    DiagnosticEvent,
    EngineEvent,
    OpType,
    ResOutputsEvent,
    StepEventMetadata,
    StepEventStateMetadata,
)

from btgames.cloud.stack import from_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.cloud.stack import Fleet

INSTANCE = "aws:ec2/instance:Instance"


def machine(name: str, role: str, address: str = "203.0.113.7") -> dict[str, Any]:
    """Return what outputs tell of a machine."""
    return {
        "name": name,
        "role": role,
        "instance_type": "c7a.large",
        "architecture": "amd64",
        "address": address,
        "private_address": "198.18.0.7",
        "instance_id": f"i-{name}",
        "image_id": "ami-1",
        "host_key": f"ssh-ed25519 {name}",
        "user": "btgames",
        "hourly_usd": 0.1,
    }


def outputs_of(*, hours_left: float = 3.0, hours: float = 4.0, **changed: Any) -> dict[str, Any]:
    """Return the outputs of a stack with a tracker, a seeder and a client."""
    expires_at = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=hours_left)
    return {
        "machines": [machine("tracker", "tracker"), machine("seeder-1", "seeder"), machine("client-1", "client")],
        "created_at": (expires_at - dt.timedelta(hours=hours)).isoformat(),
        "expires_at": expires_at.isoformat(),
        "region": "us-east-1",
        "zone": "us-east-1b",
        "price": "about $0.30 an hour, $1.20 for 4 hours",
        "hourly_usd": 0.3,
        "hours": hours,
        "price_limit_usd": 2,
        "key_file": "/nowhere/btgames/keys/me-btgames-dev",
        "ssh_cidr": "203.0.113.9/32",
        "reach_me": None,
        "security_group_id": "sg-1",
        **changed,
    }


def fleet_of(**changed: Any) -> Fleet:
    """Return a fleet of such outputs."""
    return from_outputs("dev", outputs_of(**changed))


def step(op: str, kind: str, name: str, outputs: dict[str, Any] | None = None) -> EngineEvent:
    """Return the event of a step that is done."""
    urn = f"urn:pulumi:dev::btgames::{kind}::{name}"
    new = StepEventStateMetadata(kind, urn, "", "", "", outputs=outputs)
    done = ResOutputsEvent(StepEventMetadata(OpType(op), urn, kind, "", new=new))
    return EngineEvent(1, 0, res_outputs_event=done)


def said(severity: str, message: str) -> EngineEvent:
    """Return the event of something that the engine says."""
    return EngineEvent(1, 0, diagnostic_event=DiagnosticEvent(message, "never", severity))


@dataclass
class FakeWorkspace:
    """Where a stack is kept."""

    removed: list[str] = field(default_factory=list)

    def remove_stack(self, name: str) -> None:
        """Note it."""
        self.removed.append(name)


@dataclass
class FakeStack:
    """A stack for the Automation API: notes what it is asked, tells what the test wants, fails if the test wants."""

    name: str = "dev"
    told: dict[str, Any] = field(default_factory=outputs_of)
    planned: list[EngineEvent] = field(default_factory=list)  # of a preview
    done: list[EngineEvent] = field(default_factory=list)  # of an update
    fails: Exception | None = None
    config: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    workspace: FakeWorkspace = field(default_factory=FakeWorkspace)

    def get_all_config(self) -> dict[str, ConfigValue]:
        """Return the settings."""
        return {key: ConfigValue(value) for key, value in self.config.items()}

    def set_config(self, key: str, value: ConfigValue) -> None:
        """Change a setting."""
        self.config[key] = value.value

    def remove_config(self, key: str) -> None:
        """Take a setting away."""
        del self.config[key]

    def outputs(self) -> dict[str, OutputValue]:
        """Return the outputs."""
        return {key: OutputValue(value, secret=False) for key, value in self.told.items()}

    def preview(self, *, refresh: bool, on_event: Callable[[EngineEvent], None]) -> None:
        """Tell what an update would do."""
        self._run("preview", self.planned, on_event, refresh=refresh)

    def up(self, *, refresh: bool, replace: Sequence[str] | None, on_event: Callable[[EngineEvent], None]) -> None:
        """Update."""
        self._run(" ".join(["up", *(replace or ())]), self.done, on_event, refresh=refresh)

    def destroy(self, *, on_event: Callable[[EngineEvent], None]) -> None:
        """End everything."""
        self._run("destroy", self.done, on_event)

    def _run(
        self, what: str, events: list[EngineEvent], on_event: Callable[[EngineEvent], None], *, refresh: bool = True
    ) -> None:
        assert refresh
        self.asked.append(what)
        for event in [*events, step("same", "pulumi:pulumi:Stack", "btgames-dev", self.told)]:
            on_event(event)
        if self.fails is not None:
            raise self.fails
