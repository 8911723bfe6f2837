"""One heat: the steps, in their order, from a payload nobody has seen to a judged result."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from btgames import containment
from btgames.errors import HostError, Unsupported
from btgames.result import Announce, Heat, Outcome
from btgames.verdict import judge

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts import Process
    from btgames.hosts.namespace import NamespaceHost
    from btgames.installing import Installed
    from btgames.scenario import Scenario
    from btgames.swarm import Prepared, Swarm
    from btgames.wrapper import Argv, Wrapper

LOG_TAIL_BYTES = 2000
"""Of the client's log, in the race card; `--keep` keeps more."""

REASON_LENGTH = 800
"""Characters of a reason; of a longer one, beginning and end."""

STOP_S = 1.5
"""How long a stopwatch may take to tell its result after it was told to stop."""

MARGIN_S = 60.0
"""Seconds over time limit and grace after which a stopwatch that has told nothing is taken for dead."""


@dataclass(frozen=True)
class Racer:
    """A contestant that is ready to race."""

    contestant: Contestant
    wrapper: Wrapper
    installed: Installed
    version: str


class Watcher(Protocol):
    """Who looks on while a heat runs."""

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """Be told how far the running heat is, about ten times a second."""


class Keeper(Protocol):
    """Who keeps what a heat leaves behind, for people who debug a client."""

    def capture(self) -> AbstractContextManager[None]:
        """Return a context manager that records the client's packets."""

    def keep(self, name: str, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:
        """Copy log, torrent, download and the tracker's log away."""


@dataclass(frozen=True)
class Arena:
    """What all heats of a race have in common."""

    client: NamespaceHost
    scenario: Scenario
    one_clock: bool  # whether tracker and client share CLOCK_MONOTONIC
    uid: int | None  # what contestants run as; None in a user namespace
    rng: random.Random  # of seeds and marks; secret from contestants
    interface: str = "eth0"

    @property
    def folder(self) -> str:
        """The heat's own small file system: what a contestant can fill."""
        return f"{self.client.folder}/heat"

    @property
    def into(self) -> str:
        """The download directory."""
        return f"{self.folder}/into"

    @property
    def desk(self) -> str:
        """Where torrent and settings of a client lie."""
        return f"{self.folder}/desk"

    @property
    def log(self) -> str:
        """What the client prints; out of its reach."""
        return f"{self.client.folder}/client.log"


def run(
    arena: Arena, racer: Racer, swarm: Swarm, watcher: Watcher, keeper: Keeper | None, *, round_: int, attempt: int = 1
) -> Heat:
    """
    Run one heat and return its result, whatever happens to contestant or testbed.

    1. A new payload from a fresh seed, a new torrent, a new info hash.
    2. Tracker and seeders that know this torrent only, each proven to answer.
    3. ``torrentfile``, a clean download directory, ``download``, and the stopwatch runs the command.
    4. The facts are judged, the log is collected, the swarm forgets.

    Raises:
        KeyboardInterrupt: the user wants no more; everything of the heat is ended.

    """
    began = time.monotonic()
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    seed = arena.rng.randbytes(16)
    fields: dict[str, Any] = {"payload_seed": seed.hex(), "payload_bytes": arena.scenario.payload.size}
    try:
        with _stopwatch(arena) as stopwatch:
            prepared = swarm.prepare(arena.scenario, seed, arena.rng)
            fields["info_hash"] = prepared.torrent.info_hash
            name = f"{round_}-{racer.contestant.label}"
            with swarm.heat(prepared), clean_folder(arena):
                fields |= _race(arena, racer, swarm, prepared, stopwatch, watcher, keeper, name=name)
    except HostError as error:
        fields |= {"outcome": Outcome.VOID, "reason": one_line(error)}
    except Unsupported as why:
        fields |= {"outcome": Outcome.UNSUPPORTED, "reason": one_line(why)}
    return Heat(
        contestant=racer.contestant.label,
        round=round_,
        attempt=attempt,
        version=racer.version,
        started_at=started_at,
        total_s=time.monotonic() - began,
        **fields,
    )


def _race(
    arena: Arena,
    racer: Racer,
    swarm: Swarm,
    prepared: Prepared,
    stopwatch: Process,
    watcher: Watcher,
    keeper: Keeper | None,
    *,
    name: str,
) -> dict[str, Any]:
    """Do steps 3 and 4; return fields of `Heat`."""
    cell = cell_of(arena, racer)
    with swarm.served(prepared) if racer.contestant.yardstick else _as_it_is(prepared) as torrent:
        torrentfile = racer.wrapper.torrentfile(arena.client, cell, arena.desk, torrent)
        command = racer.wrapper.download(torrentfile, arena.into)
        hand_over(arena)
        spec = stopwatch_spec(arena, racer, cell, command, prepared)
        if keeper is None:
            facts = _measure(stopwatch, spec, swarm, watcher)
        else:
            with keeper.capture():
                facts = _measure(stopwatch, spec, swarm, watcher)
    announces = swarm.announces()
    complaints = swarm.complaints()
    if keeper is not None:
        keeper.keep(name, prepared, arena.into, announces)
    return _result(arena, facts, announces, complaints)


def cell_of(arena: Arena, racer: Racer) -> Cell:
    """Return the cell of a contestant's commands: its installed things read-only, the heat's folder writable."""
    cell = containment.cell_on(arena.client, arena.uid, racer.installed.folder)
    return containment.with_paths(cell, read_only=racer.installed.read_only, writable=(arena.folder,))


def stopwatch_spec(arena: Arena, racer: Racer, cell: Cell, command: Argv, prepared: Prepared) -> dict[str, Any]:
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
def _stopwatch(arena: Arena) -> Iterator[Process]:
    """Start a stopwatch, whose interpreter is up by the time that there is something to measure; end it."""
    process = arena.client.start([arena.client.python, "-m", "btgames.agents.stopwatch"])
    try:
        yield process
    finally:
        # When its stdin ends it ends the contestant and everything that this left behind.
        process.stop(grace_s=STOP_S)


def _measure(process: Process, spec: Mapping[str, Any], swarm: Swarm, watcher: Watcher) -> dict[str, Any]:
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


@contextmanager
def clean_folder(arena: Arena) -> Iterator[None]:
    """Give the heat a file system of its own: room for the payload twice and some, nothing of earlier heats."""
    size = room_bytes(arena.scenario)
    owner = "0" if arena.uid is None else str(arena.uid)
    host = arena.client
    host.run(["mkdir", "-p", arena.folder])
    # An inode takes the kernel's memory, however empty: one for each page is enough for anyone.
    options = f"size={size},nr_inodes={size >> 12},mode=755,nosuid,nodev"
    host.run(["mount", "-t", "tmpfs", "-o", options, "heat", arena.folder])
    try:
        host.run(["install", "-d", "-o", owner, "-g", owner, arena.into, arena.desk])
        yield
    finally:
        # Should it fail, the heat's result stands: the next heat mounts over it, or finds that the host is gone.
        with contextlib.suppress(HostError):
            host.run(["umount", "--lazy", arena.folder])


def room_bytes(scenario: Scenario) -> int:
    """Return the size of a heat's file system: some clients keep what they have received twice for a while."""
    return 2 * scenario.payload.size + (64 << 20)


def hand_over(arena: Arena) -> None:
    """Give what the harness has put on the desk to the contestant, which may want to write beside it."""
    if arena.uid is not None:
        arena.client.run(["chown", "-hR", f"{arena.uid}:{arena.uid}", arena.desk])


@contextmanager
def _as_it_is(prepared: Prepared) -> Iterator[Any]:
    yield prepared.torrent


def _result(arena: Arena, facts: dict[str, Any], announces: list[dict[str, Any]], complaints: str) -> dict[str, Any]:
    outcome, reason = judge(facts, time_limit_s=arena.scenario.time_limit_s)
    if complaints and outcome is not Outcome.FINISHED:
        outcome, reason = Outcome.VOID, complaints
    mine = _own_announces(arena, announces, facts["exec_s"])
    words = [] if facts["exit_s"] is None else [facts["exit_s"]]
    if arena.one_clock and facts["exec_s"] is not None:
        # Not what torrentfile() had announced before the exec.
        words += [announce.at_s for announce in mine if announce.event == "completed" and announce.at_s >= 0]
    same = (
        "complete_s", "exit_s", "ended_by", "ended_at_s", "first_block_s", "exit_status", "blocks_right", "blocks",
        "wrong_pieces", "rx_bytes", "tx_bytes", "cpu_user_s", "cpu_system_s", "peak_rss_bytes", "stopwatch_cpu_s",
    )  # fmt: skip
    return {
        **{name: facts[name] for name in same},
        "outcome": outcome,
        "reason": one_line(reason),
        "done_s": min(words, default=None),
        "traffic": tuple((at, rx, tx) for at, rx, tx in facts["traffic"]),
        "announces": mine,
        "log_tail": arena.client.run(["tail", "-c", str(LOG_TAIL_BYTES), arena.log], check=False).out.decode(
            errors="replace"
        ),
    }


def _own_announces(arena: Arena, announces: list[dict[str, Any]], exec_s: float | None) -> tuple[Announce, ...]:
    """Return the contestant's own announces, timed from the exec where the clocks are one, else from the first."""
    mine = [each for each in announces if each["ip"] == arena.client.address]
    if not mine:
        return ()
    zero = exec_s if arena.one_clock and exec_s is not None else mine[0]["at_s"]
    return tuple(
        Announce(
            at_s=each["at_s"] - zero,
            event=each["event"] or "",
            left=each["left"],
            downloaded=each["downloaded"],
            transport=each["transport"],
        )
        for each in mine
    )


def one_line(what: object) -> str:
    """Return a reason for the race card: one line, and not for ever, whatever a contestant printed or named a file."""
    line = " ".join(str(what).split())
    return line if len(line) <= REASON_LENGTH else f"{line[: REASON_LENGTH // 2]} ... {line[-REASON_LENGTH // 2 :]}"
