"""Cells for tests: commands in Python, the protocol spoken by hand, and what the machine must have for them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from btgames import containment
from btgames.contract import SYSTEM_PATH
from btgames.hosts.process import processes
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
DEADLINE_S = 30.0

PYTHON = str(Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info)))
"""An interpreter without a virtual environment, for the inside of a cell."""

SHOWN = () if sys.base_prefix == "/usr" else (sys.base_prefix,)
"""What a cell must show of this machine, so that `PYTHON` runs inside."""


def need_namespaces() -> None:
    """Skip where the machine gives no namespaces."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))


def cell_in(folder: Path) -> containment.Cell:
    """Return the cell of an install into a folder, which is made, and given to whom the install runs as."""
    folder.mkdir(parents=True, exist_ok=True)
    cell = containment.cell_here(folder, SHOWN)
    if cell.uid is not None:
        os.chown(folder, cell.uid, cell.uid)
    return cell


def python(script: str, *arguments: str) -> list[str]:
    """Return the command line of a few lines of Python."""
    return [PYTHON, "-I", "-S", "-c", script, *arguments]


def wait_for(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def marked(mark: str) -> list[int]:
    """Return living processes, anywhere on this machine, whose command line ends in a mark."""
    found = []
    for process in processes():
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if process.state != "Z" and words[-2:-1] == [mark.encode()]:
            found.append(process.pid)
    return found


class Spoken:
    """A cell, and what it says, as the stopwatch would hear it. A context manager: at its end all of it is gone."""

    def __init__(self, cell: containment.Cell, argv: list[str], cwd: str = "/tmp", **changes: object) -> None:
        spec = {**cell.spec(), "command": cell.command(argv, {}, cwd), **changes}
        self.text = json.dumps(spec) + "\n"
        self._process = subprocess.Popen(
            cell.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": SYSTEM_PATH, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            text=True,
        )

    def tell(self, text: str) -> None:
        """Write to its stdin."""
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return its next event; none when it has no more to say."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        return dict(json.loads(line)) if line else {}

    def rest(self) -> list[dict[str, Any]]:
        """Return all that it has still to say."""
        return list(iter(self.hear, {}))

    def let_go(self) -> None:
        """End its stdin."""
        assert self._process.stdin
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The process id of the cell, on this machine."""
        return self._process.pid

    def status(self) -> int:
        """Return its exit status."""
        return self._process.wait(DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
