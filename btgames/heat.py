"""One heat: the steps, in their order, from a payload nobody has seen to a judged result."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from btgames import timing
from btgames.arena import cell_of, clean_folder, hand_over
from btgames.errors import HostError, Unsupported
from btgames.result import Announce, Heat, Outcome
from btgames.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from btgames.arena import Arena
    from btgames.hosts import Process
    from btgames.swarm import Prepared, Swarm
    from btgames.timing import Watcher
    from btgames.workshop import Racer

LOG_TAIL_BYTES = 2000
"""Of the client's log, in the race card; `--keep` keeps more."""

REASON_LENGTH = 800
"""Characters of a reason; of a longer one, beginning and end."""


class Keeper(Protocol):
    """Who keeps what a heat leaves behind, for people who debug a client."""

    def capture(self) -> AbstractContextManager[None]:
        """Return a context manager that records the client's packets."""

    def keep(self, name: str, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:
        """Copy log, torrent, download and the tracker's log away."""


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
        with timing.stopwatch(arena) as stopwatch:
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
        torrentfile = racer.wrapper.torrentfile(arena.client.within, cell, arena.desk, torrent)
        command = racer.wrapper.download(torrentfile, arena.into)
        hand_over(arena)
        spec = timing.spec_of(arena, racer, cell, command, prepared)
        if keeper is None:
            facts = timing.measure(stopwatch, spec, swarm, watcher)
        else:
            with keeper.capture():
                facts = timing.measure(stopwatch, spec, swarm, watcher)
    announces = swarm.announces()
    complaints = swarm.complaints()
    if keeper is not None:
        keeper.keep(name, prepared, arena.into, announces)
    return _result(arena, facts, announces, complaints)


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
