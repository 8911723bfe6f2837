"""
A race: all heats of one scenario for some contestants, interleaved, on one testbed, into one race card.

The steps are `run`'s; what one heat is, is in heat.py.
"""

from __future__ import annotations

import random
import secrets
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from btgames import contestant, installing, leaderboard, places
from btgames import keep as keeping
from btgames import scenario as scenarios
from btgames.contract import NeedsPackages
from btgames.errors import GamesError, Unsupported, UserError
from btgames.ground import WARM_UP_BYTES, Ground
from btgames.header import header_of
from btgames.heat import one_line
from btgames.interrupts import INTERRUPTED, ended_by_signals
from btgames.progress import Show
from btgames.report.figures import plain
from btgames.result import CardWriter, Header, Heat, Outcome, RaceCard
from btgames.testbeds.choice import testbed_for
from btgames.testbeds.wish import ANY, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.scenario import Loaded
    from btgames.testbeds import Testbed
    from btgames.workshop import Racer, Readies

RETIRING = frozenset({Outcome.TIMED_OUT, Outcome.CRASHED})
"""
Outcomes with which a contestant in its first two heats shows that the others would be waited for in vain.
"""

NOBODY = "Nobody could race; no heat was run, and no race card is kept."


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
    began: bool = False  # somebody could be made ready

    def add(self, result: Heat) -> None:
        """Record a heat: on the disk when this returns."""
        self.card.add(result)
        self.done.append(result)
        if result.outcome in {Outcome.UNSUPPORTED, Outcome.VOID}:
            self.all_ran = self.all_ran and result.outcome is Outcome.VOID and result.attempt == 1
        if result.outcome is Outcome.UNSUPPORTED:
            self.out.add(result.contestant)

    @property
    def status(self) -> int:
        """Its exit status when it has come to its end: 2 where nobody could race at all, 1 where somebody could not."""
        if not self.began:
            return UserError.status
        return 0 if self.all_ran else 1

    def place(self) -> str:
        """Say which heat of how many the last one was; who is unsupported has none, one that is run again is one."""
        begun = {(result.contestant, result.round) for result in self.done if result.contestant not in self.out}
        return f"heat {len(begun):>3} of {self.heats * (len(self.contestants) - len(self.out))}"


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
    wish: Wish = ANY,
) -> int:
    """Race, as the command line asks for; return the exit status: see README."""
    loaded = scenarios.load(scenario, places.SCENARIOS)
    everyone = contestant.load(contestants or contestant.DEFAULT, places.CONTESTANTS)
    if dry_run:
        from btgames.dry_run import describe  # noqa: PLC0415 - only here

        return describe(loaded, everyone, heats or loaded.scenario.heats, sys.stdout)
    keep_in = None if keep is None else Path(keep)
    if keep_in is not None:
        keeping.make_ready(keep_in)
    if card is not None:
        CardWriter.make_room(Path(card))  # machines may take long to be reached: what is known now is told now
    console = Console(highlight=False)
    status, held = hold(
        loaded, everyone, heats=heats, seed=seed, card=card, keep=keep_in, retire=retire, quiet=quiet, wish=wish,
        console=console,
    )  # fmt: skip
    if status == UserError.status:
        drop(held, quiet=quiet)
        return status
    leaderboard.print_board([held], console)
    console.print(f"Race card: {held.path}", soft_wrap=True, markup=False)
    if keep_in is not None:
        console.print(f"Kept of each heat: {keep_in / _name(held.header)}", soft_wrap=True, markup=False)
    return status


def drop(held: RaceCard, *, quiet: bool) -> None:
    """Say that nobody could race, and why if that was not shown; its card is removed: it would be the newest."""
    held.path.unlink(missing_ok=True)
    words = [f"{plain(heat.contestant)}: {plain(heat.reason)}" for heat in held.heats] if quiet else []
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print("\n".join([*words, NOBODY]))


def _name(header: Header) -> str:
    """Return what a race's files are called: no other race's are."""
    return f"{header.started_at[:10]}-{header.scenario}-{header.id}"


