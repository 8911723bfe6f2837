"""
Waiting until the machines of a new fleet have set themselves up, by whoever comes first: ``up`` or a race.

A machine is ready when it answers over SSH and cloud-init has left its sign (infra/user_data.py), which it does last.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from btgames.errors import HostError, UserError
from btgames.hosts.line import Line, wait_for
from btgames.hosts.namespace import PATH
from btgames.hosts.ssh import SshMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.hosts.remote import Remote

    Notify = Callable[[str], None]

READY_S = 600.0
"""How long a machine may take: to boot, and to have its packages installed."""

SIGN = "/var/lib/btgames/ready"
LOG = "/var/log/cloud-init-output.log"
POLL_S = 2.0
_LOG_LINES = 12
_TELLING = ("E:", "rror", "ailed", "Traceback", "No space", "not found")


def wait_until_ready(machines: Sequence[Remote], notify: Notify, *, within_s: float = READY_S) -> None:
    """
    Return when every machine is ready; at once where all are.

    Raises:
        UserError: one refuses us, did not answer in time, or failed to set itself up: with the lines of its log.

    """
    deadline = time.monotonic() + within_s
    with ThreadPoolExecutor(max_workers=max(1, len(machines))) as pool:
        waiting = [pool.submit(_wait, machine, deadline, notify) for machine in machines]
    for each in waiting:
        each.result()


def _wait(remote: Remote, deadline: float, notify: Notify) -> None:
    began = time.monotonic()
    line = Line(remote)
    try:
        machine = SshMachine(line, {"PATH": PATH})
        try:
            line.open(max(0.0, deadline - time.monotonic()))
            if not machine.run(["test", "-e", SIGN], check=False).status:
                return
            notify(f"{remote.name}: answers, and is still setting itself up")
            if not wait_for(lambda: _done(machine), deadline, POLL_S):
                raise _unready(machine, "is not done")
        except HostError as error:
            raise UserError(f"{error}\n{_HELP.format(name=remote.name)}") from error
        notify(f"{remote.name}: ready after {time.monotonic() - began:.0f} s")
    finally:
        line.close()


_HELP = "./inv hosts tells its state; ./inv replace {name} makes a pristine one"


def _done(machine: SshMachine) -> bool:
    """Tell whether cloud-init has ended well; a UserError where it has ended otherwise."""
    status = _status(machine)
    if status.get("status") in {"running", "not run", "not started", None}:
        return False
    if machine.run(["test", "-e", SIGN], check=False).status:
        raise _unready(machine, f"failed ({status['status']})")
    return True


def _status(machine: SshMachine) -> dict[str, Any]:
    answer = machine.run(["cloud-init", "status", "--format", "json"], check=False)
    try:
        return dict(json.loads(answer.out))
    except ValueError:
        words = answer.err.decode(errors="replace").strip()
        raise UserError(f"{machine.name}: cloud-init tells no status: {words or answer.status}") from None


def _unready(machine: SshMachine, what: str) -> UserError:
    """Return the error of a machine that did not make it, with the lines of its log that tell why."""
    log = machine.run(["tail", "-n", "200", LOG], check=False).out.decode(errors="replace")
    lines = [line.strip()[:160] for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)] or lines
    shown = "\n".join(f"  {line}" for line in telling[-_LOG_LINES:])
    return UserError(
        f"{machine.name}: setting itself up {what}; its {LOG} says:\n{shown}\n{_HELP.format(name=machine.name)}"
    )
