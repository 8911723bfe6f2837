"""Real races through the command line, as a user runs them, and what they leave behind."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import pytest

from btgames import places
from btgames.hosts.process import processes
from btgames.needs import DELUGE, OPENTRACKER, Need
from btgames.result import Heat, RaceCard
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

ROOT = Path(__file__).parent.parent
CONTESTANTS = ROOT / "tests" / "contestants"
SCENARIOS = ROOT / "tests" / "scenarios"
FAKE = CONTESTANTS / "fake.py"
SEEDS_ON = CONTESTANTS / "seeds_on.py"

BTGAMES = (sys.executable, "-P", "-m", "btgames")  # the command line, as ./inv starts it
DEADLINE_S = 30.0
RACE_S = 150.0  # a race of some tiny heats, on a machine that is busy
LOOK_S = 0.02  # between two looks at a race; to look is work, which the race should not feel


def fake(behaviour: str) -> str:
    """Return the entry of a fake contestant, labelled as it behaves."""
    return f"{behaviour}={FAKE}@{behaviour}"


def need_namespaces() -> None:
    """Skip the test where the machine gives no namespaces."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))


def need(program: Need) -> None:
    """Skip the test where a program of Debian's is not installed."""
    if program.find() is None:
        pytest.skip(program.words)


def need_opentracker() -> None:
    """Skip the test where Debian's opentracker is not installed."""
    need(OPENTRACKER)


def need_deluge() -> None:
    """Skip the test where Debian's Deluge is not installed."""
    need(DELUGE)


def dice(seed: object) -> random.Random:
    """Return random numbers that are the same for the same seed."""
    return random.Random(str(seed))  # noqa: S311 - moments and victims, no secrets


def wait_for(condition: Callable[[], Found], what: str, seconds: float = DEADLINE_S) -> Found:
    """Return the first true value of a condition; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_S)
    return found


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    out: str
    err: str
    card: Path
    seconds: float

    @cached_property
    def heats(self) -> tuple[Heat, ...]:
        """The heats of its race card, which is a whole one."""
        card = RaceCard.read(self.card)
        assert not card.warnings
        return card.heats

    def of(self, label: str) -> list[Heat]:
        """Return the heats of one contestant."""
        return [heat for heat in self.heats if heat.contestant == label]

    def one(self, label: str) -> Heat:
        """Return the only heat of a contestant."""
        (heat,) = self.of(label)
        return heat


class Games:
    """The command line, in a folder of its own, with a cache of installed things that all tests share."""

    def __init__(self, folder: Path, cache: Path | None) -> None:
        """`cache` is None for the user's own, which has real clients in it."""
        self.folder = folder
        self.cache = cache or places.installed().parent.parent
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self._number = 0  # of the last command

    @classmethod
    def of(cls, factory: pytest.TempPathFactory) -> Games:
        """Return games in a new folder of pytest's."""
        return cls(factory.mktemp("games"), factory.getbasetemp() / "cache")

    @property
    def environment(self) -> dict[str, str]:
        """What commands find in their environment."""
        own = {"XDG_CACHE_HOME": str(self.cache), "TMPDIR": str(self.tmp), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *words: str, **extra: str) -> Running:
        """Start a command of the command line, in a process group of its own, as a terminal does."""
        self._number += 1
        return Running(self.folder, self._number, words, {**self.environment, **extra})

    def run(self, *words: str, timeout_s: float = RACE_S, **extra: str) -> Ran:
        """Run a command to its end."""
        with self.start(*words, **extra) as running:
            return running.ended(timeout_s)

    def start_race(self, *entries: str, scenario: str = "tiny", options: tuple[str, ...] = ()) -> Running:
        """Start a race of these contestants, on a scenario of the tests' or one that ships."""
        paths = [folder / f"{scenario}.yaml" for folder in (SCENARIOS, places.SCENARIOS)]
        path = next(path for path in paths if path.exists())
        card = self.folder / f"card-{self._number + 1}.jsonl"
        who = [word for entry in entries for word in ("--contestant", entry)]
        return self.start("race", "--scenario", str(path), *who, "--card", str(card), *options)

    def race(self, *entries: str, scenario: str = "tiny", options: tuple[str, ...] = ()) -> Ran:
        """Run a race to its end."""
        with self.start_race(*entries, scenario=scenario, options=options) as running:
            return running.ended(RACE_S)


