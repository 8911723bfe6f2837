"""The stopwatch as the harness runs it, with contestants of every kind in a cell that contains nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from btgames import payload
from btgames.agents import stopwatch
from btgames.agents.leash import Lines
from btgames.agents.traffic import MOST_SAMPLES, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
CELL = [sys.executable, "-S", str(Path(__file__).parent / "bare_cell.py")]
SEED = bytes(range(16))
PIECE_SIZE = 32 * 1024
SIZE = 20 * payload.BLOCK + 100
NAME = "payload.bin"
PREPARED = payload.prepare(SEED, [(NAME, SIZE)], PIECE_SIZE, random.Random(0))  # noqa: S311 - no secret
DATA = payload.read(SEED, 0, SIZE)
DEADLINE_S = 30.0

PRELUDE = """
import os, signal, sys, time
data = open(sys.argv[1], "rb").read()
def write(name="payload.bin", data=data):
    with open(name, "wb") as file:
        file.write(data)
"""


class Rig:
    """A download directory, and stopwatches for contestants that are a few lines of Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.into = folder / "into"
        self.into.mkdir()
        (folder / "source").write_bytes(DATA)

    def spec(self, script: str, **changes: object) -> dict[str, Any]:
        """Return the spec of a heat."""
        return {
            "cell_argv": CELL,
            "cell": {},
            "command": {
                "argv": [sys.executable, "-S", "-c", PRELUDE + script, str(self.folder / "source")],
                "env": {},
                "cwd": str(self.into),
            },
            "into": str(self.into),
            "files": [[NAME, SIZE]],
            "marks": base64.b64encode(PREPARED.marks).decode(),
            "piece_size": PIECE_SIZE,
            "pieces": base64.b64encode(PREPARED.pieces).decode(),
            "time_limit_s": 20,
            "exit_grace_s": 5,
            "exits": True,
            "interface": None,
            "log": str(self.folder / "log"),
        } | changes

    @contextlib.contextmanager
    def started(self, script: str, **changes: object) -> Iterator[subprocess.Popen[str]]:
        """Start a stopwatch and give it its spec; whatever happens, it ends."""
        argv = [sys.executable, "-m", "btgames.agents.stopwatch"]
        pipe = subprocess.PIPE
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=env) as process:
            watchdog_s = time.monotonic() + DEADLINE_S
            try:
                say(process, json.dumps(self.spec(script, **changes)))
                yield process
            finally:
                assert process.stdin
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait(max(0.1, watchdog_s - time.monotonic()))

    def run(self, script: str, **changes: object) -> dict[str, Any]:
        """Run a heat to its end, and return its result."""
        with self.started(script, **changes) as process:
            return messages(process)[-1]

    def wait_for(self, name: str) -> str:
        """Return what a file in the download directory says, once it is there and not empty."""
        return until(lambda: (self.into / name).read_text() if (self.into / name).exists() else "")


