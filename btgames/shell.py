"""
``shell``: the client host of a scenario, the swarm alive beside it, for people who debug a client.

The same testbed, swarm, files and containment as a heat; in the place of the contestant's command is a shell.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from btgames import containment, contestant, installing, places, pseudo_terminal
from btgames import scenario as scenarios
from btgames.arena import cell_of, clean_folder, hand_over
from btgames.contract import NeedsPackages
from btgames.errors import TestbedError, Unsupported, UserError
from btgames.ground import Ground
from btgames.hosts.process import kill_session
from btgames.interrupts import ended_by_signals
from btgames.progress import Show
from btgames.shell_words import Place, tell_announces, tell_place, tell_remains
from btgames.testbeds.choice import local_testbed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from btgames.contestant import Contestant
    from btgames.testbeds.local import LocalTestbed
    from btgames.workshop import Racer, Readies


def command(*, scenario: str, contestant: str | None) -> int:
    """Open a shell on the client host; return 0 whatever the shell's own status, 1 when the swarm died meanwhile."""
    loaded = scenarios.load(scenario, places.SCENARIOS)
    one = None if contestant is None else _the_one(contestant)
    testbed = local_testbed(loaded.scenario)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with ended_by_signals(), ExitStack() as stack:
        racer = None if one is None else _ready(one, stack.enter_context(testbed.workshop()), console)
        stack.enter_context(testbed)
        ground = stack.enter_context(Ground(testbed, loaded.scenario, Show(console, 0, quiet=True)))
        place = _prepare(testbed, ground, racer, stack)
        console.print(f"Scenario {loaded.name}: {loaded.scenario.description}")
        tell_place(place, console)
        began = time.monotonic()
        status = _run(place)
        complaints = place.swarm.complaints()
        console.print(f"\nThe shell has ended, with status {status}.")
        tell_remains(place, console)
        tell_announces(place, began, console)
    if complaints:
        raise TestbedError(f"the swarm failed while the shell ran: {complaints}")
    return 0


def _the_one(spec: str) -> Contestant:
    found = contestant.load([spec], places.CONTESTANTS)
    if len(found) != 1:
        raise UserError(f"--contestant {spec!r}: names {len(found)} contestants; a shell takes one")
    return found[0]


def _ready(one: Contestant, workshop: Readies, console: Console) -> Racer:
    try:
        return workshop.ready(one, console.print)
    except NeedsPackages as needs:
        raise Unsupported(f"{one.label}: {installing.how_to(one, needs)}") from needs


def _prepare(testbed: LocalTestbed, ground: Ground, racer: Racer | None, stack: ExitStack) -> Place:
    """Make a payload, have it seeded, lay out the torrent: a heat's steps up to the command."""
    arena, swarm, client = ground.arena, ground.swarm(), testbed.hosts["client"]
    prepared = swarm.prepare(arena.scenario, arena.rng.randbytes(16), arena.rng)
    stack.enter_context(swarm.heat(prepared))
    stack.enter_context(clean_folder(arena))
    served = stack.enter_context(swarm.served(prepared))
    download = None
    if racer is None:
        cell = containment.with_paths(containment.cell_on(client, arena.bounds, "/usr/local"), writable=(arena.folder,))
        torrentfile = f"{arena.desk}/test.torrent"
        client.put(prepared.torrent.data, torrentfile)
    else:
        cell = cell_of(arena, racer)
        given = served if racer.contestant.yardstick else prepared.torrent
        torrentfile = racer.wrapper.torrentfile(client, cell, arena.desk, given)
        download = racer.wrapper.download(torrentfile, arena.into)
    hand_over(arena)
    return Place(arena, testbed.hosts, swarm, prepared, served, torrentfile, cell, racer, download)


def _run(place: Place) -> int:
    """
    Run the shell to its end and return its status.

    Raises:
        TestbedError: the cell cannot be made.

    """
    client, into = place.arena.client.within, place.arena.into
    status, why = containment.run(containment.from_here(place.cell, client), ["true"], {}, into, 20.0)
    if status:
        raise TestbedError(f"nothing can be run on the client host: {why}")
    at_terminal = sys.stdin.isatty()
    argv, env = _shell(at_terminal=at_terminal)
    env |= {"TORRENT": place.torrentfile, "INTO": into, "TRACKER": place.prepared.torrent.announce}
    spec = {**place.cell.spec(), "command": place.cell.command(argv, env, into), "interactive": True}
    path = f"{client.folder}/shell.json"
    client.put(json.dumps(spec).encode(), path, 0o600)
    outside = client.command([client.python, "-m", "btgames.agents.cell", path])
    if at_terminal:
        return pseudo_terminal.run(outside, client.environment(), sys.stdin.fileno(), sys.stdout.fileno())
    return _run_script(outside, client.environment())


def _shell(*, at_terminal: bool) -> tuple[list[str], dict[str, str]]:
    """Return the shell's argv, and what its environment has beside the usual."""
    bash = Path("/bin/bash").exists()
    if not at_terminal:
        return ["/bin/bash" if bash else "/bin/sh", "-s"], {}
    env = {"TERM": os.environ.get("TERM", "dumb"), "PS1": r"client:\W$ " if bash else "client$ "}
    # Its start-up files are those of the machine, and would set a prompt of theirs.
    return (["/bin/bash", "--norc", "-i"] if bash else ["/bin/sh", "-i"]), env


def _run_script(argv: list[str], env: Mapping[str, str]) -> int:
    """Run a shell that reads commands from our stdin; Ctrl-C is ours, and ends it."""
    script = subprocess.Popen(argv, env=env, start_new_session=True)
    try:
        return script.wait()
    finally:
        kill_session(script)
