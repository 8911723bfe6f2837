"""
A contestant, examined: install, torrentfile and download, each judged in words, by way of a tiny heat.

What fails is the author's to mend; what the module itself says cannot be here (packages of the system that are missing,
a runtime that is not there) is told, with the way out, and counts against nobody.
"""

from __future__ import annotations

import shlex
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from btgames import heat, places, remains
from btgames.contract import CommandFailed, NeedsPackages
from btgames.doctor_machine import TINY
from btgames.errors import Unsupported
from btgames.finding import Finding, Mark
from btgames.ground import Ground
from btgames.hints import Evidence, hints, log_lines
from btgames.result import Outcome
from btgames.wrapper import ModuleError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console

    from btgames.arena import Arena
    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts import Host
    from btgames.hosts.namespace import NamespaceHost
    from btgames.progress import Show
    from btgames.result import Heat
    from btgames.swarm import Prepared
    from btgames.testbeds import Testbed
    from btgames.torrent import Torrent
    from btgames.workshop import Racer, Readies
    from btgames.wrapper import Argv, Functions

COMMAND_LENGTH = 200
"""Of a command, as it is shown."""


@dataclass
class Examination:
    """One contestant's, as it goes on: what has been found of each of its functions, and the verdict."""

    contestant: Contestant
    console: Console
    marks: dict[str, Mark] = field(default_factory=dict)  # of install, torrentfile, download: the worst finding
    verdict: str = ""
    complete_s: float | None = None  # seconds that the heat took, where it finished

    def found(self, mark: Mark, subject: str, words: str, to_do: str = "") -> None:
        """Note and tell a finding."""
        self.marks[subject] = mark
        Finding(mark, subject, words, to_do).tell(self.console, indent=2)

    @property
    def failed(self) -> bool:
        """Whether something is the author's to mend."""
        return Mark.NOT_OK in self.marks.values()


class Noted:
    """A contestant's functions, which tell an examination how their calls went; see `btgames.wrapper.Functions`."""

    def __init__(self, functions: Functions, examination: Examination, client: Host) -> None:
        self._functions = functions
        self._examination = examination
        self._client = client
        self.command = ""  # that download() returned

    def torrentfile(self, host: NamespaceHost, cell: Cell, folder: str, torrent: Torrent) -> str:
        """Have the torrent put, and see whether it is there."""
        with _judging(self._examination, "torrentfile"):
            began = time.monotonic()
            path = self._functions.torrentfile(host, cell, folder, torrent)
            took = f"{time.monotonic() - began:.2f} s"
        if self._client.run(["test", "-e", path], check=False).status:
            words = f"returned {path!r}, where nothing is"
            self._examination.found(Mark.NOT_OK, "torrentfile", words, "return the path that host.put() returns")
        else:
            self._examination.found(Mark.OK, "torrentfile", f"{path}, {took}")
        return path

    def download(self, torrentfile: str, into: str) -> Argv:
        """Keep the command, to show it."""
        with _judging(self._examination, "download"):
            command = self._functions.download(torrentfile, into)
        line = shlex.join(map(_first_line, command.argv))
        self.command = line if len(line) <= COMMAND_LENGTH else f"{line[: COMMAND_LENGTH - 3]}..."
        return command


def _first_line(word: str) -> str:
    """Return an argument as it is shown: of a whole program only where it begins."""
    lines = word.strip().splitlines()
    return word if len(lines) < 2 else f"{lines[0]} ..."  # noqa: PLR2004 - one line


class _judging:  # noqa: N801 - reads as the `with` that it is
    """Tells an examination of what a call raises; lets it through."""

    def __init__(self, examination: Examination, subject: str) -> None:
        self._examination = examination
        self._subject = subject

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Unsupported):
            mark, words, to_do = _raised(self._examination.contestant, error)
            self._examination.found(mark, self._subject, words, to_do)
            self._examination.verdict = f"not judged: {words}" if mark is Mark.NOTE else f"{self._subject}() fails"


def _raised(one: Contestant, error: Unsupported) -> tuple[Mark, str, str]:
    """Return what it means that a function raised, in words, and what can be done."""
    if isinstance(error, NeedsPackages):
        return Mark.NOTE, str(error), f"{places.COMMAND} install --contestant {one.spec}"
    if isinstance(error, ModuleError):
        return Mark.NOT_OK, str(error), ""
    if isinstance(error, CommandFailed):
        return Mark.NOT_OK, str(error), f"this command is run by {one.path}"
    return Mark.NOTE, f"it says that it cannot run here: {error}", ""


