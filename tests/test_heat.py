"""One heat over recording fakes: its steps in their order, what ends it, and what becomes of the facts."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from fake_swarm import (
    SEEDER,
    Calls,
    FailingCalls,
    FakeWrapper,
    announce,
    arena,
    facts,
    fake_hosts,
    racer,
    small,
    steps,
)

from btgames import heat, payload, places
from btgames.contestant import Contestant, read
from btgames.errors import HostError, Unsupported
from btgames.heat import REASON_LENGTH, one_line
from btgames.hosts import Finished
from btgames.result import Heat, Outcome
from btgames.swarm import Swarm
from btgames.wrapper import Argv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.swarm import Prepared

MINE = Contestant("mine", "./mine.py", Path("/x/mine.py"))
HTTP = read(places.CONTESTANTS / "http.py", label="http", spec="http")

STEPS = [
    "client start stopwatch",
    "seeder-1 seeder make",
    "harness payload hashed",
    "tracker tracker expect",
    "seeder-1 seeder seed",
    "tracker probe ready",
    "client mkdir",
    "client mount",
    "client install",
    "client torrentfile",
    "client download",
    "client chown",
    "client stopwatch measures",
    "tracker tracker log",
    "seeder-1 seeder state",
    "client tail",
]
"""The steps of a heat, in their order."""

TEARDOWN = ["client umount", "seeder-1 seeder forget", "client stop stopwatch"]


@dataclass
class Onlooker:
    """Notes what it is told of the running heat."""

    seen: list[tuple[float, int, int]] = field(default_factory=list)

    def moved(self, elapsed_s: float, blocks_right: int, rx_bytes: int) -> None:
        """Note it."""
        self.seen.append((elapsed_s, blocks_right, rx_bytes))


@dataclass
class Cellar:
    """Notes what it is given to keep."""

    calls: Calls

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Note beginning and end."""
        self.calls.append(("harness", "capture begins", None))
        yield
        self.calls.append(("harness", "capture ends", None))

    def keep(self, name: str, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:
        """Note it."""
        self.calls.append(("harness", f"keep {name} {prepared.torrent.name} {into} {len(announces)}", None))


class Stage:
    """A heat's fakes, on which it is run; what the stopwatch tells, and what the referee has seen."""

    def __init__(
        self,
        *told: dict[str, Any],
        seen: list[dict[str, Any]] | None = None,
        contestant: Contestant = MINE,
        calls: Calls | None = None,
        one_clock: bool = True,
        uid: int | None = 61000,
    ) -> None:
        self.calls: Calls = [] if calls is None else calls
        self.hosts = fake_hosts(self.calls, list(told), seen)
        self.scenario = small()
        self.arena = arena(self.hosts, self.scenario, one_clock=one_clock, uid=uid)
        self.racer = racer(contestant, self.calls)
        self.onlooker = Onlooker()
        self.cellar: Cellar | None = None
        self.steps: list[str] = []

    def run(self, attempt: int = 1) -> Heat:
        """Run a heat; afterwards `steps` has its steps, in words."""
        with Swarm(self.hosts, self.scenario) as swarm:
            self.calls.clear()
            if isinstance(self.calls, FailingCalls):
                self.calls.armed = True
            try:
                return heat.run(self.arena, self.racer, swarm, self.onlooker, self.cellar, round_=3, attempt=attempt)
            finally:
                self.steps = steps(self.calls)

    def detail(self, step: str) -> Any:
        """Return the last call that was this step, with what it was about."""
        return next(call[2] for call in reversed(self.calls) if steps([call]) == [step])


@pytest.fixture(autouse=True)
def hashing(monkeypatch: pytest.MonkeyPatch) -> list[Calls]:
    """Return a list of calls in which the hashing of a payload is to be noted, too."""
    noted_in: list[Calls] = []
    prepare = payload.prepare

    def noting(*arguments: Any) -> payload.Prepared:
        for calls in noted_in:
            calls.append(("harness", "payload hashed", None))
        return prepare(*arguments)

    monkeypatch.setattr(payload, "prepare", noting)
    return noted_in


# The steps.


def test_the_steps_of_a_heat(hashing: list[Calls]) -> None:
    """A heat has these steps, in this order; the swarm is proven to answer before the contestant's functions run."""
    stage = Stage()
    hashing.append(stage.calls)
    assert stage.run().outcome is Outcome.FINISHED
    assert stage.steps == STEPS + TEARDOWN


def test_seeders_make_their_copies_while_the_harness_hashes_its_own(hashing: list[Calls]) -> None:
    """All seeders are told before the hashing, and asked for their answers after it; each has its own share."""
    stage = Stage()
    group = stage.scenario.seeders[0].model_copy(update={"count": 2, "has": "1/2"})
    stage.scenario = stage.scenario.model_copy(update={"seeders": (group,)})
    stage.arena = arena(stage.hosts, stage.scenario)
    second = fake_hosts(stage.calls)["seeder-1"]
    second.name = "seeder-2"
    stage.hosts["seeder-2"] = second
    hashing.append(stage.calls)
    stage.run()
    assert stage.steps[1:4] == ["seeder-1 seeder make", "seeder-2 seeder make", "harness payload hashed"]
    first, other = stage.detail("seeder-1 seeder make"), stage.detail("seeder-2 seeder make")
    assert (first["has"], other["has"]) == ([], [0])  # one piece: the half that has it is the second
    assert first["seed"] == other["seed"]


def test_every_heat_has_a_new_payload() -> None:
    """Seed and info hash are fresh in each heat, and recorded; everyone gets the same ones."""
    stage = Stage()
    results = [stage.run(), stage.run()]
    assert len({result.info_hash for result in results}) == 2
    assert len({result.payload_seed for result in results}) == 2
    assert stage.detail("seeder-1 seeder make")["seed"] == results[1].payload_seed
    assert stage.detail("tracker tracker expect")["info_hash"] == results[1].info_hash
    assert stage.detail("tracker probe ready")["seeders"] == [[SEEDER, 6881]]


def test_the_folder_is_a_file_system_of_the_heats_own() -> None:
    """It has room for the payload twice and 64 MiB, in files of a page and more; its folders are the contestant's."""
    stage = Stage()
    stage.run()
    size = 2 * 32768 + (64 << 20)
    options = f"size={size},nr_inodes={size // 4096},mode=755,nosuid,nodev"
    assert stage.detail("client mount") == ["mount", "-t", "tmpfs", "-o", options, "heat", "/fake/client/heat"]
    folders = ["/fake/client/heat/into", "/fake/client/heat/desk"]
    assert stage.detail("client install") == ["install", "-d", "-o", "61000", "-g", "61000", *folders]
    assert stage.detail("client chown") == ["chown", "-hR", "61000:61000", "/fake/client/heat/desk"]
    assert stage.detail("client download") == (f"{folders[1]}/test.torrent", folders[0])


def test_in_a_user_namespace_nothing_changes_hands() -> None:
    """Without root the contestant is who the harness is: no chown."""
    stage = Stage(uid=None)
    stage.run()
    assert "client chown" not in stage.steps
    assert stage.detail("client install")[2:6] == ["-o", "0", "-g", "0"]


def test_the_stopwatch_is_told_all_of_the_heat() -> None:
    """The stopwatch gets the command, where to look and for what, and the scenario's limits."""
    stage = Stage()
    stage.run()
    spec = stage.detail("client stopwatch measures")
    assert spec["command"]["argv"] == ["get", "/fake/client/heat/desk/test.torrent", "/fake/client/heat/into"]
    assert spec["command"]["cwd"] == spec["into"] == "/fake/client/heat/into"
    assert spec["command"]["env"]["N"] == "1"
    assert spec["cell"]["uid"] == 61000
    assert spec["cell"]["read_only"] == ["/installed", "/opt/runtime"]
    assert spec["cell"]["writable"] == ["/fake/client/heat"]
    assert spec["files"] == [["payload.bin", 32768]]
    assert len(base64.b64decode(spec["pieces"])) == 20
    assert (spec["time_limit_s"], spec["exit_grace_s"], spec["exits"]) == (60, 5, True)


def test_the_marks_stay_out_of_the_contestants_reach() -> None:
    """Marks go to the stopwatch alone: not to the torrent, not to a seeder or the tracker, not into a file."""
    stage = Stage()
    stage.run()
    marks = stage.detail("client stopwatch measures")["marks"]
    others = [call for call in stage.calls if steps([call]) != ["client stopwatch measures"]]
    assert marks
    assert marks not in repr(others)
    assert not any(verb == "put" for _, verb, _ in stage.calls)


def test_a_yardstick_gets_the_payload_over_http() -> None:
    """For a yardstick the seeder's payload is served during its heat only, and its torrent has the address."""
    stage = Stage(contestant=HTTP)
    stage.run()
    served = stage.steps.index("seeder-1 web serve")
    assert stage.steps[served + 1] == "client torrentfile"
    assert stage.steps.index("seeder-1 web forget") < stage.steps.index("client umount")
    (torrent,) = cast("FakeWrapper", stage.racer.wrapper).torrents
    assert torrent.url == f"http://{SEEDER}:8080/payload.bin"
    others = Stage()
    others.run()
    assert cast("FakeWrapper", others.racer.wrapper).torrents[0].url is None
    assert not any("web" in step for step in others.steps)


def test_what_is_kept() -> None:
    """With --keep packets are captured around the measuring, and the rest is kept before the folder goes."""
    stage = Stage(seen=[announce(1)])
    stage.cellar = Cellar(stage.calls)
    stage.run()
    around = stage.steps.index("client stopwatch measures")
    assert stage.steps[around - 1] == "harness capture begins"
    assert stage.steps[around + 1] == "harness capture ends"
    keeping = stage.steps.index("harness keep 3-mine payload.bin /fake/client/heat/into 1")
    assert keeping < stage.steps.index("client umount")


def test_who_looks_on_is_told() -> None:
    """Progress is handed on as it comes."""
    told = {"event": "progress", "elapsed_s": 0.5, "blocks_right": 1, "rx_bytes": None}
    stage = Stage(told, {**told, "rx_bytes": 9}, facts())
    stage.run()
    assert stage.onlooker.seen == [(0.5, 1, 0), (0.5, 1, 9)]


# What goes wrong.


@pytest.mark.parametrize("step", [step for step in STEPS if step != "seeder-1 seeder state"])  # a complaint: see below
def test_whatever_fails_the_heat_is_void_and_cleared_away(step: str, hashing: list[Calls]) -> None:
    """A host's failure in any step makes the heat void, with the reason; what was set up before is taken down."""
    calls = FailingCalls(step, HostError("client: no\nway"))
    stage = Stage(calls=calls)
    hashing.append(calls)
    result = stage.run()
    assert (result.outcome, result.reason) == (Outcome.VOID, "client: no way")
    assert stage.steps == STEPS[: STEPS.index(step) + 1] + expected_teardown(step)


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_in_any_step_clears_away(step: str, hashing: list[Calls]) -> None:
    """Ctrl-C in any step leaves the heat at once, and takes down what was set up."""
    calls = FailingCalls(step, KeyboardInterrupt())
    stage = Stage(calls=calls)
    hashing.append(calls)
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert stage.steps == STEPS[: STEPS.index(step) + 1] + expected_teardown(step)


def expected_teardown(step: str) -> list[str]:
    """Return what is taken down when this step fails."""
    done = STEPS[: STEPS.index(step)]
    umount = TEARDOWN[:1] if "client mount" in done else []
    forget = TEARDOWN[1:2] if "tracker tracker expect" in done else []
    # The stopwatch is stopped once it runs.
    return umount + forget + (TEARDOWN[2:] if done else [])


@pytest.mark.parametrize("step", TEARDOWN[:2])
def test_a_failure_while_clearing_away_leaves_the_result(step: str) -> None:
    """What was measured stands when the folder or the seeder cannot be cleared afterwards; such a seeder is ended."""
    stage = Stage(calls=FailingCalls(step, HostError("no")))
    assert stage.run().outcome is Outcome.FINISHED
    killed = ["seeder-1 stop seeder"] if "forget" in step else []
    assert stage.steps == [step for step in STEPS if "hashed" not in step] + TEARDOWN[:2] + killed + TEARDOWN[2:]


@pytest.mark.parametrize("step", TEARDOWN[:2])
def test_ctrl_c_while_clearing_away_is_not_lost(step: str) -> None:
    """Ctrl-C is heard in the last steps too, and the others are still done."""
    stage = Stage(calls=FailingCalls(step, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert stage.steps[-3:] == TEARDOWN


@pytest.mark.parametrize("step", ["client torrentfile", "client download"])
def test_who_turns_out_unsupported_says_why(step: str) -> None:
    """Unsupported from a function of the contestant is its outcome; nothing was started."""
    stage = Stage(calls=FailingCalls(step, Unsupported("needs\na GPU")))
    result = stage.run()
    assert (result.outcome, result.reason, result.version) == (Outcome.UNSUPPORTED, "needs a GPU", "1.0")
    assert "client stopwatch measures" not in stage.steps
    assert stage.steps[-3:] == TEARDOWN


def test_a_swarm_that_dies_ends_the_heat_at_once() -> None:
    """A seeder that dies while the contestant runs makes the heat void at the next look, with the seeder's name."""
    progress = {"event": "progress", "elapsed_s": 1.0, "blocks_right": 1, "rx_bytes": 1}
    stage = Stage(*[progress] * 5, facts())

    def dying(_: dict[str, Any]) -> list[dict[str, Any]]:
        stage.hosts["seeder-1"].processes[-1].status = -9
        return [progress] * 5

    stage.hosts["client"].agents["stopwatch"] = dying
    result = stage.run()
    assert result.outcome is Outcome.VOID
    assert result.reason.startswith("seeder-1 failed: seeder-1: seeder took no request 'state' (status -9)")
    assert len(stage.onlooker.seen) == 1


@pytest.mark.parametrize(
    ("end", "outcome"),
    [(facts(), Outcome.FINISHED), (facts(complete_s=None, timed_out=True, exit_s=None), Outcome.VOID)],
)
def test_a_tracker_that_died_voids_only_what_did_not_finish(end: dict[str, Any], outcome: Outcome) -> None:
    """A heat that finished stands, although the tracker died; one that did not is not the contestant's fault."""
    stage = Stage(end)
    host = stage.hosts["tracker"]

    def dying(_: dict[str, Any]) -> list[dict[str, Any]]:
        host.processes[0].status = 1
        return [end]

    stage.hosts["client"].agents["stopwatch"] = dying
    result = stage.run()
    assert result.outcome is outcome
    assert result.reason == ("" if outcome is Outcome.FINISHED else "the tracker died")
    assert result.announces == ()


def test_a_seeder_that_complains_voids_only_what_did_not_finish() -> None:
    """What a seeder says of its own failure makes a heat void that did not finish."""
    stage = Stage(facts(complete_s=None, exit_status=1))
    answers = {"state": {"error": "OSError: disk gone"}}
    stage.hosts["seeder-1"].agents["seeder"] = lambda request: answers.get(request["do"], {"ok": True, "folder": "/f"})
    result = stage.run()
    assert (result.outcome, result.exit_status) == (Outcome.VOID, 1)
    assert result.reason == "seeder-1 failed: seeder-1: seeder: OSError: disk gone"


@pytest.mark.parametrize("status", [None, -9])
def test_a_stopwatch_that_dies_or_falls_silent_is_the_testbeds_failure(status: int | None) -> None:
    """Whether it ended, or has told nothing for far too long: void, with its last words."""
    stage = Stage()

    def silent(_: dict[str, Any]) -> None:
        process = stage.hosts["client"].processes[-1]
        process.status, process.words = status, "" if status is None else "MemoryError"

    stage.hosts["client"].agents["stopwatch"] = silent
    result = stage.run()
    assert result.outcome is Outcome.VOID
    assert result.reason == f"client: the stopwatch died: {'it said nothing' if status is None else 'MemoryError'}"
    assert stage.steps[-3:] == TEARDOWN


def test_a_torn_last_word_is_no_result() -> None:
    """Half a line of a stopwatch that died is not taken for a message."""
    stage = Stage()

    def torn(_: dict[str, Any]) -> None:
        process = stage.hosts["client"].processes[-1]
        process.said.append(b'{"event": "resu')

    stage.hosts["client"].agents["stopwatch"] = torn
    assert stage.run().outcome is Outcome.VOID


def test_a_stopwatch_that_takes_no_spec_is_the_testbeds_failure() -> None:
    """A stopwatch that has ended before it was told anything makes the heat void."""
    stage = Stage()
    seed = stage.hosts["seeder-1"].agents["seeder"]

    def ending(request: dict[str, Any]) -> Any:
        stage.hosts["client"].processes[-1].status = 1
        return seed(request)

    stage.hosts["seeder-1"].agents["seeder"] = ending
    result = stage.run()
    assert (result.outcome, result.reason) == (Outcome.VOID, "client: the stopwatch took no spec: ended")


# What becomes of the facts.


def test_the_record_of_a_heat() -> None:
    """Facts, version, attempt and the log's end are in the record."""
    stage = Stage()
    stage.hosts["client"].results["tail"] = Finished(0, b"done \xff", b"")
    result = stage.run(attempt=2)
    assert (result.contestant, result.round, result.attempt, result.version) == ("mine", 3, 2, "1.0")
    assert (result.complete_s, result.exit_s, result.done_s, result.exit_status) == (1.5, 2.0, 2.0, 0)
    assert (result.payload_bytes, result.blocks, result.blocks_right, result.wrong_pieces) == (32768, 2, 2, 0)
    assert result.traffic == ((0.5, 70_000, 2_000),)
    assert result.log_tail == "done \ufffd"
    assert result.total_s is not None
    assert stage.detail("client tail") == ["tail", "-c", "2000", "/fake/client/client.log"]


def test_the_record_is_json_whatever_the_contestant_printed() -> None:
    """Control characters, bytes that are no text and markup in the log's end make no trouble in the card."""
    stage = Stage(facts(complete_s=None, files_seen=[["\x1b[31m\n[red]\udcff", 1]], exit_status=3, wrong_pieces=None))
    stage.hosts["client"].results["tail"] = Finished(0, b"\x1b]0;x\x07\x00\xed\xa0\x80", b"")
    result = stage.run()
    assert result.outcome is Outcome.CRASHED
    assert "\n" not in result.reason
    assert Heat.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    ("exit_s", "announces", "done_s"),
    [
        (2.0, [], 2.0),
        (2.0, [announce(1.25, "completed")], 1.25),
        (2.0, [announce(2.5, "completed")], 2.0),
        (None, [announce(1.25, "completed"), announce(1.125, "started")], 1.25),
        (None, [], None),
        (2.0, [announce(0.5, "completed", ip=SEEDER)], 2.0),
        (2.0, [announce(-0.5, "completed")], 2.0),
    ],
)
def test_done_s_is_the_clients_own_word(
    exit_s: float | None, announces: list[dict[str, Any]], done_s: float | None
) -> None:
    """Its exit or its `completed` announce, the earlier one; no seeder's announce, and none from before the exec."""
    assert Stage(facts(exit_s=exit_s), seen=announces).run().done_s == done_s


@pytest.mark.parametrize(("exit_s", "done_s"), [(2.0, 2.0), (None, None)])
def test_with_two_clocks_done_s_is_the_exit_alone(exit_s: float | None, done_s: float | None) -> None:
    """Where tracker and client have clocks of their own, they are never subtracted."""
    seen = [announce(50, "started"), announce(51, "completed")]
    result = Stage(facts(exit_s=exit_s), seen=seen, one_clock=False).run()
    assert result.done_s == done_s
    assert [each.at_s for each in result.announces] == [0.0, 1.0]


def test_a_client_that_never_began_has_not_said_that_it_is_done() -> None:
    """Without an exec an announce has no time that means anything."""
    failed = {"who": "command", "reason": "no such program"}
    never = facts(failed=failed, exec_s=None, complete_s=None, exit_s=None, exit_status=None)
    result = Stage(never, seen=[announce(5, "completed")]).run()
    assert (result.outcome, result.done_s) == (Outcome.CRASHED, None)
    assert result.reason == "could not be started: no such program"


def test_only_the_contestants_own_announces_are_recorded() -> None:
    """Those of seeders are left out; times are since the exec; whatever event a client invents is kept."""
    seen = [
        announce(-1, "started", ip=SEEDER),
        announce(0.25, "started", left=None, transport="udp"),
        announce(1.0, "\x1b[31modd", left=10**30),
    ]
    announces = Stage(seen=seen).run().announces
    assert [(each.at_s, each.event, each.left, each.transport) for each in announces] == [
        (0.25, "started", None, "udp"),
        (1.0, "\x1b[31modd", 10**30, "http"),
    ]


def test_the_command_may_choose_its_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Command's cwd is where it starts."""
    stage = Stage()
    monkeypatch.setattr(stage.racer.wrapper, "download", lambda *_: Argv(("x",), {}, "/elsewhere"))
    stage.run()
    assert stage.detail("client stopwatch measures")["command"]["cwd"] == "/elsewhere"


def test_a_reason_is_one_line_and_not_for_ever() -> None:
    """White space becomes single spaces; of a very long reason beginning and end are kept."""
    assert one_line(ValueError(" a\n\tb ")) == "a b"
    line = one_line("b" + "x" * 10_000 + "e")
    assert (line[0], line[-1]) == ("b", "e")
    assert len(line) <= REASON_LENGTH + 5