def hold(
    loaded: Loaded,
    everyone: tuple[Contestant, ...],
    *,
    heats: int | None,
    console: Console,
    seed: int | None = None,
    card: str | None = None,
    keep: Path | None = None,
    retire: bool = True,
    quiet: bool = False,
    wish: Wish = ANY,
) -> tuple[int, RaceCard]:
    """Hold a race; return its exit status and its card, which is written heat by heat, however it ends."""
    order_seed = secrets.randbits(32) if seed is None else seed
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        show = stack.enter_context(Show(console, 0, quiet=quiet))
        testbed = stack.enter_context(testbed_for(loaded.scenario, wish, show.note))
        header = header_of(loaded, everyone, heats or loaded.scenario.heats, order_seed, testbed)
        path = Path(card) if card else Path("results", f"{_name(header)}.jsonl")
        writer = stack.enter_context(CardWriter(path, header))
        kept = None if keep is None else keep / _name(header)
        race = Race(loaded, everyone, header.heats, writer, show, retire=retire, keep=kept)
        status = _run_to_the_end(race, testbed, order_seed)
    return status, RaceCard(path, header, tuple(race.done))


def _run_to_the_end(race: Race, testbed: Testbed, order_seed: int) -> int:
    """Run the race; whatever ends it, what was measured stands, and is shown by the caller."""
    try:
        run(race, testbed, random.Random(order_seed))  # noqa: S311 - an order, not a secret
    except KeyboardInterrupt:
        race.show.note("Interrupted: what follows is what was measured so far.")
        return INTERRUPTED
    except GamesError as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(error)
        return 1
    return race.status


def run(race: Race, testbed: Testbed, order: random.Random) -> None:
    """
    Run a race.

    1. Install who is not installed yet; who cannot be is recorded as unsupported, and the others go on.
    2. Bring up the testbed and the swarm.
    3. Warm up: one small unrecorded heat of each contestant; who turns out to be unsupported is recorded as that.
    4. Round by round, in a new random order each, one heat of each contestant; recorded before the next begins.
       A void heat is run again once. Who times out or crashes in its first two heats is retired.

    Raises:
        TestbedError: the testbed could not be brought up, or died.

    """
    with ExitStack() as stack:
        racers = _ready(race, stack.enter_context(testbed.workshop([one.label for one in race.contestants])))
        if not racers:
            return
        race.began = True
        stack.enter_context(testbed)
        ground = stack.enter_context(Ground(testbed, race.loaded.scenario, race.show, race.keep))
        for racer in racers:
            race.show.begins(f"warm-up {racer.contestant.label}", WARM_UP_BYTES)
            result = ground.warm_up(racer)
            if result.outcome is Outcome.UNSUPPORTED:  # once is enough: a module that hangs takes long to give up
                _unsupported(race, racer.contestant, result.reason)
        for round_ in range(1, race.heats + 1):
            order.shuffle(racers)
            for racer in racers:
                _heat(race, ground, racer, round_)


def _ready(race: Race, workshop: Readies) -> list[Racer]:
    """Install everyone whose transport the seeders accept; return who can race."""
    racers = []
    utp_only = race.loaded.scenario.transport == "utp"
    able = [one for one in race.contestants if one.utp or one.yardstick or not utp_only]
    for one in race.contestants:
        if one not in able:
            _unsupported(race, one, "it speaks no uTP (BEP 29), and the scenario's seeders nothing else")
    for one, made in zip(able, workshop.ready_all(able, race.show.note), strict=True):
        if isinstance(made, NeedsPackages):
            _unsupported(race, one, installing.how_to(one, made, workshop.options))
        elif isinstance(made, Unsupported):
            _unsupported(race, one, str(made))
        else:
            racers.append(made)
    return racers


def _unsupported(race: Race, one: Contestant, why: str) -> None:
    result = Heat(contestant=one.label, round=1, outcome=Outcome.UNSUPPORTED, reason=one_line(why))
    race.add(result)
    race.show.ended(result, "not raced      ")


def _with_defect(result: Heat, one: Contestant) -> Heat:
    """Return a heat with what is known of its contestant in the reason, if that may be why it failed."""
    if not one.defect or result.outcome not in {*RETIRING, Outcome.CORRUPT}:
        return result
    return result.model_copy(update={"reason": one_line(f"{result.reason}; known of it: {one.defect}")})


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
        race.show.begins(f"round {round_} {label}", race.loaded.scenario.payload.size)
        result = _with_defect(ground.heat(racer, round_, attempt), racer.contestant)
        race.add(result)
        race.show.ended(result, race.place())
        if result.outcome is not Outcome.VOID:
            return
