"""``hosts``: what a fleet has, what state it is in, how long it lives, what it has cost."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from btgames.cloud import engine
from btgames.cloud.stack import read, shown
from btgames.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from btgames.cloud.stack import Fleet
    from btgames.hosts.remote import Remote

    Who = Callable[[Sequence[Remote]], Mapping[str, str]]

ANSWER_S = 3.0


def command(*, stack: str | None) -> int:
    """
    List the machines of a stack, whether its time is over or not; return 0.

    Raises:
        UserError: there is no stack, or it has no machines.

    """
    name = stack or engine.selected()
    fleet = None if name is None else read(name)
    if fleet is None or not fleet.machines:
        raise UserError(f"stack {name} has no machines" if name else "no stack is selected, so there are no machines")
    show(fleet, states)
    return 0


def show(fleet: Fleet, who: Who) -> None:
    """Print the machines of a fleet; `who` tells each one's state in a word."""
    found = who(fleet.machines)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("name", "role", "type", "address", "private", "state"):
        table.add_column(head, no_wrap=True)
    for machine in fleet.machines:
        cells = [machine.name, machine.role, machine.facts.get("instance_type", "")]
        table.add_row(*cells, machine.address, machine.private_address, found.get(machine.name, ""))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    cost = "unknown" if fleet.cost_usd is None else f"${fleet.cost_usd:.2f}"
    left = f"ends in {shown(fleet.left)}" if fleet.left else "has ended"
    console.print(
        f"stack {fleet.stack} in {fleet.zone}: {left} ({fleet.expires_at:%H:%M UTC}), cost so far about {cost}"
    )


def answering(machines: Sequence[Remote]) -> dict[str, str]:
    """Tell who takes connections where SSH listens."""
    with ThreadPoolExecutor(max_workers=max(1, len(machines))) as pool:
        return {machine.name: state for machine, state in zip(machines, pool.map(_answers, machines), strict=True)}


def states(machines: Sequence[Remote]) -> dict[str, str]:
    """Tell each machine's state: as AWS has it, where it may be asked, and whether it answers."""
    running = _as_aws_has_it(machines)
    heard = answering(machines)
    return {
        name: heard[name] if running.get(name, "running") == "running" else running[name]
        for name in (machine.name for machine in machines)
    }


def _answers(machine: Remote) -> str:
    try:
        socket.create_connection((machine.address, machine.port), ANSWER_S).close()
    except OSError:
        return "silent"
    return "answers"


def _as_aws_has_it(machines: Sequence[Remote]) -> dict[str, str]:
    """Return states by name; empty where AWS cannot be asked: a fleet can be used without credentials."""
    ids = {machine.facts["instance_id"]: machine.name for machine in machines if "instance_id" in machine.facts}
    if not ids:
        return {}
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return {}
    try:
        settings = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})
        ec2 = boto3.client("ec2", region_name=machines[0].facts["region"], config=settings)
        answer = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": list(ids)}])
    except (BotoCoreError, ClientError):
        return {}
    found = {one["InstanceId"]: one["State"]["Name"] for group in answer["Reservations"] for one in group["Instances"]}
    return {name: str(found.get(instance, "gone")) for instance, name in ids.items()}
