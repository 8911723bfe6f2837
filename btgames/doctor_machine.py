"""
The machine, examined: can a race run here? Everything is tried for real, on a tiny scale.

Each check is a function that returns what it found; none raises for what a machine may lack.
"""

from __future__ import annotations

import importlib
import os
import platform
import random
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import caller, containment, machine, places, scenario
from btgames.errors import GamesError, HostError
from btgames.finding import Finding, Mark
from btgames.ground import memory_bytes
from btgames.hosts import Agent, last_lines
from btgames.needs import DELUGE, OPENTRACKER
from btgames.report.figures import size
from btgames.scenario import Scenario
from btgames.scenario_parts import KIB, Client, Payload, Seeders
from btgames.swarm import Swarm
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.precheck import available_bytes, gather, no_room, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btgames.hosts.namespace import NamespaceHost
    from btgames.needs import Need
    from btgames.testbeds import Testbed

LINK_MBIT = 100.0
"""Of the probed link: enough to need a shaper that works, little enough for a machine that is busy."""

GOODPUT = 0.957
"""What Ethernet, IP and TCP leave of a link's rate to the payload, with packets of 1500 bytes and TCP's timestamps."""

NEARLY, AT_ALL = 0.03, 0.15
"""By how much the goodput may be off: as the links are meant to be; and before times mean nothing."""

PROBE_S = 0.4
SETTLE_S = 0.1
"""Length of the probe of a link, and how much of its beginning does not count: TCP's start and a full bucket."""

TINY = Scenario(
    description="a tiny heat, to see whether things work",
    payload=Payload(size=2_000_000, piece_size=32 * KIB),  # of `small`: one client of 2013 hangs on anything smaller
    seeders=(Seeders(up_mbit=None),),
    client=Client(up_mbit=None, down_mbit=None),
    time_limit_s=30.0,
    exit_grace_s=5.0,
    heats=1,
)
"""What `check` races on: time enough for a client that takes 11 s to begin; links that are not shaped."""


def examine() -> Iterator[Finding]:
    """Find, one after the other, all that a race needs of this machine."""
    yield python(sys.version_info[:3])
    yield packages(importlib.import_module)
    yield system()
    namespaces = _namespaces()
    yield namespaces
    yield memory(available_bytes() if platform.system() == "Linux" else 0)
    if namespaces.mark is Mark.OK:
        yield from _testbed()
        yield _installs(places.installed())
    yield debian_program(OPENTRACKER, "tracker: opentracker")
    yield debian_program(DELUGE, "seeder: deluge")
    yield _apt(shutil.which("apt-get"))


def python(version: tuple[int, ...]) -> Finding:
    """Judge the interpreter's version; others than these cannot have libtorrent."""
    fits = (3, 11) <= version[:2] < (3, 14)
    words = ".".join(map(str, version))
    to_do = "" if fits else "3.11, 3.12 or 3.13 is needed"
    return Finding(Mark.OK if fits else Mark.NOT_OK, "Python", words, to_do)


def packages(load: Callable[[str], object]) -> Finding:
    """Load what the project depends on with `load`, as a race would; libraries made for another machine fail here."""
    failed = []
    for name in machine.LIBRARIES:
        try:
            load({"pyyaml": "yaml"}.get(name, name))
        except Exception as error:  # noqa: BLE001 - whatever keeps it from loading is what we want to know
            failed.append(f"{name}: {error}")
    if failed:
        return Finding(Mark.NOT_OK, "packages", "; ".join(failed), "delete .venv and run ./inv again")
    versions = machine.libraries()
    return Finding(Mark.OK, "packages", ", ".join(f"{name} {version}" for name, version in versions.items()))


def system() -> Finding:
    """Say what machine this is; what it lacks is found by the other checks."""
    facts = machine.facts("")
    cores = os.cpu_count() or 1
    words = f"{facts['distribution']}, {facts['kernel']}, {facts['architecture']}, {cores} processors"
    if cores == 1:
        return Finding(Mark.NOTE, "system", f"{words}: client, seeders and tracker share one processor")
    return Finding(Mark.OK, "system", words)


def _namespaces() -> Finding:
    project = places.PACKAGE.parent
    trouble = why_not(gather((project, Path(sys.executable), Path(sys.prefix))))
    if trouble:
        first, *rest = trouble.splitlines()
        return Finding(Mark.NOT_OK, "namespaces", first, "\n".join(rest))
    rights = "root; contestants run as nobody in particular" if os.geteuid() == 0 else "without root"
    return Finding(Mark.OK, "namespaces", f"private PID, mount, network and IPC namespaces can be had ({rights})")


def memory(available: int) -> Finding:
    """Judge the memory for the scenarios that ship: all files of a race live there."""
    needs = {
        row.name: memory_bytes(scenario.load(row.name, places.SCENARIOS).scenario)
        for row in scenario.scenarios_table(places.SCENARIOS)
        if not row.mistake
    }
    tight = [name for name, needed in needs.items() if no_room(needed, available)]
    words = f"{size(available)} can be had"
    if not tight:
        largest = max(needs, key=lambda name: needs[name])
        return Finding(Mark.OK, "memory", f"{words}; every scenario has room ({largest} takes {size(needs[largest])})")
    mark = Mark.NOT_OK if len(tight) == len(needs) else Mark.NOTE
    return Finding(mark, "memory", f"{words}; too little for {', '.join(tight)}", "free some, or race on the others")