def say(process: subprocess.Popen[str], line: str) -> None:
    """Write a line to a stopwatch's stdin."""
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def messages(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Return all that a stopwatch has to say from here on."""
    assert process.stdout
    output: IO[str] = process.stdout
    return [json.loads(line) for line in output]


def until(question: Callable[[], str]) -> str:
    """Return the first answer that is not empty."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        if answer := question():
            return answer
        time.sleep(0.01)
    raise AssertionError("nothing happened")


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, waited for by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a rig."""
    return Rig(tmp_path)


def test_writes_and_exits(rig: Rig) -> None:
    """A client that writes the payload and exits: every fact is there, and complete is not after exit."""
    before_s = time.monotonic()
    facts = rig.run("write()")
    assert set(facts) == {"event"} | {field.name for field in fields(stopwatch.Facts)}
    assert before_s < facts["exec_s"] < time.monotonic()
    assert 0 < facts["first_block_s"] <= facts["complete_s"] <= facts["exit_s"] < DEADLINE_S
    assert facts["blocks_right"] == facts["blocks"] == 21
    assert facts["peak_rss_bytes"] > 1_000_000
    assert facts["cpu_user_s"] + facts["cpu_system_s"] > 0
    assert facts["stopwatch_cpu_s"] > 0
    assert facts["files_seen"] == [[NAME, SIZE]]
    expected = {
        "exit_status": 0,
        "ended_by": None,
        "ended_at_s": None,
        "timed_out": False,
        "wrong_pieces": 0,
        "failed": None,
        "limit": None,
    }
    assert {name: facts[name] for name in expected} == expected
    assert (facts["rx_bytes"], facts["tx_bytes"], facts["traffic"]) == (None, None, [])


def test_completes_long_before_it_exits(rig: Rig) -> None:
    """Completion is when the bytes are there, not when the client says so by its exit."""
    facts = rig.run("write(); now = time.monotonic(); time.sleep(0.5); sys.exit(round(now % 100))")
    assert facts["exit_s"] - facts["complete_s"] > 0.3
    assert (facts["exit_s"] is None, facts["ended_by"], facts["wrong_pieces"]) == (False, None, 0)


def test_client_has_no_priority(rig: Rig) -> None:
    """The stopwatch may look first, but the client runs with the niceness and the signals of any program."""
    script = "write('nice', b'%d %r' % (os.nice(0), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)); write()"
    rig.run(script)
    assert (rig.into / "nice").read_text() == f"{os.nice(0)} True"


def test_never_early(rig: Rig) -> None:
    """Completion is not before the last block is written, and the client's own clock proves it."""
    facts = rig.run(
        "file = open('payload.bin', 'wb', buffering=0); file.write(data[:-100]); time.sleep(0.2)\n"
        "now = time.monotonic(); file.write(data[-100:]); open('truth', 'w').write(repr(now)); time.sleep(0.3)"
    )
    truth_s = float((rig.into / "truth").read_text()) - facts["exec_s"]
    assert truth_s <= facts["complete_s"] < facts["exit_s"] - 0.1


def test_renames_at_the_end(rig: Rig) -> None:
    """Under another name nothing is complete; by the final rename all is."""
    facts = rig.run("write('payload.bin.part'); time.sleep(0.3); os.rename('payload.bin.part', 'payload.bin')")
    assert facts["complete_s"] > 0.3
    assert facts["first_block_s"] < 0.3
    assert facts["wrong_pieces"] == 0


def test_wrong_name(rig: Rig) -> None:
    """Right bytes under a wrong name are no payload, and are told among what was seen."""
    facts = rig.run("write('other.bin')")
    assert (facts["complete_s"], facts["wrong_pieces"], facts["blocks_right"]) == (None, None, 0)
    assert facts["files_seen"] == [["other.bin", SIZE]]


def test_hangs(rig: Rig) -> None:
    """A client that does nothing is ended at the time limit."""
    facts = rig.run("time.sleep(60)", time_limit_s=0.3)
    assert facts["timed_out"]
    assert (facts["complete_s"], facts["exit_s"], facts["ended_by"]) == (None, None, "SIGINT")
    assert facts["exit_status"] == 1 or facts["exit_status"] == -signal.SIGINT


def test_ignores_signals(rig: Rig) -> None:
    """Who ignores SIGINT and SIGTERM is killed, three seconds after the time limit."""
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    facts = rig.run(ignore + "while True: time.sleep(60)", time_limit_s=0.5)
    assert (facts["timed_out"], facts["ended_by"], facts["exit_status"]) == (True, "SIGKILL", -signal.SIGKILL)


def test_exits_early(rig: Rig) -> None:
    """A client that gives up half-way: its status, its exit, and how far it came."""
    facts = rig.run("write(data=data[:len(data) // 2]); sys.exit(3)")
    assert (facts["complete_s"], facts["exit_status"], facts["timed_out"]) == (None, 3, False)
    assert facts["exit_s"] > 0
    assert facts["blocks_right"] == 10
    assert facts["wrong_pieces"] == len(PREPARED.pieces) // 20 - 5


def test_crashes(rig: Rig) -> None:
    """A client that a signal ends has that signal for its status."""
    assert rig.run("os.kill(os.getpid(), signal.SIGSEGV)")["exit_status"] == -signal.SIGSEGV


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.3)
        write()
        {then}
