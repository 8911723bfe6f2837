"""
A stage for attacks: a race's hosts with secrets in all the places where a race has them, and a heat's cell.

Attacks are Python that runs inside the cell, after `PRELUDE`, and prints one JSON value.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cells import DEADLINE_S, SHOWN, python

from btgames import containment, payload
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from btgames.containment import Cell
    from btgames.hosts.process import PipedProcess

MEGABYTE = 1 << 20
HEAT_BYTES = 24 * MEGABYTE
PIECE_SIZE = 1 << 15
SIZE = 20 * payload.BLOCK + 100
NAME = "payload.bin"
SEED = bytes(range(16))
DATA = payload.read(SEED, 0, SIZE)
PREPARED = payload.prepare(SEED, [(NAME, SIZE)], PIECE_SIZE, random.Random(0))  # noqa: S311 - no secret

PRELUDE = """
import ctypes, errno, json, mmap, os, resource, signal, socket, stat, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def data():
    "Return the whole payload."
    return open(os.environ["INSTALLED"] + "/source", "rb").read()

def tell(value):
    print(json.dumps(value), flush=True)

def attempt(function, *arguments):
    "Return the name of the error that a call of Python ends with, or ''."
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return ""

def call(function, *arguments):
    "Return the name of the error that a C function ends with, or ''."
    ctypes.set_errno(0)
    return "" if function(*arguments) >= 0 else errno.errorcode[ctypes.get_errno()]
"""


class Stage:
    """The hosts ``tracker``, ``seeder-1`` and ``client``, secrets about, and the means to attack. See `staged`."""

    def __init__(self, testbed: LocalTestbed, folder: Path) -> None:
        self.testbed = testbed
        self.client = testbed.hosts["client"]
        self.seeder = testbed.hosts["seeder-1"]
        self.bounds = containment.bounds_here(random.Random())  # noqa: S311 - no secret
        self.uid = self.bounds.uid
        self.secret = secrets.token_hex(16)  # written in all places that a contestant must not read
        self.installed = folder / "installed" / "mine"
        self.installed.mkdir(parents=True)
        self.installed.chmod(0o755)
        (self.installed / "source").write_bytes(DATA)  # for contestants that need no network
        self.heat = f"{self.client.folder}/heat"
        self.into = f"{self.heat}/into"
        self.seeded = f"{self.seeder.folder}/seeded/{NAME}"
        self.secret_files = [
            str(folder / "installed" / "other"),
            str(folder / "home" / "diary"),
            f"{self.seeder.folder}/seeded/marks",
            f"{self.client.folder}/client.log",
            "/run/btgames/notes",
            "/dev/shm/notes",
        ]
        for path in self.secret_files:
            self.client.put(f"{self.secret}\n".encode(), path)
        (folder / "home").chmod(0o700)
        self.client.put(DATA, self.seeded)
        owner = "0" if self.uid is None else str(self.uid)
        for argv in (
            ["mkdir", self.heat],
            [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={HEAT_BYTES},nr_inodes=4096,mode=755,nosuid,nodev",
                "heat",
                self.heat,
            ],
            ["install", "-d", "-o", owner, "-g", owner, self.into, f"{self.heat}/desk"],
        ):
            self.client.run(argv)

    def close(self) -> None:
        """Let go of the heat's folder."""
        self.client.run(["umount", "--lazy", self.heat])
        self.client.run(["rmdir", self.heat])

    def cell(self, **limits: Any) -> Cell:
        """Return a heat's cell, to be started on the client host."""
        cell = containment.cell_on(self.client, self.bounds, str(self.installed))
        return replace(containment.with_paths(cell, read_only=SHOWN, writable=(self.heat,)), **limits)

    def run(self, script: str, *arguments: str, timeout_s: float = DEADLINE_S, **limits: Any) -> tuple[int, str]:
        """Run an attack; return its exit status and what it printed."""
        cell = containment.from_here(self.cell(**limits), self.client)
        return containment.run(cell, python(PRELUDE + script, *arguments), {}, self.into, timeout_s)

    def ask(self, script: str, *arguments: str, **limits: Any) -> Any:
        """Run an attack to its good end and return the value that it told."""
        status, printed = self.run(script, *arguments, **limits)
        assert status == 0, printed
        return json.loads(printed)

    @contextmanager
    def heat_of(self, script: str, *arguments: str, **changes: Any) -> Iterator[PipedProcess]:
        """Have a stopwatch run an attack as a contestant."""
        cell = self.cell()
        spec = {
            "cell_argv": list(cell.argv),
            "cell": cell.spec(),
            "command": cell.command(python(PRELUDE + script, *arguments), {}, self.into),
            "log": f"{self.client.folder}/client.log",
            "into": self.into,
            "files": [[NAME, SIZE]],
            "marks": base64.b64encode(PREPARED.marks).decode(),
            "piece_size": PIECE_SIZE,
            "pieces": base64.b64encode(PREPARED.pieces).decode(),
            "time_limit_s": 20,
            "exit_grace_s": 5,
            "exits": True,
            "interface": "eth0",
        } | changes
        process = self.client.start([self.client.python, "-m", "btgames.agents.stopwatch"])
        try:
            process.send(json.dumps(spec).encode() + b"\n", DEADLINE_S)
            yield process
        finally:
            process.stop(grace_s=5)

    def facts(self, script: str, *arguments: str, **changes: Any) -> dict[str, Any]:
        """Have a stopwatch run an attack as a contestant; return the facts of the heat."""
        with self.heat_of(script, *arguments, **changes) as process:
            return result(process)

    def what_to_look_for(self) -> bytes:
        """Return the spec with which agents/verify.py looks for the payload in the download directory."""
        spec = {
            "folder": self.into,
            "files": [[NAME, SIZE]],
            "marks": base64.b64encode(PREPARED.marks).decode(),
            "piece_size": PIECE_SIZE,
            "pieces": base64.b64encode(PREPARED.pieces).decode(),
        }
        return json.dumps(spec).encode()

    def log(self) -> str:
        """Return what the contestant of the last heat has printed."""
        return self.client.get(f"{self.client.folder}/client.log").decode("utf-8", "replace")


def result(stopwatch: PipedProcess) -> dict[str, Any]:
    """Return what a stopwatch tells at the end."""
    while line := stopwatch.receive(2 * DEADLINE_S):
        message = json.loads(line)
        if message["event"] == "result":
            return dict(message)
    raise AssertionError(f"no result: {stopwatch.last_words()}")


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Give a stage; `folder` is on this machine, and not for the contestant."""
    folder.chmod(0o755)
    plan = [HostPlan("tracker"), HostPlan("seeder-1", 250, 250), HostPlan("client", 250, 250)]
    with LocalTestbed(plan, 128 * MEGABYTE) as testbed:
        yield Stage(testbed, folder)