def _testbed() -> Iterator[Finding]:
    """Bring up a tiny testbed, and try in it what a heat relies on."""
    plan = [HostPlan("tracker"), HostPlan("seeder-1"), HostPlan("client"), HostPlan("far", LINK_MBIT, LINK_MBIT)]
    testbed = LocalTestbed(plan, memory_bytes(TINY))
    began = time.monotonic()
    try:
        testbed.__enter__()
    except GamesError as error:
        first, *rest = str(error).splitlines()
        yield Finding(Mark.NOT_OK, "testbed", first, "\n".join(rest))
        return
    try:
        words = f"{len(plan)} hosts wired and shaped in {time.monotonic() - began:.2f} s"
        yield Finding(Mark.OK, "testbed", words)
        yield _links(testbed.hosts["client"], testbed.hosts["far"])
        yield swarm(testbed)
        yield _cell(testbed.hosts["client"])
    finally:
        testbed.__exit__()


def _links(free: NamespaceHost, shaped: NamespaceHost) -> Finding:
    try:
        found = links(_goodput(free, shaped), _goodput(shaped, free))
        # A machine that was busy for a moment is given another.
        return found if found.mark is Mark.OK else links(_goodput(free, shaped), _goodput(shaped, free))
    except HostError as error:
        return Finding(Mark.NOT_OK, "links", str(error))


def _goodput(sender: NamespaceHost, receiver: NamespaceHost) -> float:
    """Return what one TCP connection carries from host to host, in Mbit/s of payload."""
    with Agent(receiver, "stream") as sink, Agent(sender, "stream") as source:
        port = sink.ask("listen")["port"]
        sink.tell("receive", settle_s=SETTLE_S)
        source.ask("send", address=receiver.address, port=port, seconds=SETTLE_S + PROBE_S, timeout_s=20.0)
        received = sink.hear(20.0)
    if received is None:
        raise HostError(f"{receiver.name}: the probe of the link did not end")
    return float(received["mbit"])


def links(down: float, up: float) -> Finding:
    """Judge what a link of `LINK_MBIT` carried: Mbit/s of TCP's payload."""
    wanted = GOODPUT * LINK_MBIT
    off = max(abs(rate / wanted - 1) for rate in (down, up))
    words = (
        f"a link of {LINK_MBIT:g} Mbit/s carries {down:.1f} down and {up:.1f} up of TCP's payload; right: {wanted:.1f}"
    )
    if off <= NEARLY:
        return Finding(Mark.OK, "links", words)
    if off <= AT_ALL:
        return Finding(Mark.NOTE, "links", words, "is the machine busy? Times of a race are as wrong as that")
    return Finding(Mark.NOT_OK, "links", words, "the kernel's tbf does not shape as it should, or the machine is busy")


def swarm(testbed: Testbed) -> Finding:
    """Start tracker and seeders of a testbed that is up, and have them answer for a tiny payload."""
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - nobody races on this payload
    began = time.monotonic()
    try:
        with Swarm(testbed.hosts, TINY) as started:
            started_s = time.monotonic() - began
            began = time.monotonic()
            with started.heat(started.prepare(TINY, rng.randbytes(16), rng)):
                ready_s = time.monotonic() - began
    except HostError as error:
        return Finding(Mark.NOT_OK, "swarm", str(error))
    words = f"tracker and seeder start in {started_s:.2f} s, know a new payload and answer for it {ready_s:.2f} s later"
    return Finding(Mark.OK, "swarm", words)


def _cell(client: NamespaceHost) -> Finding:
    """Run a command as a contestant's is run, in a heat: without rights, with a root directory of its own."""
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - a uid, no secret
    cell = containment.from_here(containment.cell_on(client, containment.bounds_here(rng), "/usr/local"), client)
    began = time.monotonic()
    status, printed = containment.run(cell, ["id", "-u"], {}, "/", 20.0)
    if status or printed.strip() == "0":
        return Finding(Mark.NOT_OK, "containment", f"a contained command ended with status {status}: {_end(printed)}")
    return Finding(Mark.OK, "containment", f"a command runs without rights, {time.monotonic() - began:.2f} s")


def _installs(base: Path) -> Finding:
    """Write into the folder of installed things as an install does, contained."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        caller.give(base, base.parent)
        with _trial_folder(base) as folder:
            cell = containment.cell_here(folder, ())
            if cell.uid is not None:
                os.chown(folder, cell.uid, cell.uid)
            status, printed = containment.run(cell, ["touch", f"{folder}/trial"], {}, str(folder), 20.0)
    except OSError as error:
        return Finding(Mark.NOT_OK, "installs", str(error), "XDG_CACHE_HOME names another place than ~/.cache")
    if status:
        return Finding(Mark.NOT_OK, "installs", f"a contained command could not write to {base}: {_end(printed)}")
    used = sum(path.lstat().st_blocks * 512 for path in base.rglob("*"))
    free = shutil.disk_usage(base).free
    words = f"{base} can be written to; contestants take {size(used)} there, {size(free)} are free"
    if free < 1 << 30:
        return Finding(Mark.NOTE, "installs", words, "a contestant may take some hundred MB")
    return Finding(Mark.OK, "installs", words)


def _end(printed: str) -> str:
    return last_lines(printed.encode())


@contextmanager
def _trial_folder(base: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trial-", dir=base) as name:
        yield Path(name)


def debian_program(need: Need, line: str) -> Finding:
    """Tell whether a program of Debian's is here, for scenarios with this line in them."""
    if path := need.find():
        return Finding(Mark.OK, need.title, f"{path}, for scenarios with `{line}`")
    return Finding(Mark.NOTE, need.title, f"a scenario with `{line}` {need.words}")


def _apt(path: str | None) -> Finding:
    if path:
        return Finding(Mark.OK, "apt", f"{path}, for contestants that need packages of the system")
    words = "not here: contestants that need packages of the system have to be installed by hand"
    return Finding(Mark.NOTE, "apt", words)
