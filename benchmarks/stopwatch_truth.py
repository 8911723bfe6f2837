"""
How late does the stopwatch see the last block, and what does it cost? Compared with a client that knows the truth.

    python benchmarks/stopwatch_truth.py [--small HEATS] [--large HEATS]

The client writes a payload at a steady pace, takes the time before and after it writes the last block, and stays. To
keep: at most 5 ms late in 99 of 100 heats, never early, under 5 % of a core while 200 MB arrive in 2 s.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import mmap
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from btgames import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_SIZE = 256 * 1024
NAME = "payload.bin"
CELL = Path(__file__).parents[1] / "tests" / "bare_cell.py"


@dataclass(frozen=True)
class Way:
    """How the client writes."""

    call: str  # write or mmap
    order: str  # in order or random
    file: str  # growing, sparse or preallocated
    name: str = NAME  # while it is written; given its own name at the end

    def __str__(self) -> str:
        renamed = "" if self.name == NAME else ", renamed at the end"
        return f"{self.call}, {self.order}, {self.file}{renamed}"


WAYS = (
    Way("write", "in order", "growing"),
    Way("write", "random", "growing"),
    Way("write", "random", "sparse"),
    Way("write", "random", "preallocated"),
    Way("mmap", "in order", "sparse"),
    Way("mmap", "random", "preallocated"),
    Way("write", "random", "sparse", name=f"{NAME}.part"),
)


class Measured(NamedTuple):
    """One heat, compared with the truth."""

    late_s: float  # after the last block had been written
    early_s: float  # before it began to be written; negative when, as should be, it was not
    cpu_share: float  # of a core, from the exec until all had been found


def client(way: Way, source: Path, into: Path, truth: Path, pace_s: float) -> None:
    """Be the contestant: write the payload within `pace_s`, note when, and wait for the signal that ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # it comes as soon as the stopwatch has seen all
    data = source.read_bytes()
    starts = list(range(0, len(data), payload.BLOCK))
    if way.order == "random":
        random.shuffle(starts)
    file = os.open(into / way.name, os.O_RDWR | os.O_CREAT)
    if way.file == "preallocated":
        os.posix_fallocate(file, 0, len(data))
    elif way.file == "sparse":
        os.ftruncate(file, len(data))
    place = _placer(way, file, len(data))
    *others, last = starts
    began_s = time.monotonic()
    for number, start in enumerate(others):
        while (early_s := began_s + pace_s * number / len(starts) - time.monotonic()) > 0:
            time.sleep(max(early_s, 0.0005))
        place(start, data[start : start + payload.BLOCK])
    block = data[last : last + payload.BLOCK]
    before_s = time.monotonic()
    place(last, block)
    if way.name != NAME:
        (into / way.name).rename(into / NAME)
    after_s = time.monotonic()
    truth.write_text(json.dumps([before_s, after_s]), encoding="ascii")
    signal.sigwait([signal.SIGINT])


def _placer(way: Way, file: int, size: int) -> Callable[[int, bytes], object]:
    if way.call == "write":
        return lambda start, block: os.pwrite(file, block, start)
    mapped = mmap.mmap(file, size)

    def place(start: int, block: bytes) -> None:
        mapped[start : start + len(block)] = block

    return place


class Bench:
    """One payload, and its heats in a scratch folder."""

    def __init__(self, folder: Path, size: int, pace_s: float) -> None:
        self._folder = folder
        self._size = size
        self._pace_s = pace_s
        seed = os.urandom(16)
        self._prepared = payload.prepare(seed, [(NAME, size)], PIECE_SIZE, random.Random())  # noqa: S311 - no secret
        self._source = folder / f"source-{size}"
        self._source.write_bytes(payload.read(seed, 0, size))
        self._count = itertools.count()

    def heat(self, way: Way) -> Measured:
        """Run one heat under the stopwatch."""
        into = self._folder / f"into-{self._size}-{next(self._count)}"
        into.mkdir()
        truth = self._folder / "truth"
        job = [json.dumps(asdict(way)), str(self._source), str(into), str(truth), str(self._pace_s)]
        spec = {
            "cell_argv": [sys.executable, "-S", str(CELL)],
            "cell": {},
            "command": {
                "argv": [sys.executable, __file__, "--client", *job],
                "env": {"PYTHONPATH": str(CELL.parents[1])},
                "cwd": str(into),
            },
            "log": str(self._folder / "log"),
            "into": str(into),
            "files": [[NAME, self._size]],
            "marks": base64.b64encode(self._prepared.marks).decode(),
            "piece_size": PIECE_SIZE,
            "pieces": base64.b64encode(self._prepared.pieces).decode(),
            "time_limit_s": 30,
            "exit_grace_s": 5,
            "exits": False,
            "interface": None,
        }
        facts = _stopwatch(spec)
        if facts["complete_s"] is None or facts["wrong_pieces"] != 0:
            sys.exit(f"{way}: the heat failed: {facts}\n{(self._folder / 'log').read_text(errors='replace')}")
        before_s, after_s = json.loads(truth.read_text(encoding="ascii"))
        complete_s = facts["exec_s"] + facts["complete_s"]
        (into / NAME).unlink()
        return Measured(complete_s - after_s, before_s - complete_s, facts["stopwatch_cpu_s"] / facts["complete_s"])


def _stopwatch(spec: dict[str, object]) -> dict[str, Any]:
    argv = [sys.executable, "-m", "btgames.agents.stopwatch"]
    env = {**os.environ, "PYTHONPATH": str(CELL.parents[1])}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(spec) + "\n")
        process.stdin.flush()
        facts: dict[str, Any] = {}
        for line in process.stdout:
            facts = json.loads(line)
        return facts


def _report(what: str, heats: list[Measured]) -> None:
    late = sorted(heat.late_s * 1e3 for heat in heats)
    p99 = late[min(len(late) - 1, int(0.99 * len(late)))]
    early = sum(heat.early_s > 0 for heat in heats)
    share = statistics.median(heat.cpu_share for heat in heats)
    print(
        f"{what:52} {len(heats):5} {statistics.median(late):7.2f} {p99:7.2f} {late[-1]:7.2f} {early:6} {share:7.1%}",
        flush=True,
    )


def _sizes(arguments: argparse.Namespace) -> Iterator[tuple[str, int, float, int]]:
    yield "2 MB in 0.07 s", 2_000_000, 0.07, arguments.small
    yield "200 MB in 2 s", 200_000_000, 2.0, arguments.large


def main() -> None:
    """Print the distribution for each way and size."""
    parser = argparse.ArgumentParser(description="How late does the stopwatch see the last block?")
    parser.add_argument("--small", type=int, default=20, help="heats of 2 MB for each way")
    parser.add_argument("--large", type=int, default=3, help="heats of 200 MB for each way")
    arguments = parser.parse_args()
    print(f"{'late by, in ms':52} heats  median     p99     max  early     CPU")
    memory = Path("/dev/shm")  # noqa: S108 - payloads live in memory, as in a race; the folder in it is private
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for what, size, pace_s, count in _sizes(arguments):
            bench = Bench(Path(folder), size, pace_s)
            everything = []
            for way in WAYS[: None if count else 0]:
                heats = [bench.heat(way) for _ in range(count)]
                everything += heats
                _report(f"{what}: {way}", heats)
            if everything:
                _report(f"{what}: all", everything)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        way_text, source_path, into_path, truth_path, pace = sys.argv[2:]
        client(Way(**json.loads(way_text)), Path(source_path), Path(into_path), Path(truth_path), float(pace))
    else:
        main()
