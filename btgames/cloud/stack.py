"""What a stack has, read from its outputs: a fleet, whose machines are `Remote` ones."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import places
from btgames.cloud import engine
from btgames.errors import UserError, nearest
from btgames.hosts.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Fleet:
    """The machines of a stack, and what is to be known of them together."""

    stack: str
    machines: tuple[Remote, ...]
    created_at: dt.datetime
    expires_at: dt.datetime
    region: str
    zone: str
    hourly_usd: float | None  # None: not all prices are known
    price: str  # in words
    key_file: Path
    ssh_cidr: str
    reach_me: str | None
    security_group_id: str

    @property
    def words(self) -> str:
        """What it is, for one line of output."""
        left = shown(self.left)
        return f"stack {self.stack}, {len(self.machines)} machines in {self.zone}, ending in {left}"

    @property
    def more(self) -> str:
        """How to have more machines."""
        return f"more of them: {places.COMMAND} up --seeders N --clients N"

    @property
    def left(self) -> dt.timedelta:
        """How long it still has to live."""
        return max(dt.timedelta(0), self.expires_at - dt.datetime.now(dt.UTC))

    @property
    def cost_usd(self) -> float | None:
        """What it has cost so far, about; None where prices are unknown."""
        now = min(dt.datetime.now(dt.UTC), self.expires_at)
        return None if self.hourly_usd is None else self.hourly_usd * (now - self.created_at) / dt.timedelta(hours=1)

    def machine(self, name: str) -> Remote:
        """
        Return the machine of that name.

        Raises:
            UserError: there is none.

        """
        names = {machine.name: machine for machine in self.machines}
        if name not in names:
            known = nearest(name, names) or f"; there are {', '.join(names) or 'none'}"
            raise UserError(f"stack {self.stack} has no machine {name}{known}")
        return names[name]


def any_keys() -> bool:
    """Tell whether this user has ever made a fleet: its key is here. Without one there is nothing to ask pulumi."""
    folder = places.state() / "keys"
    return folder.is_dir() and any(folder.iterdir())


def fleet(name: str | None = None, *, needed: bool = True) -> Fleet | None:
    """
    Return the fleet of the stack `name`, or of the selected one; None when it has no machines and none are `needed`.

    Raises:
        UserError: there is no such stack, it was only made half, or its time is over; or it has no machines and some
            are `needed`.

    """
    stack = name or engine.selected()
    if stack is None:
        if needed:
            raise UserError(
                "no stack is selected\n"
                f"--stack NAME names one, pulumi stack select NAME selects it, {places.COMMAND} up makes one"
            )
        return None
    found = read(stack)
    if found is None or not found.machines:
        if needed:
            raise UserError(f"stack {stack} has no machines\n{places.COMMAND} up makes them, and so does pulumi up")
        return None
    if not found.left:
        ended = found.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        raise UserError(
            f"the machines of stack {stack} ended at {ended}\n"
            f"{places.COMMAND} down clears what is left, then {places.COMMAND} up makes new ones; "
            "--testbed local is this machine"
        )
    return found


def existing(name: str | None) -> Fleet:
    """Return the fleet of a stack, which must have machines that live. Raises UserError otherwise, as `fleet` does."""
    found = fleet(name, needed=True)
    assert found is not None  # noqa: S101 - for the type checker
    return found


def read(stack: str) -> Fleet | None:
    """
    Return what a stack's outputs tell, whether its time is over or not; None when there is nothing in it.

    Raises:
        UserError: there is no such stack, or an update of it did not come to its end.

    """
    outputs = json.loads(engine.ask("stack", "output", "--json", "--stack", stack, stack=stack))
    if "machines" not in outputs or not all(machine.get("address") for machine in outputs["machines"]):
        if not _resources(stack):
            return None
        raise UserError(
            f"stack {stack} was only made half\n"
            f"{places.COMMAND} up goes on with it (pulumi up does, too), {places.COMMAND} down ends what there is"
        )
    return from_outputs(stack, outputs)


def from_outputs(stack: str, outputs: Mapping[str, Any]) -> Fleet:
    """Return the fleet that outputs tell of; infra/fleet.py writes them."""
    key_file = Path(outputs["key_file"])
    places_ = {"region": str(outputs["region"]), "zone": str(outputs["zone"])}
    return Fleet(
        stack=stack,
        machines=tuple(_remote(machine, key_file, places_) for machine in outputs["machines"]),
        created_at=dt.datetime.fromisoformat(outputs["created_at"]),
        expires_at=dt.datetime.fromisoformat(outputs["expires_at"]),
        hourly_usd=outputs.get("hourly_usd"),
        price=outputs["price"],
        key_file=key_file,
        ssh_cidr=outputs["ssh_cidr"],
        reach_me=outputs.get("reach_me"),
        security_group_id=outputs["security_group_id"],
        **places_,
    )


def _remote(machine: Mapping[str, Any], key_file: Path, where: Mapping[str, str]) -> Remote:
    return Remote(
        name=machine["name"],
        role=machine["role"],
        address=machine["address"],
        private_address=machine["private_address"],
        user=machine["user"],
        key_file=key_file,
        host_key=machine["host_key"],
        facts={
            "instance_type": machine["instance_type"],
            "architecture": machine["architecture"],
            "image_id": machine["image_id"],
            "instance_id": machine["instance_id"],
            **where,
        },
    )


def _resources(stack: str) -> bool:
    """Tell whether anything of a stack costs money or may come to: an instance, or a creation that was interrupted."""
    deployment = json.loads(engine.ask("stack", "export", "--stack", stack, stack=stack)).get("deployment") or {}
    found = [resource["type"] for resource in deployment.get("resources") or []]
    return bool(deployment.get("pending_operations")) or any(kind.startswith("aws:") for kind in found)


def shown(left: dt.timedelta) -> str:
    """Return a time to live in words: 3 h 20 min."""
    minutes = int(left.total_seconds() / 60 + 0.5)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour
