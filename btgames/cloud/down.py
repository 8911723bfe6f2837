"""``down``: end a fleet, and forget its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from btgames import places
from btgames.cloud import engine, update
from btgames.cloud.login import known_hosts_of
from btgames.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FLEETING = ("added", "terminated", "reach_me")  # settings about machines that are gone afterwards


def command(*, stack: str | None, remove: bool) -> int:
    """
    End everything that a stack has; its settings stay, unless it is to be removed; return 0.

    Raises:
        UserError: there is no such stack, or it could not be ended: what is left is then still the stack's.

    """
    name = stack or engine.selected()
    if name is None:
        raise UserError(
            f"no stack is selected, so there is nothing to end\n{places.COMMAND} leftovers looks for strays"
        )
    opened = engine.opened(name)
    outputs = {key: output.value for key, output in opened.outputs().items()}
    done = update.destroy(opened, lambda line: print(f"  {line}", flush=True))
    with update.settings(opened, dict.fromkeys(FLEETING)):
        _forget(name, outputs)
    if remove:
        with engine.explained(name):
            opened.workspace.remove_stack(name)
    machines = len(done.instances("delete"))
    print(f"Stack {name}: {machines} machine{'s' if machines != 1 else ''} ended, nothing is left")
    return 0


def _forget(name: str, outputs: Mapping[str, Any]) -> None:
    """Remove the key of a stack. One that was only made half does not tell its file, whose name ends in the stack's."""
    if "key_file" in outputs:
        files = [Path(outputs["key_file"])]
    else:
        files = list((places.state() / "keys").glob(f"*-{engine.PROJECT}-{name.rpartition('/')[2]}"))
    if len(files) == 1:
        for path in (files[0], known_hosts_of(files[0])):
            path.unlink(missing_ok=True)