os._exit(0)
"""


def test_daemon(rig: Rig) -> None:
    """What the command leaves running belongs to the heat: its work counts, and its end is the exit."""
    facts = rig.run(DAEMON.format(then="time.sleep(0.2)"))
    assert facts["complete_s"] > 0.3
    assert facts["exit_s"] > facts["complete_s"] + 0.1
    assert (facts["exit_status"], facts["ended_by"]) == (0, None)


def test_daemon_that_stays(rig: Rig) -> None:
    """A daemon that lives on after completion is ended after the grace, although the command had long exited."""
    facts = rig.run(DAEMON.format(then="time.sleep(60)"), exit_grace_s=0.2)
    assert (facts["exit_s"], facts["exit_status"], facts["ended_by"]) == (None, 0, "SIGINT")
    assert facts["complete_s"] + 0.2 <= facts["ended_at_s"] < DEADLINE_S
    assert facts["wrong_pieces"] == 0


def test_seeds_on_for_ever(rig: Rig) -> None:
    """Who never exits is not waited for: the grace of 60 s is for others."""
    facts = rig.run("write(); time.sleep(60)", exits=False, exit_grace_s=60)
    assert (facts["exit_s"], facts["ended_by"], facts["timed_out"]) == (None, "SIGINT", False)
    assert facts["complete_s"] > 0


def test_does_not_exit_in_time(rig: Rig) -> None:
    """Who could exit and does not is ended after the grace, and is complete all the same."""
    facts = rig.run("write(); time.sleep(60)", exit_grace_s=0.1)
    assert (facts["exit_s"], facts["ended_by"], facts["timed_out"]) == (None, "SIGINT", False)
    assert facts["complete_s"] > 0


def test_wrong_byte_that_no_mark_covers(rig: Rig) -> None:
    """Marks complete, hash wrong."""
    covered = {mark.offset + index for mark in payload.unpack_marks(PREPARED.marks) for index in range(8)}
    wrong = next(at for at in range(5000, SIZE) if at not in covered)
    facts = rig.run(f"write(data=data[:{wrong}] + bytes([data[{wrong}] ^ 1]) + data[{wrong + 1}:])")
    assert facts["complete_s"] is not None
    assert facts["wrong_pieces"] == 1


def test_truncates_after_completion(rig: Rig) -> None:
    """A file that was complete and is cut before the end: both are told."""
    facts = rig.run("write(); time.sleep(0.3); os.truncate('payload.bin', 40000)")
    assert facts["complete_s"] < facts["exit_s"] - 0.1
    assert facts["blocks_right"] == 2
    assert facts["wrong_pieces"] == len(PREPARED.pieces) // 20 - 1


def test_hostile_directory(rig: Rig) -> None:
    """A FIFO with the payload's name, names that are no text, loops of links: the result is told, in plain JSON."""
    facts = rig.run("os.mkfifo('payload.bin'); open(b'\\xff\\xfe', 'w'); os.symlink('.', 'loop'); time.sleep(0.2)")
    assert (facts["complete_s"], facts["wrong_pieces"], facts["failed"]) == (None, None, None)
    paths = sorted(path for path, _ in facts["files_seen"])
    assert paths == ["loop (symlink)", "payload.bin (FIFO)", "\N{REPLACEMENT CHARACTER}" * 2]


def test_progress(rig: Rig) -> None:
    """Progress is told every 100 ms, and says how many blocks are right."""
    half = "write('payload.bin', data[:163840]); time.sleep(1)"
    with rig.started(half + "; write()") as process:
        told = [message for message in messages(process) if message["event"] == "progress"]
    assert 5 <= len(told) <= 20
    assert {message["blocks_right"] for message in told[3:]} >= {10}
    assert [message["elapsed_s"] for message in told] == sorted(message["elapsed_s"] for message in told)


def test_traffic_is_counted(rig: Rig) -> None:
    """The interface's bytes are counted from the exec on, with the times at which they changed."""
    send = (
        "import socket; sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for _ in range(10): sender.sendto(bytes(1000), ('127.0.0.1', 9)); time.sleep(0.05)\n"
    )
    facts = rig.run(send + "write()", interface="lo")
    assert facts["rx_bytes"] >= 10 * 1028
    assert facts["tx_bytes"] >= 10 * 1028
    assert len(facts["traffic"]) >= 5
    assert facts["traffic"] == sorted(facts["traffic"])
    assert facts["traffic"][-1][1:] == [facts["rx_bytes"], facts["tx_bytes"]]


def test_stop(rig: Rig) -> None:
    """``stop`` ends the heat at once, and what is known is told."""
    with rig.started("write('up', b'up'); time.sleep(60)") as process:
        rig.wait_for("up")
        before_s = time.monotonic()
        say(process, "stop")
        facts = messages(process)[-1]
    assert time.monotonic() - before_s < 2
    assert (facts["event"], facts["ended_by"], facts["timed_out"]) == ("result", "SIGKILL", False)
    assert facts["failed"] is None


def test_stop_at_once(rig: Rig) -> None:
    """``stop`` may come before the contestant has begun."""
    with rig.started("write('up', b'up'); time.sleep(60)") as process:
        say(process, "stop")
        facts = messages(process)[-1]
    assert (facts["event"], facts["complete_s"], facts["failed"]) == ("result", None, None)


def test_harness_is_gone(rig: Rig) -> None:
    """When stdin ends, all is ended at once, and there is nobody to tell a result."""
    with rig.started("write('pid', b'%d' % os.getpid()); signal.pause()") as process:
        pid = int(rig.wait_for("pid"))
        assert not is_gone(pid)
        assert process.stdin
        process.stdin.close()
        assert all(message["event"] == "progress" for message in messages(process))
        assert process.wait(5) == 1
    assert is_gone(pid)


