"""
The stopwatch for files of which nobody has made marks: the same, but what is right is told by the pieces' hashes.

See stopwatch.py for what it is told and what it tells; `marks` of the spec is not looked at, and what it calls blocks
are pieces.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
import time
from dataclasses import asdict
from typing import List

from btgames.agents.leash import Cell, Lines
from btgames.agents.pieces import AT_LEISURE, AT_ONCE, Pieces
from btgames.agents.stopwatch import Facts, HarnessGone, Heat, Spec
from btgames.agents.talk import say
from btgames.agents.traffic import Traffic


def main() -> int:
    """Run what stdin asks for; return 0 when its result was told."""
    signal.signal(signal.SIGINT, lambda *_: None)  # as the stopwatch does
    harness = Lines(0)
    lines: List[bytes] = []
    while not lines and not harness.ended:
        lines = harness.read()
    if not lines:
        return 1
    try:
        say({"event": "result", **asdict(_heat(Spec(**json.loads(lines[0])), harness))})
    except (HarnessGone, BrokenPipeError):
        return 1
    return 0


def _heat(spec: Spec, harness: Lines) -> Facts:
    try:
        with Cell(spec.cell_argv) as cell, Traffic(spec.interface) as traffic, _watch(spec) as watch:
            return Heat(spec, cell, watch, traffic, harness).run()
    except OSError as error:
        return Facts(failed={"who": "cell", "reason": str(error)})


def _watch(spec: Spec) -> Pieces:
    # One that exits is timed by that; when it was complete is only looked at to end it, should it stay.
    rest = AT_LEISURE if spec.exits else AT_ONCE
    return Pieces(spec.into, spec.files, base64.b64decode(spec.pieces), spec.piece_size, time.monotonic, rest)


if __name__ == "__main__":
    sys.exit(main())
