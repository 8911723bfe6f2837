"""
The stopwatch: starts a contestant in its cell, times it, ends it, and tells the facts. Nothing here judges.

The first line of stdin is the spec (`Spec`). While the heat runs, a line ``stop`` ends it at once, and so does the end
of stdin: the harness is gone, and nobody is told anything. Stdout gets ``progress`` every 100 ms and at last one
``result``, whose times are seconds since the exec, on this host's CLOCK_MONOTONIC.

A heat's time runs from the final exec to the first instant at which every block of the payload is seen right under its
final name; see `watch`. One thread polls every 2 ms: the last block is seen 2 to 3 ms late, never early.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Tuple

from btgames import payload
from btgames.agents.leash import CELL_GRACE_S, Cell, Lines
from btgames.agents.talk import say
from btgames.agents.traffic import Traffic
from btgames.agents.watch import Watch

POLL_S = 0.002
IDLE_POLL_S = 0.02  # when the payload needs no watching any more
PROGRESS_S = 0.1
START_LIMIT_S = 30.0  # from the spec to the exec: the cell's own work
FILES_SEEN = 10
ENDING = (("INT", 0.0), ("TERM", 2.0), ("KILL", 3.0))
"""Signals to a contestant that has to be ended, and the seconds after which each is sent."""


@dataclass(frozen=True)
class Spec:
    """A heat, as the harness asks for it."""

    cell_argv: List[str]
    cell: Dict[str, Any]  # passed on to the cell
    command: Dict[str, Any]  # argv, env, cwd: passed on to the cell
    log: str | None  # passed on to the cell
    into: str  # the download directory
    files: List[Tuple[str, int]]  # relative path, bytes
    marks: str  # base64 of `payload.pack_marks`
    piece_size: int  # bytes
    pieces: str  # base64 of the pieces' SHA-1s
    time_limit_s: float
    exit_grace_s: float  # from completion on, for the contestant to exit by itself
    exits: bool  # False: it never does, so it is ended at completion
    interface: str | None  # whose bytes are counted


@dataclass
class Facts:
    """What is told at the end. Times are seconds since the exec."""

    exec_s: float | None = None  # CLOCK_MONOTONIC
    complete_s: float | None = None
    exit_s: float | None = None
    first_block_s: float | None = None
    exit_status: int | None = None  # of the command; -N when signal N ended it
    ended_by: str | None = None  # the last signal that was sent to end it
    ended_at_s: float | None = None  # when the first one was sent
    timed_out: bool = False
    blocks_right: int = 0
    blocks: int = 0
    wrong_pieces: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    traffic: List[Tuple[float, int, int]] = field(default_factory=list)
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    peak_rss_bytes: int | None = None
    stopwatch_cpu_s: float | None = None  # from the exec until all had been found, or to the end
    failed: Dict[str, str] | None = None  # who: command or cell; reason
    limit: str | None = None  # which limit the contestant overran
    files_seen: List[Tuple[str, int]] = field(default_factory=list)


class HarnessGone(Exception):  # noqa: N818 - not an error: stdin has ended
    """Nobody is left who would read a result."""


class Heat:
    """One run of the contestant, from the spec to the end of its last process."""

    def __init__(self, spec: Spec, cell: Cell, watch: Watch, traffic: Traffic, harness: Lines) -> None:
        self._spec = spec
        self._cell = cell
        self._watch = watch
        self._traffic = traffic
        self._harness = harness
        self._facts = Facts(blocks=watch.blocks)
        self._over = False
        self._stopped = False  # by the harness
        self._tick_s = self._began_s = time.monotonic()
        self._exec_s: float | None = None
        self._empty_s: float | None = None
        self._ending_s: float | None = None  # when it was told to end
        self._signals = deque(ENDING)  # still to be sent
        self._give_up_s = 0.0  # when the last signal should long have ended all
        self._progress_s = 0.0  # when progress is told next
        self._cpu_s = 0.0  # of this process, at the exec

    def run(self) -> Facts:
        """
        Run the heat to its end and return its facts.

        Raises:
            HarnessGone: stdin has ended.

        """
        self._cell.tell(json.dumps({**self._spec.cell, "command": self._spec.command, "log": self._spec.log}))
        while not self._over:
            wait_s = max(0.0, self._tick_s - time.monotonic())
            for lines in select.select((self._cell.lines, self._harness), (), (), wait_s)[0]:
                self._hear(lines)
            now = time.monotonic()
            if now >= self._tick_s and not self._over:
                self._tick(now)
                step_s = POLL_S if self._watching else IDLE_POLL_S
                # An absolute schedule, without the ticks that a long poll has missed.
                self._tick_s += step_s * (1 + max(0, int((time.monotonic() - self._tick_s) / step_s)))
        if self._exec_s is not None and self._facts.complete_s is None:
            self._stop_counting_cpu()
        status = self._cell.end()
        if self._empty_s is None and self._facts.failed is None and not self._stopped:
            self._fail(f"it ended with status {status} before what it contained")
        self._conclude()
        return self._facts

    def stop(self) -> None:
        """End the heat at once, by the user's wish."""
        self._stopped = True
        self._signals = deque([("KILL", 0.0)])
        self._ending_s = time.monotonic()
        self._over = self._exec_s is None

    @property
    def _watching(self) -> bool:
        return self._exec_s is not None and self._facts.complete_s is None and self._ending_s is None

    def _fail(self, reason: str) -> None:
        self._facts.failed = {"who": "cell", "reason": reason}
        self._over = True

    def _hear(self, lines: Lines) -> None:
        for line in lines.read():
            if lines is self._cell.lines:
                try:
                    self._take_in(json.loads(line))
                except (ValueError, KeyError, AttributeError) as error:
                    self._fail(f"said what makes no sense: {line[:200]!r} ({error!r})")
            elif line.strip() == b"stop":
                self.stop()
        if lines.ended and lines is self._harness:
            raise HarnessGone
        self._over = self._over or lines.ended

    def _take_in(self, event: Dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "exec":
            self._facts.exec_s = self._exec_s = event["at_s"]
            self._traffic.begin(event["at_s"])
            self._cpu_s = time.process_time()
            self._tick_s = time.monotonic()
        elif kind == "failed":
            self._facts.failed = {"who": event["who"], "reason": event["reason"]}
            self._over = True
        elif kind == "exit":
            self._facts.exit_status = event["status"]
        elif kind == "empty":
            self._empty_s = event["at_s"]
            for name in ("cpu_user_s", "cpu_system_s", "peak_rss_bytes", "limit"):
                setattr(self._facts, name, event[name])
            self._over = True

    def _tick(self, now: float) -> None:
        self._traffic.sample(now)
        if self._exec_s is None:
            if now - self._began_s > START_LIMIT_S:
                self._fail(f"it did not start the command within {START_LIMIT_S:g} s")
            return
        if self._watching:
            self._look(self._exec_s)
        if now >= self._progress_s:
            self._progress_s = now + PROGRESS_S
            self._tell_progress(now - self._exec_s)
        if self._ending_s is None and self._is_due(now - self._exec_s):
            self._ending_s = now
        if self._ending_s is not None:
            self._end(now, now - self._ending_s)

    def _look(self, exec_s: float) -> None:
        complete_s = self._watch.poll()
        if self._facts.first_block_s is None and self._watch.right:
            self._facts.first_block_s = (complete_s or time.monotonic()) - exec_s
        if complete_s is not None:
            self._stop_counting_cpu()
            if self._watch.confirm():
                self._facts.complete_s = complete_s - exec_s

    def _stop_counting_cpu(self) -> None:
        self._facts.stopwatch_cpu_s = time.process_time() - self._cpu_s

    def _tell_progress(self, elapsed_s: float) -> None:
        # Were the harness not reading, to wait for it would stop the watch.
        if select.select((), (sys.stdout,), (), 0)[1]:
            right, received = self._watch.right, self._traffic.received
            say({"event": "progress", "elapsed_s": round(elapsed_s, 3), "blocks_right": right, "rx_bytes": received})

    def _is_due(self, elapsed_s: float) -> bool:
        """Tell whether the contestant is to be ended now, if it has not been told yet."""
        if self._facts.complete_s is not None:
            return not self._spec.exits or elapsed_s >= self._facts.complete_s + self._spec.exit_grace_s
        self._facts.timed_out = elapsed_s >= self._spec.time_limit_s
        return self._facts.timed_out

    def _end(self, now: float, ending_s: float) -> None:
        while self._signals and ending_s >= self._signals[0][1]:
            name, _ = self._signals.popleft()
            self._cell.tell(name)
            self._facts.ended_by = f"SIG{name}"
            if self._facts.ended_at_s is None and self._exec_s is not None:
                self._facts.ended_at_s = time.monotonic() - self._exec_s  # `now` is of before the last look
            self._give_up_s = now + CELL_GRACE_S
        if not self._signals and now > self._give_up_s:
            self._fail(f"processes were left {CELL_GRACE_S:g} s after KILL")

    def _conclude(self) -> None:
        """Add what can be known when nobody writes any more."""
        facts = self._facts
        self._traffic.sample(time.monotonic(), at_once=True)
        facts.rx_bytes, facts.tx_bytes = self._traffic.received, self._traffic.sent
        facts.traffic = self._traffic.samples
        if self._exec_s is None:
            return
        whole = self._watch.settle()
        facts.blocks_right = self._watch.right
        facts.files_seen = self._watch.seen(FILES_SEEN)
        if not self._stopped:
            facts.wrong_pieces = self._watch.wrong_pieces(base64.b64decode(self._spec.pieces), self._spec.piece_size)
        if self._empty_s is None or (self._ending_s is not None and self._empty_s >= self._ending_s):
            return
        # It ended by itself. What was seen right after its end was right at its end: nobody wrote in between.
        facts.ended_by, facts.ended_at_s, facts.timed_out = None, None, False
        facts.exit_s = self._empty_s - self._exec_s
        if whole or facts.complete_s is not None:
            facts.complete_s = min(facts.complete_s or facts.exit_s, facts.exit_s)
        if facts.blocks_right:
            facts.first_block_s = min(facts.first_block_s or facts.exit_s, facts.exit_s)


def main() -> int:
    """Run the heat that stdin asks for; return 0 when its result was told."""
    # Ctrl-C is for the harness, which then says stop. Not SIG_IGN: that would be inherited by the contestant.
    signal.signal(signal.SIGINT, lambda *_: None)
    harness = Lines(0)
    lines: List[bytes] = []
    while not lines and not harness.ended:
        lines = harness.read()
    if not lines:
        return 1
    spec = Spec(**json.loads(lines[0]))
    try:
        facts = _heat(spec, harness, stop=b"stop" in lines[1:])
        say({"event": "result", **asdict(facts)})
    except (HarnessGone, BrokenPipeError):
        return 1
    return 0


def _heat(spec: Spec, harness: Lines, *, stop: bool) -> Facts:
    try:
        # The cell comes first: the more memory this process has, the longer it takes to fork.
        with Cell(spec.cell_argv) as cell, Traffic(spec.interface) as traffic:
            _look_first()
            marks = payload.unpack_marks(base64.b64decode(spec.marks))
            with Watch(spec.into, spec.files, marks, time.monotonic) as watch:
                gc.collect()
                gc.freeze()
                gc.disable()
                heat = Heat(spec, cell, watch, traffic, harness)
                if stop:
                    heat.stop()
                return heat.run()
    except HarnessGone:
        raise
    except OSError as error:
        return Facts(failed={"who": "cell", "reason": str(error)})


def _look_first() -> None:
    """
    Where rights allow it, be woken before a client that keeps all cores busy; the cell has been started without this.

    It takes no more of a core, only sooner: of 50 heats on busy cores, the latest look is 2 ms late instead of 5.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


if __name__ == "__main__":
    sys.exit(main())
