"""
A race: all heats of one scenario for some contestants, interleaved, on one testbed, into one race card.

The steps are `run`'s; what one heat is, is in heat.py.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import btgames
from btgames import contestant as contestants_module
from btgames import containment, heat, installing, leaderboard, machine, places
from btgames import scenario as scenarios
from btgames.contract import NeedsPackages
from btgames.errors import GamesError, TestbedError, Unsupported
from btgames.heat import Arena, Racer
from btgames.keep import Kept
from btgames.progress import Show
from btgames.result import CardWriter, Entrant, Header, Heat, Outcome, RaceCard
from btgames.scenario_parts import Payload
from btgames.swarm import Swarm
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.contestant import Contestant
    from btgames.scenario import Loaded, Scenario

INTERRUPTED = 130
"""The exit status of shells after SIGINT."""

WARM_UP_BYTES = 2_000_000
WARM_UP_S = 30.0
"""
A warm-up's payload and time limit: enough to load a client's files into memory, little enough to wait for.
"""

RETIRING = frozenset({Outcome.TIMED_OUT, Outcome.CRASHED})
"""
Outcomes with which a contestant in its first two heats shows that the others would be waited for in vain.
"""


@dataclass
class Race:
    """A race as it goes on: what was asked for, and what has come of it."""

    loaded: Loaded
    contestants: tuple[Contestant, ...]
    heats: int
    card: CardWriter
    show: Show
    retire: bool = True
    keep: Path | None = None
    done: list[Heat] = field(default_factory=list)
    out: set[str] = field(default_factory=set)  # labels that run no more heats
    all_ran: bool = True

    def add(self, result: Heat) -> None:
        """Record a heat: on the disk when this returns."""
        self.card.add(result)
        self.done.append(result)
        if result.outcome in {Outcome.UNSUPPORTED, Outcome.VOID}:
            self.all_ran = self.all_ran and result.outcome is Outcome.VOID and result.attempt == 1
        if result.outcome is Outcome.UNSUPPORTED:
            self.out.add(result.contestant)

    def place(self) -> str:
        """Say which heat of how many the last one was."""
        return f"heat {len(self.done):>3} of {self.heats * len(self.contestants)}"


def command(
    *,
    scenario: str,
    contestants: Sequence[str],
    heats: int | None,
    card: str | None,
    keep: str | None,
    dry_run: bool,
    seed: int | None,
    retire: bool,
    quiet: bool,
) -> int:
    """Race, as the command line asks for; return the exit status: see README."""
    loaded = scenarios.load(scenario, places.SCENARIOS)
    everyone = contestants_module.load(contestants or contestants_module.DEFAULT, places.CONTESTANTS)
    if dry_run:
        from btgames.dry_run import describe  # noqa: PLC0415 - only here

        return describe(loaded, everyone, heats or loaded.scenario.heats, sys.stdout)
    console = Console(highlight=False)
    testbed = local_testbed(loaded.scenario)
    testbed.check()
    order_seed = secrets.randbits(32) if seed is None else seed
    header = _header(loaded, everyone, heats or loaded.scenario.heats, order_seed, testbed)
    path = Path(card) if card else Path("results", f"{header.started_at[:10]}-{loaded.name}-{header.id}.jsonl")
    with _ended_by_signals(), CardWriter(path, header) as writer, Show(console, 0, quiet=quiet) as show:
        _give_to_caller(path)
        race = Race(loaded, everyone, header.heats, writer, show, retire=retire, keep=Path(keep) if keep else None)
        status = _run_to_the_end(race, testbed, order_seed)
    leaderboard.print_board([RaceCard(path, header, tuple(race.done))], console)
    console.print(f"Race card: {path}", highlight=False, soft_wrap=True)
    return status


def _run_to_the_end(race: Race, testbed: LocalTestbed, order_seed: int) -> int:
    """Run the race; whatever ends it, what was measured stands, and is shown by the caller."""
    try:
        run(race, testbed, random.Random(order_seed))
    except KeyboardInterrupt:
        race.show.note("Interrupted: what follows is what was measured so far.")
        return INTERRUPTED
    except GamesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if race.all_ran else 1


def run(race: Race, testbed: LocalTestbed, order: random.Random) -> None:
    """
    Run a race.

    1. Install who is not installed yet; who cannot be is recorded as unsupported, and the others go on.
    2. Bring up the testbed and the swarm.
    3. Warm up: one small unrecorded heat of each contestant.
    4. Round by round, in a new random order each, one heat of each contestant; recorded before the next begins.
       A void heat is run again once. Who times out or crashes in its first two heats is retired.

    Raises:
        TestbedError: the testbed could not be brought up, or died.

    """
    with ExitStack() as stack:
        racers = _ready(race, stack)
        if not racers:
            return
        stack.enter_context(testbed)
        ground = stack.enter_context(Ground(testbed, race))
        for racer in racers:
            ground.warm_up(racer)
        for round_ in range(1, race.heats + 1):
            order.shuffle(racers)
            for racer in racers:
                _heat(race, ground, racer, round_)


def _ready(race: Race, stack: ExitStack) -> list[Racer]:
    """Install everyone; return who can race."""
    racers = []
    for one in race.contestants:
        wrapper = stack.enter_context(Wrapper(one))
        try:
            installed = installing.ensure(one, wrapper, places.installed(), race.show.note)
            cell = containment.cell_here(Path(installed.folder), installed.read_only)
            version = wrapper.version(cell) or one.pin
            if one.asked_version and one.asked_version not in version:
                raise Unsupported(f"version {version} is installed, {one.asked_version} was asked for")
            racers.append(Racer(one, wrapper, installed, version))
        except NeedsPackages as needs:
            _unsupported(race, one, installing.how_to(one, needs))
        except Unsupported as why:
            _unsupported(race, one, str(why))
    return racers


def _unsupported(race: Race, one: Contestant, why: str) -> None:
    result = Heat(contestant=one.label, round=1, outcome=Outcome.UNSUPPORTED, reason=" ".join(why.split()))
    race.add(result)
    race.show.ended(result, "not raced      ")


def _heat(race: Race, ground: Ground, racer: Racer, round_: int) -> None:
    """Run one heat, again if it was void, and record it; or record that it is not run."""
    label = racer.contestant.label
    if label in race.out:
        return
    mine = [result for result in race.done if result.contestant == label and result.outcome is not Outcome.VOID]
    if race.retire and len(mine) >= 2 and all(result.outcome in RETIRING for result in mine[:2]):  # noqa: PLR2004
        words = mine[1].outcome.words
        race.add(
            Heat(
                contestant=label,
                round=round_,
                outcome=Outcome.NOT_RUN,
                reason=f"retired: {words} in its first two heats",
            )
        )
        if len(mine) == 2:  # noqa: PLR2004 - said once
            race.show.note(f"{label} is retired after its first two heats (--no-retire insists)")
        return
    for attempt in (1, 2):
        result = ground.heat(racer, round_, attempt)
        race.add(result)
        race.show.ended(result, race.place())
        if result.outcome is not Outcome.VOID:
            return


class Ground:
    """Testbed and swarm as heats find them: a swarm that failed is replaced. A context manager."""

    def __init__(self, testbed: LocalTestbed, race: Race) -> None:
        self._testbed = testbed
        self._race = race
        self._swarm: Swarm | None = None
        scenario = race.loaded.scenario
        rng = random.Random(secrets.randbits(256))
        uid = containment.passing_uid(rng) if os.geteuid() == 0 else None
        client = testbed.hosts["client"]
        self._arena = Arena(client, scenario, testbed.one_clock, uid, rng)
        self._kept = None if race.keep is None else Kept(race.keep, self._arena)

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop_swarm()

    def warm_up(self, racer: Racer) -> None:
        """Run one small unrecorded heat, so that round 1 finds caches as warm as the others."""
        small = warm_up_scenario(self._arena.scenario)
        self._race.show.begins(f"warm-up {racer.contestant.label}", small.payload.size)
        heat.run(replace(self._arena, scenario=small), racer, self._live_swarm(), self._race.show, None, round_=1)

    def heat(self, racer: Racer, round_: int, attempt: int) -> Heat:
        """Run one heat."""
        race = self._race
        race.show.begins(f"round {round_} {racer.contestant.label}", self._arena.scenario.payload.size)
        result = heat.run(self._arena, racer, self._live_swarm(), race.show, self._kept, round_=round_, attempt=attempt)
        if result.outcome is Outcome.VOID:
            self._drop_swarm()
        return result

    def _live_swarm(self) -> Swarm:
        if not self._testbed.alive:
            raise TestbedError("the testbed's namespaces are gone: somebody ended their first process")
        if self._swarm is not None and not self._swarm.alive:
            self._drop_swarm()
        if self._swarm is None:
            swarm = Swarm(self._testbed.hosts, self._arena.scenario)
            swarm.__enter__()
            self._swarm = swarm
        return self._swarm

    def _drop_swarm(self) -> None:
        if self._swarm is not None:
            self._swarm.__exit__(None, None, None)
            self._swarm = None


def warm_up_scenario(scenario: Scenario) -> Scenario:
    """Return the scenario with a small payload and a short time limit."""
    size = min(scenario.payload.size, WARM_UP_BYTES)
    piece_size = min(scenario.payload.piece_size, 1 << 15)
    payload = Payload(size=size, piece_size=piece_size, files=scenario.payload.files)
    limit = min(scenario.time_limit_s, WARM_UP_S)
    return scenario.model_copy(update={"payload": payload, "time_limit_s": limit})


def local_testbed(scenario: Scenario) -> LocalTestbed:
    """Return the local testbed that a scenario wants."""
    client = HostPlan("client", scenario.client.up_mbit, scenario.client.down_mbit)
    seeders = [HostPlan(*host) for host in scenario.seeder_hosts]
    copies = len(seeders) * scenario.payload.size
    return LocalTestbed([HostPlan("tracker"), *seeders, client], copies + heat.room_bytes(scenario) + (32 << 20))


def _header(
    loaded: Loaded, everyone: Sequence[Contestant], heats: int, order_seed: int, testbed: LocalTestbed
) -> Header:
    now = datetime.now(UTC)
    return Header(
        id=secrets.token_hex(4),
        started_at=now.isoformat(timespec="seconds"),
        btgames_version=btgames.__version__,
        scenario=loaded.name,
        scenario_text=loaded.text,
        scenario_sha256=loaded.sha256,
        payload_bytes=loaded.scenario.payload.size,
        entrants=tuple(_entrant(one) for one in everyone),
        heats=heats,
        order_seed=order_seed,
        testbed=testbed.name,
        tracker=loaded.scenario.tracker,
        links=testbed.links,
        machine=machine.facts(testbed.rights),
        libraries=machine.libraries(),
    )


def _entrant(one: Contestant) -> Entrant:
    return Entrant(
        label=one.label,
        name=one.name,
        title=one.title,
        spec=one.spec,
        pin=one.pin,
        module_sha256=one.sha256,
        yardstick=one.yardstick,
        exits=one.exits,
    )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a race as Ctrl-C does: in order, with what was measured."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_to_caller(path: Path) -> None:
    """Give what was written under sudo to who called it."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() == 0 and uid and gid:
        for each in (path, path.parent):
            if each.stat().st_uid == 0:
                os.chown(each, int(uid), int(gid))
