"""``up``: make a fleet or change it; ``terminate`` and ``replace``: single machines of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from btgames import places
from btgames.cloud import engine, hosts, update
from btgames.cloud.stack import existing, from_outputs
from btgames.errors import UserError, nearest
from btgames.hosts.remote import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulumi.automation import Stack

    from btgames.cloud.stack import Fleet
    from btgames.cloud.update import Watched


def command(
    *, stack: str | None, wanted: Mapping[str, str | None], added: Sequence[str], yes: bool, wait: bool = True
) -> int:
    """
    Make the fleet of a stack, or bring it up to its settings; return 0.

    1. Open the stack (the selected one, or ``dev``), and change the settings that were named.
    2. Preview: what would be made, and what it costs; ask, where that is over the limit or would replace machines.
    3. Make it.
    4. Wait until every machine has set itself up.

    Args:
        stack: the stack's name; None is the selected one.
        wanted: settings to change; None as a value leaves one as it is.
        added: single machines to be added, ROLE:NAME.
        yes: do not ask.
        wait: wait for the machines.

    Raises:
        UserError: something is wrong or was refused; where money may have been spent, it says what to do.

    """
    name = stack or engine.selected() or engine.DEFAULT_STACK
    opened = engine.opened(name, create=True)
    changes = {key: value for key, value in wanted.items() if value is not None} | _added(opened, added)
    with update.settings(opened, changes):
        _say(f"Stack {name}: what there is, and what there should be ...")
        planned = update.preview(opened, _say)
        print(f"Stack {name}: {planned.outputs.get('price', 'no price')}")
        _agree(planned, yes=yes)
    made = _made(opened, update.up(opened, _step), wait=wait)
    hosts.show(made, hosts.answering)
    print(f"Race on it: {places.COMMAND} race --scenario medium; end it: {places.COMMAND} down")
    return 0


def terminate(*, stack: str | None, machine: str) -> int:
    """
    End one machine of a fleet, and leave it out from now on; return 0.

    Raises:
        UserError: there is no such machine, or it could not be done.

    """
    fleet = existing(stack)
    remote = fleet.machine(machine)
    opened = engine.opened(fleet.stack)
    entry = f"{remote.role}:{machine}"
    added, terminated = update.names_in(opened, "added"), update.names_in(opened, "terminated")
    if entry in added:
        added.remove(entry)
    else:
        terminated.append(machine)
    with update.settings(opened, {"added": update.as_list(added), "terminated": update.as_list(terminated)}):
        update.up(opened, _step)
    print(f"{places.COMMAND} up --add {entry} brings it back")
    return 0


def replace(*, stack: str | None, machine: str) -> int:
    """
    End one machine of a fleet and make a pristine one of the same name; return 0.

    Raises:
        UserError: there is no such machine, or it could not be done.

    """
    fleet = existing(stack)
    remote = fleet.machine(machine)
    opened = engine.opened(fleet.stack)
    done = update.up(opened, _step, replace=[update.urn(fleet.stack, remote.role, machine)])
    _made(opened, done, wait=True)
    return 0


def reach(fleet: Fleet, block: str | None) -> Fleet:
    """
    Open tracker and seeder of a fleet to an IPv4 block, or close them (None); return the fleet as it is then.

    Raises:
        UserError: it could not be done.

    """
    if fleet.reach_me == block:
        return fleet
    opened = engine.opened(fleet.stack)
    with update.settings(opened, {"reach_me": block}):
        done = update.up(opened, _step)
    return from_outputs(fleet.stack, done.outputs)


def _added(opened: Stack, words: Sequence[str]) -> dict[str, str | None]:
    """Return the settings that add machines: one that was terminated comes back, another is new."""
    if not words:
        return {}
    added, terminated = update.names_in(opened, "added"), update.names_in(opened, "terminated")
    for word in words:
        role, _, name = word.partition(":")
        if role not in ROLES or not name:
            raise UserError(
                f"--add {word!r}: allowed is ROLE:NAME, a role being {', '.join(ROLES)}{nearest(role, ROLES)}"
            )
        if name in terminated:
            terminated.remove(name)
        else:
            added.append(word)
    return {"added": update.as_list(added), "terminated": update.as_list(terminated)}


def _agree(planned: Watched, *, yes: bool) -> None:
    """Return if the user agrees to what would be done, or need not be asked."""
    new = planned.instances("create")
    gone = planned.instances("create-replacement", "delete", "delete-replaced")
    hourly, hours, limit = (planned.outputs.get(key) for key in ("hourly_usd", "hours", "price_limit_usd"))
    total = None if hourly is None or hours is None else float(hourly * hours)
    reasons = []
    if new and total is None:
        reasons.append("not all prices are known")
    elif new and total is not None and limit is not None and total > limit:
        reasons.append(f"${total:.2f} is over the limit of ${limit:g} (pulumi config set price_limit_usd)")
    if gone:
        reasons.append(f"ends what is on {', '.join(dict.fromkeys(gone))}")
    if yes or not reasons:
        return
    if not sys.stdin.isatty():
        raise UserError(f"not done: {'; '.join(reasons)}\n--yes does it without asking")
    if input(f"{'; '.join(reasons)}. Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise UserError("nothing was changed")


def _made(opened: Stack, done: Watched, *, wait: bool) -> Fleet:
    """Return the fleet as it is after an update, its machines ready where they are waited for."""
    fleet = from_outputs(opened.name, done.outputs)
    if wait:
        from btgames.testbeds.waiting import wait_until_ready

        wait_until_ready(fleet.machines, _step)
    return fleet


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _step(line: str) -> None:
    print(f"  {line}", flush=True)