class Witness:
    """Looks at what a heat leaves before it is gone; a `heat.Keeper`."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.seen: dict[str, Any] | None = None  # fields of `Evidence`; None: no command was run

    def capture(self) -> AbstractContextManager[None]:
        """Record no packets."""
        return nullcontext()

    def keep(self, name: str, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:  # noqa: ARG002 - the protocol's signature
        """Look at the directories and the tracker's log."""
        client = self._arena.client
        self.seen = {
            "layout": prepared.torrent.layout,
            "tracker": prepared.torrent.announce,
            "into": remains.look(client, into, prepared),
            "desk": remains.look(client, self._arena.desk, prepared),
            "announces": tuple(each for each in announces if each["ip"] == client.address),
        }


def examine(one: Contestant, testbed: Testbed, workshop: Readies, show: Show, console: Console) -> Examination:
    """
    Examine a contestant on a testbed that is up.

    Raises:
        TestbedError: the testbed is gone.

    """
    examination = Examination(one, console)
    if one.problem:
        examination.verdict = "the module is broken"
        examination.found(Mark.NOT_OK, "module", one.problem)
        return examination
    try:
        racer = _install(examination, workshop, show)
    except Unsupported:
        return examination
    noted = Noted(racer.wrapper, examination, testbed.hosts["client"])
    racer = replace(racer, wrapper=noted)
    for attempt in (1, 2):
        with Ground(testbed, TINY, show) as ground:
            witness = Witness(ground.arena)
            show.begins(f"{one.label}: a tiny heat", TINY.payload.size)
            result = heat.run(ground.arena, racer, ground.swarm(), show, witness, round_=1, attempt=attempt)
            show.clear()
        if result.outcome is not Outcome.VOID:
            break
    _judge(examination, result, witness, noted.command)
    return examination


def _install(examination: Examination, workshop: Readies, show: Show) -> Racer:
    one = examination.contestant
    with _judging(examination, "install"):
        racer = workshop.ready(one, show.note)
    when = "before, in" if racer.installed.before else "in"
    words = f"{racer.version or 'no version told'}, installed {when} {racer.installed.seconds:.1f} s"
    examination.found(Mark.OK, "install", words)
    return racer


def _judge(examination: Examination, result: Heat, witness: Witness, command: str) -> None:
    if result.outcome is Outcome.UNSUPPORTED:
        return  # told already
    if witness.seen is None or result.outcome is Outcome.VOID:
        examination.verdict = f"not judged, the testbed failed: {result.reason}"
        examination.found(
            Mark.NOT_OK, "download", result.reason, f"the testbed failed twice: {places.COMMAND} check examines it"
        )
        return
    one = examination.contestant
    evidence = Evidence(result, str(one.path), one.exits, one.yardstick, **witness.seen)
    mark = Mark.OK if evidence.finished else Mark.NOTE if one.defect else Mark.NOT_OK
    examination.verdict = _verdict(result, evidence, one.defect)
    examination.complete_s = result.complete_s if evidence.finished else None
    known = f"a known defect of the client: {one.defect}" if mark is Mark.NOTE else ""
    examination.found(mark, "download", f"{command}\n{_course(result, evidence)}", known)
    for hint in hints(evidence) if not known else ():
        Finding(Mark.NOTE, "hint", hint).tell(examination.console, indent=2)
    lines = log_lines(result.log_tail)
    if not evidence.finished:
        examination.console.print("  its log ends with:" if lines else "  it printed nothing")
        for line in lines:
            examination.console.print(f"    {line}", soft_wrap=True)


def _verdict(result: Heat, evidence: Evidence, defect: str) -> str:
    if not evidence.finished:
        return f"{result.outcome.words}, as known" if defect else result.outcome.words
    stays = ", but does not exit" if evidence.exits and result.exit_s is None else ""
    return f"complete{stays}"


def _course(result: Heat, evidence: Evidence) -> str:
    """Return the course of a heat in words."""
    if not evidence.finished:
        return f"{result.outcome.words}: {result.reason}"
    words = [f"{result.payload_bytes} bytes right after {result.complete_s:.2f} s"]
    if result.exit_s is not None:
        words.append(f"exit after {result.exit_s:.2f} s with status {result.exit_status}")
    elif not evidence.exits:
        words.append(f"ended by {result.ended_by}, as EXITS = False wants it")
    if not evidence.yardstick:
        count = len(evidence.announces)
        words.append(f"{count} announce{'' if count == 1 else 's'}")
    return ", ".join(words)
