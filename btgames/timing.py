"""The harness's side of the stopwatch: starting agents/stopwatch.py, telling it what to time, hearing what it saw."""

from __future__ import annotations

import base64
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from btgames.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from btgames.arena import Arena
    from btgames.containment import Cell
    from btgames.hosts import Process
    from btgames.swarm import Prepared, Swarm
    from btgames.workshop import Racer
    from btgames.wrapper import Argv

STOP_S = 1.5
"""How long a stopwatch may take to tell its result after it was told to stop."""

MARGIN_S = 60.0
"""Seconds over time limit and grace after which a stopwatch that has told nothing is taken for dead."""


class Watcher(Protocol):
    """Who looks on while a heat runs."""

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """Be told how far the running heat is, about ten times a second."""


def spec_of(arena: Arena, racer: Racer, cell: Cell, command: Argv, prepared: Prepared) -> dict[str, Any]:
    """Return what agents/stopwatch.py wants to know."""
    torrent, scenario = prepared.torrent, arena.scenario
    return {
        "cell_argv": list(cell.argv),
        "cell": cell.spec(),
        "command": cell.command(command.argv, command.env, command.cwd or arena.into),
        "log": arena.log,
        "into": arena.into,
        "files": [list(file) for file in torrent.layout],
        "marks": base64.b64encode(prepared.marks).decode(),
        "piece_size": torrent.piece_size,
        "pieces": base64.b64encode(torrent.pieces).decode(),
        "time_limit_s": scenario.time_limit_s,
        "exit_grace_s": scenario.exit_grace_s,
        "exits": racer.contestant.exits,
        "interface": arena.interface,
    }


@contextmanager
def stopwatch(arena: Arena) -> Iterator[Process]:
    """Start a stopwatch, whose interpreter is up by the time that there is something to measure; end it."""
    process = arena.client.start([arena.client.python, "-m", "btgames.agents.stopwatch"])
    try:
        yield process
    finally:
        # When its stdin ends it ends the contestant and everything that this left behind.
        process.stop(grace_s=STOP_S)


def measure(process: Process, spec: Mapping[str, Any], swarm: Swarm, watcher: Watcher) -> dict[str, Any]:
    """Have the stopwatch measure, and return its result; a swarm that dies meanwhile ends the heat at once."""
    try:
        process.send(json.dumps(spec).encode() + b"\n", 30.0)
    except OSError as error:
        raise HostError(f"client: the stopwatch took no spec: {error}") from error
    deadline = time.monotonic() + spec["time_limit_s"] + spec["exit_grace_s"] + MARGIN_S
    while (message := _next(process, deadline)) is not None:
        if message["event"] == "result":
            return message
        watcher.moved(message["elapsed_s"], message["blocks_right"], message["rx_bytes"] or 0)
        if not swarm.alive:
            raise HostError(swarm.complaints() or "the swarm died")
    raise HostError(f"client: the stopwatch died: {process.last_words() or 'it said nothing'}")


def _next(process: Process, deadline: float) -> dict[str, Any] | None:
    """Return the stopwatch's next message; None when it is dead or silent for too long."""
    line = process.receive(max(0.0, deadline - time.monotonic()))
    if not line or not line.endswith(b"\n"):
        return None
    message: dict[str, Any] = json.loads(line)
    return message
