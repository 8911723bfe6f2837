"""``check``: examines this machine, or contestants, in words; see doctor_machine.py and doctor_contestant.py."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from btgames import contestant, doctor_contestant, doctor_machine, places
from btgames.doctor_machine import TINY
from btgames.finding import Finding, Mark
from btgames.interrupts import ended_by_signals
from btgames.progress import Show
from btgames.report.figures import plain
from btgames.testbeds.choice import testbed_for
from btgames.testbeds.wish import ANY, Wish
from btgames.workshop import MadeReady

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.contestant import Contestant
    from btgames.doctor_contestant import Examination

FUNCTIONS = ("install", "torrentfile", "download")
LABEL_COLUMNS = 22  # of a label, before it is folded, in a table of 80 columns


def command(*, contestants: Sequence[str], wish: Wish = ANY) -> int:
    """
    Examine these contestants, or the machine when nobody is named.

    Returns:
        0: a race can run here; or every contestant that can be installed here without packages of the system works.
        1: something does not.

    """
    console = Console(highlight=False, markup=False)
    with ended_by_signals():
        if contestants:
            return _contestants(contestant.load(contestants, places.CONTESTANTS), wish, console)
        return _judge(doctor_machine.examine() if wish == ANY else _far(wish, console), wish, console)


def _judge(findings: Iterator[Finding], wish: Wish, console: Console) -> int:
    bad = []
    for finding in findings:
        finding.tell(console)
        if finding.mark is Mark.NOT_OK:
            bad.append(finding.subject)
    where = "here" if wish == ANY else "there"
    if bad:
        console.print(f"\nA race cannot run {where} as it should: {', '.join(bad)}.")
        return 1
    console.print(f"\nA race can run {where}: {places.COMMAND} race{wish.options}")
    return 0


def _far(wish: Wish, console: Console) -> Iterator[Finding]:
    """Examine the testbed that is named: its machines are reached, furnished and moved into, the swarm answers."""
    with testbed_for(TINY, wish, console.print) as testbed:
        facts = testbed.machine([])
        system = "distribution", "kernel", "architecture", "python"
        yield Finding(Mark.OK, "client", ", ".join(str(facts[name]) for name in system))
        with testbed:
            words = ", ".join(f"{name} {host.address}" for name, host in testbed.hosts.items())
            yield Finding(Mark.OK, "hosts", words)
            yield doctor_machine.swarm(testbed)


def _contestants(everyone: Sequence[Contestant], wish: Wish, console: Console) -> int:
    done = []
    with ExitStack() as stack:
        testbed = stack.enter_context(testbed_for(TINY, wish, console.print))
        workshop = stack.enter_context(testbed.workshop([one.label for one in everyone]))
        stack.enter_context(testbed)
        show = stack.enter_context(Show(console, TINY.payload.size))
        made = MadeReady(workshop, everyone, show.note)
        for one in everyone:
            console.print(Text(plain(f"{one.label}: {one.title}"), style="bold"))
            done.append(doctor_contestant.examine(one, testbed, made, show, console))
    if len(done) > 1:
        console.print()
        console.print(_table(done))
    return 1 if any(examination.failed for examination in done) else 0


def _table(done: Sequence[Examination]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    longest = max(len(examination.contestant.label) for examination in done)
    table.add_column("contestant", overflow="fold", min_width=min(longest, LABEL_COLUMNS))
    for name in (*FUNCTIONS, "verdict", "time"):
        table.add_column(name, no_wrap=name != "verdict", overflow="fold")
    for examination in done:
        marks = [examination.marks.get(name) for name in FUNCTIONS]
        cells = [Text(mark, style=mark.colour) if mark else Text("-") for mark in marks]
        time = "-" if examination.complete_s is None else f"{examination.complete_s:.2f} s"
        table.add_row(Text(examination.contestant.label), *cells, Text(plain(examination.verdict)), Text(time))
    return table