class Running:
    """A command that runs. A context manager: at its end it is gone, whatever the test did."""

    def __init__(self, folder: Path, number: int, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self.card = folder / f"card-{number}.jsonl"
        self._out, self._err = folder / f"out-{number}", folder / f"err-{number}"
        self._began = time.monotonic()
        argv = [*BTGAMES, *words]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the harness."""
        return self._popen.pid

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(errors="replace")

    def ended(self, timeout_s: float = DEADLINE_S) -> Ran:
        """Wait until it ends."""
        status = self._popen.wait(timeout_s)
        seconds = time.monotonic() - self._began
        return Ran(status, self.printed, self._err.read_text(errors="replace"), self.card, seconds)

    def until(self, condition: Callable[[], Found], what: str) -> Found:
        """Return the first true value of a condition; fail when there is none in time, or none at the race's end."""
        found = wait_for(lambda: [value] if (value := condition()) or self.over else None, what)
        assert found is not None
        assert found[0], f"{what}: it ended before: {self.ended()}"
        return found[0]

    def interrupt(self, number: int = signal.SIGINT) -> tuple[Ran, float]:
        """Signal the process group, as Ctrl-C does; return what came of it, and the seconds until it had ended."""
        began = time.monotonic()
        os.killpg(self._popen.pid, number)
        return self.ended(), time.monotonic() - began

    def recorded(self) -> int:
        """Return how many heats its race card has by now."""
        return max(0, self.card.read_bytes().count(b"\n") - 1) if self.card.exists() else 0

    def find(self, part: str) -> int | None:
        """Return the youngest process of the race whose command line has this pattern in it; None if there is none."""
        return next((pid for pid in reversed(family(self.pid)) if re.search(part, command_line(pid))), None)

    def behaving(self) -> set[str]:
        """Return the behaviours of fakes that are alive at the moment."""
        words = [command_line(pid).partition("_behaviours.py ")[2].split() for pid in family(self.pid)]
        return {found[0] for found in words if found}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The kernel ends what the harness has started: that is one of the promises under test.
        self._popen.kill()
        self._popen.wait()


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, zombies aside; the eldest first."""
    children: dict[int, list[int]] = {}
    for entry in processes():
        if entry.state != "Z":
            children.setdefault(entry.parent, []).append(entry.pid)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def command_line(pid: int) -> str:
    """Return a process's command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Traces:
    """
    The processes of a race, seen while it runs, looked for afterwards.

    Namespaces, links and tmpfs live as long as the first process of the PID namespace, which is one of these; their
    numbers are no trace, since the kernel gives them to the next one who asks.
    """

    def __init__(self) -> None:
        self._born: dict[int, int] = {}  # process id -> start time, in ticks since the machine's start

    def see(self, pid: int) -> list[int]:
        """Note the processes of a running race; return those of the moment."""
        members = family(pid)
        self._born |= {member: _born(member) for member in members}
        return members

    def watch(self, pid: int, seconds: float) -> None:
        """Note the processes of a race for some time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.see(pid)
            time.sleep(LOOK_S)

    def left(self) -> list[str]:
        """Return those that are still alive, with their command lines."""
        found = [(entry.pid, self._born.get(entry.pid)) for entry in processes() if entry.state != "Z"]
        return [f"{pid} {command_line(pid)}" for pid, born in found if born and born == _born(pid)]


def _born(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except OSError:  # ended meanwhile
        return 0


def machine() -> dict[str, object]:
    """Return what a race could have changed on the machine itself."""
    return {
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "run": [name for name in ("netns", "btgames") if Path("/run", name).exists()],
    }
