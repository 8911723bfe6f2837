"""
Waiting until the machines of a new fleet have set themselves up, by whoever comes first: ``up`` or a race.

A machine is ready when it answers over SSH and cloud-init has left its sign (infra/user_data.py), which it does last.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from btgames import places
from btgames.errors import HostError, UserError
from btgames.hosts.line import PATIENCE_S, Line, wait_for
from btgames.hosts.namespace import PATH
from btgames.hosts.ssh import SshMachine
from btgames.side_by_side import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.hosts.remote import Remote

    Notify = Callable[[str], None]

READY_S = 600.0
"""How long a machine may take: to boot, and to have its packages installed."""

SIGN = "/var/lib/btgames/ready"
LOG = "/var/log/cloud-init-output.log"
POLL_S = 2.0
TELL_S = 20.0  # between two lines about a machine that does not answer
_LOG_LINES = 12
_TELLING = ("E:", "rror", "ailed", "Traceback", "No space", "not found")


def wait_until_ready(machines: Sequence[Remote], notify: Notify, *, within_s: float = READY_S) -> None:
    """
    Return when every machine is ready; at once where all are.

    One that was ready before is given `PATIENCE_S` only: it has no reason not to answer but that it is gone.

    Raises:
        UserError: one refuses us, did not answer in time, or failed to set itself up: with the lines of its log.

    """
    in_parallel([partial(_wait, machine, within_s, notify) for machine in machines])


def _wait(remote: Remote, within_s: float, notify: Notify) -> None:
    began = time.monotonic()
    seen = places.state() / "ready" / remote.facts.get("instance_id", "")
    deadline = began + (min(PATIENCE_S, within_s) if seen.is_file() else within_s)
    line = Line(remote)
    try:
        machine = SshMachine(line, {"PATH": PATH})
        _open(line, deadline, notify)
        if machine.run(["test", "-e", SIGN], check=False).status:
            notify(f"{remote.name}: answers, and is still setting itself up")
            if not wait_for(lambda: _done(machine), deadline, POLL_S):
                raise _unready(machine, "is not done")
            notify(f"{remote.name}: ready after {time.monotonic() - began:.0f} s")
    except HostError as error:
        raise UserError(f"{error}\n{_HELP.format(name=remote.name)}") from error
    finally:
        line.close()
    if remote.facts.get("instance_id"):
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.touch()


def _open(line: Line, deadline: float, notify: Notify) -> None:
    """Connect, saying now and then that a machine does not answer yet."""
    while True:
        left = deadline - time.monotonic()
        try:
            line.open(max(0.0, min(TELL_S, left)))
        except HostError:
            if left <= TELL_S:
                raise
            notify(f"{line.remote.name}: does not answer; waiting up to {left - TELL_S:.0f} s more")
        else:
            return


_HELP = f"{places.COMMAND} hosts tells its state; {places.COMMAND} replace {{name}} makes a pristine one"


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
