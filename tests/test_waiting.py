"""Waiting until machines have set themselves up: with words meanwhile, and with their log where they fail."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeHost
from fleet_rig import NO_SUCH, SKIP, rig

from btgames.errors import HostError, UserError
from btgames.hosts import Finished
from btgames.hosts.line import PATIENCE_S
from btgames.hosts.remote import Remote
from btgames.testbeds import waiting
from btgames.testbeds.waiting import LOG, READY_S, SIGN, TELL_S, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

REMOTE = Remote("seeder-1", "seeder", "192.0.2.1", "btgames")


@dataclass
class Booting:
    """A machine whose cloud-init says this, one after the other; the last thing over and over."""

    says: list[str]
    log: str = ""
    ready_after: int = 1_000_000  # how many answers
    silent: int = 0  # how many times it does not answer
    remote: Remote = REMOTE
    asked: int = 0
    opened: list[float | None] = field(default_factory=list)
    closed: bool = False

    def __call__(self, line: object, environment: Mapping[str, str]) -> _Host:
        """Return it as SshMachine would."""
        del line, environment
        return _Host(REMOTE.name, machine=self)

    def answer(self, argv: Sequence[str]) -> Finished:
        """Answer a command."""
        if argv[0] == "test":
            assert argv[2] == SIGN
            return Finished(0 if self.asked >= self.ready_after else 1, b"", b"")
        if argv[0] == "tail":
            assert argv[3] == LOG
            return Finished(0, self.log.encode(), b"")
        self.asked += 1
        said = self.says[0] if len(self.says) == 1 else self.says.pop(0)
        if not said.startswith("{"):
            return Finished(1, b"", said.encode())
        return Finished(0, said.encode(), b"")

    def open(self, patience_s: float | None = None) -> None:
        """Answer at once, or not in as long as that."""
        self.opened.append(patience_s)
        if len(self.opened) <= self.silent:
            raise HostError("seeder-1 does not answer at 192.0.2.1 port 22: no connection")

    def close(self) -> None:
        """Be hung up."""
        self.closed = True


@dataclass
class _Host(FakeHost):
    machine: Booting | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002, ARG002 - the protocol's signature
        timeout_s: float = 60.0,  # noqa: ARG002 - the protocol's signature
        check: bool = True,
    ) -> Finished:
        """Answer a command in the machine's place."""
        assert self.machine
        assert not check
        return self.machine.answer(argv)


@contextmanager
def booting(
    monkeypatch: pytest.MonkeyPatch, *says: str, log: str = "", ready_after: int = 10**6, silent: int = 0
) -> Iterator[Booting]:
    """Put a machine that only talks in the place of one."""
    made = Booting(list(says), log, ready_after, silent)
    monkeypatch.setattr(waiting, "SshMachine", made)
    monkeypatch.setattr(waiting, "Line", lambda _: made)
    monkeypatch.setattr(waiting, "POLL_S", 0.001)
    yield made
    assert made.closed


def status(word: str) -> str:
    """Return what ``cloud-init status`` prints."""
    return json.dumps({"status": word, "errors": []})


def refusal(within_s: float = 5.0) -> list[str]:
    """Return the lines that waiting ends with."""
    with pytest.raises(UserError) as refused:
        wait_until_ready([REMOTE], lambda _: None, within_s=within_s)
    return str(refused.value).split("\n")


# Without a machine.


def test_nobody_is_waited_for_at_once() -> None:
    """A fleet without machines is ready."""
    wait_until_ready([], lambda _: None)


def test_a_machine_that_is_ready_is_not_talked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sign is there nothing is said, and cloud-init is not asked."""
    notes: list[str] = []
    with booting(monkeypatch, status("done"), ready_after=0) as machine:
        wait_until_ready([REMOTE], notes.append)
    assert notes == []
    assert machine.asked == 0


@pytest.mark.parametrize("before", ["running", "not run", "not started"])
def test_a_machine_that_is_at_it_is_waited_for(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """While cloud-init has not ended it is asked again; then it is told how long that took."""
    notes: list[str] = []
    with booting(monkeypatch, status(before), status(before), status("done"), ready_after=3) as machine:
        wait_until_ready([REMOTE], notes.append)
    assert machine.asked == 3
    assert notes == ["seeder-1: answers, and is still setting itself up", "seeder-1: ready after 0 s"]


def test_warnings_of_cloud_init_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the sign, which is left when all is there, whatever else cloud-init complains of."""
    with booting(monkeypatch, status("degraded"), ready_after=1):
        wait_until_ready([REMOTE], lambda _: None)