def test_killed(rig: Rig) -> None:
    """When the stopwatch is killed, its cell and the contestant do not outlive it."""
    with rig.started("write('pids', b'%d %d' % (os.getpid(), os.getppid())); signal.pause()") as process:
        pids = [int(word) for word in rig.wait_for("pids").split()]
        process.kill()
        until(lambda: "gone" if all(map(is_gone, pids)) else "")


def test_no_such_command(rig: Rig) -> None:
    """A command that cannot begin failed by itself; no heat has taken place."""
    facts = rig.run("", command={"argv": ["/nowhere/client"], "env": {}, "cwd": "/"})
    assert facts["failed"] == {"who": "command", "reason": "/nowhere/client: No such file or directory"}
    assert (facts["exec_s"], facts["exit_status"], facts["stopwatch_cpu_s"]) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cell": {"mode": "dies"}}, "ended with status 9 before"),
        ({"cell": {"mode": "babbles"}}, "Hello, world"),
        ({"cell_argv": ["/nowhere/cell"]}, "/nowhere/cell"),
        ({"into": "/nowhere"}, "/nowhere"),
    ],
)
def test_cell_fails(rig: Rig, changes: dict[str, object], reason: str) -> None:
    """A cell that dies, babbles or does not exist is not the contestant's fault, and is told with its reason."""
    facts = rig.run("time.sleep(60)", **changes)
    assert facts["failed"]["who"] == "cell"
    assert reason in facts["failed"]["reason"]


def test_mute_cell(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that never starts anything is given up."""
    monkeypatch.setattr(stopwatch, "START_LIMIT_S", 0.2)
    nobody, harness = os.pipe()
    try:
        spec = stopwatch.Spec(**rig.spec("", cell={"mode": "mute"}))
        facts = stopwatch._heat(spec, Lines(nobody), stop=False)
    finally:
        os.close(nobody)
        os.close(harness)
    assert facts.failed == {"who": "cell", "reason": "it did not start the command within 0.2 s"}


def test_limit_is_passed_on(rig: Rig) -> None:
    """Which limit the cell says was overrun is told as it is."""
    assert rig.run("write()", cell={"limit": "memory"})["limit"] == "memory"


def _counters(path: Path, received: int, sent: int) -> None:
    path.write_text(
        "Inter-|   Receive  |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier\n"
        "    lo:    7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
        f"  eth0:{received} 12 0 0 0 0 0 0 {sent} 34 0 0 0 0 0 0\n"
        "xeth0: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n",
        encoding="ascii",
    )


def test_traffic_of_the_right_interface(tmp_path: Path) -> None:
    """Counters are read from the line of that interface, less what they were at the exec, every 20 ms."""
    path = tmp_path / "dev"
    _counters(path, 1000, 500)
    with Traffic("eth0", str(path)) as traffic:
        traffic.sample(9.99)
        traffic.begin(10.0)
        for now, received in ((10.01, 1100), (10.015, 1200), (10.04, 1300), (10.06, 1300), (10.09, 1400)):
            _counters(path, received, 500 + received // 100)
            traffic.sample(now)
        assert traffic.samples == [(0.01, 100, 11), (0.04, 300, 13), (0.09, 400, 14)]
        assert (traffic.received, traffic.sent) == (400, 14)


def test_traffic_of_a_long_heat(tmp_path: Path) -> None:
    """A heat of hours keeps a bounded number of samples, from its beginning to its end."""
    path = tmp_path / "dev"
    _counters(path, 0, 0)
    with Traffic("eth0", str(path)) as traffic:
        traffic.sample(0.0)
        traffic.begin(0.0)
        traffic._samples = [(number * 0.02, number, 0) for number in range(1, MOST_SAMPLES + 1)]
        _counters(path, 10**6, 0)
        traffic.sample(1000.0)
        assert len(traffic.samples) == MOST_SAMPLES // 2 + 1
        assert traffic.received == 10**6
        for now, received in ((1000.03, 10**6 + 1), (1000.06, 10**6 + 2)):
            _counters(path, received, 0)
            traffic.sample(now)
        assert traffic.received == 10**6 + 1


def test_no_such_interface(tmp_path: Path) -> None:
    """An interface that is not there has no bytes, rather than none."""
    path = tmp_path / "dev"
    _counters(path, 1, 1)
    with Traffic("eth1", str(path)) as traffic:
        traffic.sample(0.0)
        traffic.begin(0.0)
        assert (traffic.received, traffic.sent, traffic.samples) == (None, None, [])