@pytest.mark.parametrize("word", ["error", "done", "degraded", "disabled"])
def test_a_machine_that_failed_shows_its_log(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """The lines that tell why are shown, not all of them, and what to do next."""
    log = (
        "Reading lists...\n\nE: Unable to locate package frob\nall else went well\nTraceback of something\n" + "x\n" * 9
    )
    with booting(monkeypatch, status(word), log=log):
        assert refusal() == [
            f"seeder-1: setting itself up failed ({word}); its {LOG} says:",
            "  E: Unable to locate package frob",
            "  Traceback of something",
            "./inv hosts tells its state; ./inv replace seeder-1 makes a pristine one",
        ]


def test_a_log_that_tells_nothing_is_shown_by_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a line that sounds like trouble, the last ones are all there is; long ones are cut."""
    log = "\n".join(f"line {number} {'x' * 300}" for number in range(40))
    with booting(monkeypatch, status("error"), log=log):
        lines = refusal()
    assert len(lines) == 14
    assert lines[1].startswith("  line 28 x")
    assert max(map(len, lines)) <= 162


def test_a_machine_that_is_never_done_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline its log is shown as far as it has come."""
    began = time.monotonic()
    with booting(monkeypatch, status("running"), log="Setting up gcc\n"):
        lines = refusal(within_s=0.2)
    assert time.monotonic() - began < 3
    assert lines[:2] == [f"seeder-1: setting itself up is not done; its {LOG} says:", "  Setting up gcc"]


def test_a_machine_without_cloud_init_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no machine of ours tells no status."""
    with booting(monkeypatch, "sh: cloud-init: not found"):
        assert refusal() == ["seeder-1: cloud-init tells no status: sh: cloud-init: not found"]


def test_a_machine_that_goes_away_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost while it sets itself up is a UserError with what to do."""
    with booting(monkeypatch, status("running")) as machine:

        def lost(argv: Sequence[str]) -> Finished:
            del argv
            raise HostError("seeder-1: the connection broke")

        monkeypatch.setattr(machine, "answer", lost)
        assert refusal() == [
            "seeder-1: the connection broke",
            "./inv hosts tells its state; ./inv replace seeder-1 makes a pristine one",
        ]


def test_a_machine_that_does_not_answer_yet_is_talked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then it is said that it is still waited for, and how long that may go on."""
    notes: list[str] = []
    with booting(monkeypatch, status("done"), ready_after=0, silent=2) as machine:
        wait_until_ready([REMOTE], notes.append, within_s=100)
    assert notes == ["seeder-1: does not answer; waiting up to 80 s more"] * 2
    assert machine.opened == [pytest.approx(TELL_S)] * 3


def test_a_machine_that_was_ready_before_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has no reason not to answer but that it is gone: no boot is granted to it. Another machine's is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    known, new = (replace(REMOTE, facts={"instance_id": name}) for name in ("i-1", "i-2"))
    with booting(monkeypatch, status("done"), ready_after=0):
        wait_until_ready([known], lambda _: None)
    granted = {}
    for remote in (known, new):
        with booting(monkeypatch, status("done"), silent=1) as machine:
            monkeypatch.setattr(waiting, "TELL_S", 1e9)
            with pytest.raises(UserError, match="does not answer"):
                wait_until_ready([remote], lambda _: None)
            granted[remote.facts["instance_id"]] = machine.opened[0]
    assert granted == {"i-1": pytest.approx(PATIENCE_S, abs=1), "i-2": pytest.approx(READY_S, abs=1)}


# With machines.


@SKIP
@pytest.mark.cloud
class TestMachines:
    """Machines that boot, and cloud-init as Debian has it."""

    def test_a_machine_that_boots_is_waited_for(self) -> None:
        """From the first moment on: when that returns it is ready; if it took its time, that was said."""
        said = [note for note in rig().notes if note.startswith("good: ")]
        assert re.fullmatch(
            r"(good: answers, and is still setting itself up\ngood: ready after \d+ s)?", "\n".join(said)
        )

    def test_a_machine_that_is_ready_takes_no_time(self) -> None:
        """A second race finds it ready, and says nothing."""
        notes: list[str] = []
        began = time.monotonic()
        wait_until_ready([rig().good, rig().good], notes.append)
        assert notes == []
        assert time.monotonic() - began < 5

    def test_a_machine_that_failed_tells_why(self) -> None:
        """A package that there is not is named by apt's own words."""
        lines = rig().why_broken.split("\n")
        assert lines[0] == f"broken: setting itself up failed (error); its {LOG} says:"
        assert lines[1] == f"  E: Unable to locate package {NO_SUCH}"
        assert lines[-1] == "./inv hosts tells its state; ./inv replace broken makes a pristine one"

    def test_one_that_failed_ends_the_wait_for_all(self) -> None:
        """Machines are waited for side by side; the first that failed is told, whoever else is ready."""
        began = time.monotonic()
        with pytest.raises(UserError, match="broken: setting itself up failed"):
            wait_until_ready([rig().good, rig().broken], lambda _: None, within_s=60)
        assert time.monotonic() - began < 10

    def test_a_machine_that_never_answers_is_given_up(self) -> None:
        """An address where nobody is: which, where, and what to do."""
        nobody = replace(rig().good, name="gone", address=rig().region.free_public())
        began = time.monotonic()
        with pytest.raises(UserError) as refused:
            wait_until_ready([nobody], lambda _: None, within_s=1.0)
        assert time.monotonic() - began < 8
        lines = str(refused.value).split("\n")
        assert lines[0].startswith(f"gone does not answer at {nobody.address} port 22: ")
        assert lines[1] == "./inv hosts tells its state; ./inv replace gone makes a pristine one"

    def test_a_machine_that_refuses_us_is_told_at_once(self) -> None:
        """A wrong key is not waited for."""
        began = time.monotonic()
        with pytest.raises(UserError, match=r"good: btgames@.* refuses the key"):
            wait_until_ready([replace(rig().good, key_file=rig().key("unknown"))], lambda _: None)
        assert time.monotonic() - began < 8
