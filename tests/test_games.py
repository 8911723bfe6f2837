"""Real tiny races by the command line: what a contestant does, and what the race makes of it."""

from __future__ import annotations

import csv
import io
import json
import random
import tarfile
import time
from typing import TYPE_CHECKING

import pytest
from games import LOOK_S, RACE_S, SCENARIOS, SEEDS_ON, Games, Ran, fake, need_deluge, need_namespaces, need_opentracker

from btgames.result import RaceCard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from games import Running

pytestmark = pytest.mark.testbed

# What a fake does -> outcome, and what its reason says.
BEHAVIOURS = {
    "perfect": ("finished", ""),
    "by_udp": ("finished", ""),
    "part": ("finished", ""),
    "status_1": ("finished", "exited with status 1"),
    "hasty": ("finished", ""),
    "daemonises": ("finished", ""),
    "stays": ("finished", ""),
    "leaves_daemons": ("finished", ""),
    "floods_log": ("finished", ""),
    "crashes": ("crashed", "exited with status 1; 0 of 16 blocks were right; no file was written"),
    "segfaults": ("crashed", "ended by SIGSEGV; 0 of 16 blocks were right; no file was written"),
    "exits_early": ("corrupt", "exited with status 0; 0 of 16 blocks were right; no file was written"),
    "half": ("corrupt", "exited with status 0; 8 of 16 blocks were right"),
    "other_name": (
        "corrupt",
        "exited with status 0; 16 of 16 blocks were right, but under another name: payload.bin.done (262144 bytes)",
    ),
    "wrong_byte": ("corrupt", None),
    "spoils": ("corrupt", "looked complete, but 1 piece has the wrong hash"),
}
IMPATIENT = ("hangs", "stubborn", "forks", "talks_on", "fills_disk")


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Games:
    """Return a command line with a folder of its own."""
    need_namespaces()
    return Games.of(tmp_path_factory)


@pytest.fixture(scope="module")
def kept(games: Games) -> Path:
    """Return the folder that the race of all behaviours keeps things in."""
    return games.folder / "kept"


@pytest.fixture(scope="module")
def alive(games: Games) -> list[set[str]]:
    """Return the set of behaviours that were seen alive at a time, for many a time."""
    del games
    return []


@pytest.fixture(scope="module")
def endless(games: Games) -> Iterator[Running]:
    """Race those that do not end by themselves, beside the others: that is mostly waiting."""
    options = ("--keep", str(games.folder / "kept-impatient"))
    with games.start_race(*map(fake, IMPATIENT), fake("perfect"), scenario="impatient", options=options) as running:
        yield running


@pytest.fixture(scope="module")
def ran(games: Games, endless: Running, kept: Path, alive: list[set[str]]) -> Ran:
    """Race all behaviours in one race; each test looks at one."""
    del endless
    with games.start_race(*map(fake, BEHAVIOURS), str(SEEDS_ON), options=("--keep", str(kept))) as running:
        while not running.over:
            alive.append(running.behaving())
            time.sleep(LOOK_S)
        return running.ended()


@pytest.fixture(scope="module")
def impatient(endless: Running) -> Ran:
    """Return what came of those that do not end by themselves."""
    return endless.ended(RACE_S)


def test_a_race_of_all_kinds_runs_to_its_end(ran: Ran) -> None:
    """Whatever contestants do, all heats run: status 0, no word on stderr, each contestant on the leaderboard."""
    assert (ran.status, ran.err) == (0, "")
    assert len(ran.heats) == len(BEHAVIOURS) + 1
    assert all(f" {behaviour} " in ran.out for behaviour in BEHAVIOURS)
    assert f"Race card: {ran.card}" in ran.out


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_outcomes(ran: Ran, behaviour: str) -> None:
    """Each way to behave has its outcome, and a reason in one line that says what was found."""
    outcome, reason = BEHAVIOURS[behaviour]
    heat = ran.one(behaviour)
    assert heat.outcome == outcome, heat.reason
    assert reason in {None, heat.reason}
    assert heat.complete_s is not None or outcome != "finished"


def test_nothing_of_a_contestant_is_alive_in_the_next_heat(ran: Ran, alive: list[set[str]]) -> None:
    """Never do two contestants live at a time, whatever daemons the first has left."""
    assert ran.status == 0
    assert len(set().union(*alive)) > len(BEHAVIOURS) / 2, "most have been seen"
    assert max(len(together) for together in alive) == 1


def test_the_facts_of_a_perfect_heat(ran: Ran) -> None:
    """A heat without fault has all its facts, and its times are in their order."""
    heat = ran.one("perfect")
    assert heat.exit_status == 0
    assert heat.wrong_pieces == 0
    assert heat.blocks_right == heat.blocks == 16
    assert heat.complete_s is not None
    assert heat.exit_s is not None
    assert heat.total_s is not None
    assert heat.first_block_s is not None
    assert 0 < heat.first_block_s <= heat.complete_s <= heat.exit_s < heat.total_s
    assert heat.done_s == heat.exit_s, "it never announced `completed`"
    assert heat.version == "perfect"
    assert [announce.event for announce in heat.announces] == ["started"]
    assert heat.rx_bytes is not None
    assert heat.rx_bytes > heat.payload_bytes == 262_144
    assert heat.ended_by is None


def test_every_heat_has_a_payload_of_its_own(ran: Ran) -> None:
    """No two heats have a seed or an info hash in common."""
    assert len({heat.info_hash for heat in ran.heats}) == len({heat.payload_seed for heat in ran.heats})
    assert len({heat.info_hash for heat in ran.heats}) == len(ran.heats)


def test_a_wrong_byte_is_found(ran: Ran) -> None:
    """One bit in a quarter megabyte makes one wrong piece."""
    assert ran.one("wrong_byte").wrong_pieces == 1
    assert ran.one("spoils").wrong_pieces == 1


def test_a_rename_at_the_end_is_the_end(ran: Ran) -> None:
    """What lies under another name does not count before it is renamed, which this one does 0.4 s later."""
    complete_s = ran.one("part").complete_s
    assert complete_s is not None
    assert complete_s > 0.4


def test_a_claim_is_not_the_clock(ran: Ran) -> None:
    """`completed` announced 0.4 s early is the word of the client, `done_s`, and nothing else."""
    heat = ran.one("hasty")
    assert heat.complete_s is not None
    assert heat.done_s is not None
    assert heat.done_s < 0.4 < heat.complete_s
    assert [announce.event for announce in heat.announces] == ["started", "completed"]


def test_a_daemon_is_inside_the_clock(ran: Ran) -> None:
    """A command that exits at once and leaves the work to a daemon is over when the daemon is."""
    heat = ran.one("daemonises")
    assert heat.complete_s is not None
    assert heat.exit_s is not None
    assert 0.4 < heat.complete_s <= heat.exit_s
    assert heat.exit_status == 0


def test_the_udp_tracker(ran: Ran) -> None:
    """Announces over UDP are recorded like others."""
    announces = ran.one("by_udp").announces
    assert [(announce.event, announce.transport, announce.left) for announce in announces] == [
        ("started", "udp", 262_144),
        ("completed", "udp", 0),
    ]


def test_who_seeds_on_is_ended(ran: Ran) -> None:
    """One that says so is ended at completion, others after a grace of 1 s; none has an exit of its own."""
    seeder, other, stubborn = ran.one("seeds_on"), ran.one("stays"), ran.one("leaves_daemons")
    for heat in (seeder, other, stubborn):
        assert heat.outcome == "finished"
        assert heat.exit_s is None
    assert (seeder.ended_by, other.ended_by, stubborn.ended_by) == ("SIGINT", "SIGINT", "SIGKILL")
    assert seeder.total_s is not None
    assert other.total_s is not None
    assert stubborn.total_s is not None
    assert other.total_s > 1.0
    assert stubborn.total_s > 4.0


def test_a_log_is_kept_with_head_and_tail(ran: Ran, kept: Path) -> None:
    """Of 8 MB of talk the first and the last megabyte are kept, and the card has the last words."""
    log = next(kept.glob("*/1-floods_log/client.log")).read_bytes()
    assert log.startswith(b"first words\n")
    assert log.endswith(b"last words\n")
    assert b" bytes left out ...]" in log
    assert 2 << 20 < len(log) < (2 << 20) + 100
    assert ran.one("floods_log").log_tail.endswith("last words\n")


def test_what_is_kept(ran: Ran, kept: Path) -> None:
    """--keep leaves a folder for each heat: logs, torrent, download and packets."""
    (of_race,) = kept.iterdir()
    header = RaceCard.read(ran.card).header
    assert of_race.name == f"{header.started_at[:10]}-{header.scenario}-{header.id}"
    assert f"Kept of each heat: {of_race}" in ran.out
    assert {path.name for path in of_race.iterdir()} == {f"1-{heat.contestant}" for heat in ran.heats}
    folder = of_race / "1-perfect"
    assert {path.name for path in folder.iterdir()} == {
        "capture.pcap",
        "client.log",
        "download.tar",
        "referee.json",
        "test.torrent",
    }
    with tarfile.open(folder / "download.tar") as archive:
        assert archive.getmember("into/payload.bin").size == 262_144
    assert (folder / "test.torrent").read_bytes().startswith(b"d8:announce")
    assert {each["ip"] for each in json.loads((folder / "referee.json").read_text())} == {"198.18.0.2", "198.18.0.3"}
    packets = (folder / "capture.pcap").read_bytes()
    assert packets.startswith(0xA1B23C4D.to_bytes(4, "little"))
    assert b"\x13BitTorrent protocol" in packets


def test_what_a_contestant_prints_is_harmless(ran: Ran) -> None:
    """Escape sequences of a client are in the card as they are, and nowhere on the terminal."""
    assert "\x1b" in ran.one("crashes").log_tail
    assert "\x1b" not in ran.out


def test_time_outs(impatient: Ran) -> None:
    """Those who never end have timed out, with the means it took to end them; the next heat is as any other."""
    for behaviour in IMPATIENT:
        heat = impatient.one(behaviour)
        assert heat.outcome == "timed_out", heat
        assert heat.reason.startswith("not complete after 1 s; 0 of 16 blocks were right"), heat
        assert heat.exit_s is None
    assert impatient.one("hangs").ended_by == "SIGINT"
    assert impatient.one("stubborn").ended_by == "SIGKILL"
    assert impatient.one("perfect").outcome == "finished"
    assert impatient.status == 0


def test_talk_without_end(games: Games, impatient: Ran) -> None:
    """A log without end takes no more room than another."""
    (log,) = games.folder.glob("kept-impatient/*/1-talks_on/client.log")
    assert impatient.one("talks_on").outcome == "timed_out"
    assert 2 << 20 < log.stat().st_size < (2 << 20) + 100


def test_rounds(games: Games) -> None:
    """Heats are interleaved: each round has each contestant once, in an order that the recorded seed gives again."""
    labels = ["perfect", "by_udp", "seeds_on"]
    entries = [fake("perfect"), fake("by_udp"), str(SEEDS_ON)]
    ran = games.race(*entries, options=("--heats", "4", "--seed", "5", "--quiet"))
    header = RaceCard.read(ran.card).header
    assert (header.order_seed, header.heats, ran.status) == (5, 4, 0)
    order = random.Random(header.order_seed)  # noqa: S311 - the race's own way
    expected = []
    for number in range(1, 5):
        order.shuffle(labels)
        expected += [(number, label) for label in labels]
    assert [(heat.round, heat.contestant) for heat in ran.heats] == expected
    assert "heat " not in ran.out.partition("tiny:")[0], "--quiet leaves the leaderboard alone"


def test_retirement(games: Games) -> None:
    """Who crashes in the first two heats is retired, the other heats recorded as not run; --no-retire insists."""
    both = [fake("crashes"), fake("perfect")]
    ran = games.race(*both, options=("--heats", "3"))
    assert [heat.outcome for heat in ran.of("crashes")] == ["crashed", "crashed", "not_run"]
    assert ran.of("crashes")[2].reason == "retired: crashed in its first two heats"
    assert [heat.outcome for heat in ran.of("perfect")] == ["finished"] * 3
    assert ran.out.count("crashes is retired") == 1
    insisted = games.race(fake("crashes"), options=("--heats", "3", "--no-retire"))
    assert [heat.outcome for heat in insisted.heats] == ["crashed"] * 3
    assert (ran.status, insisted.status) == (0, 0)


@pytest.mark.parametrize("scenario", ["many-files", "opentracker", "deluge"])
def test_scenarios(games: Games, scenario: str) -> None:
    """Payloads of many files, a real opentracker and a real Deluge make a race like any other."""
    real = scenario in {"opentracker", "deluge"}
    if real:
        need_opentracker()
    if scenario == "deluge":
        need_deluge()
    ran = games.race(fake("perfect"), scenario=scenario)
    assert (ran.status, ran.one("perfect").outcome) == (0, "finished"), ran
    assert bool(ran.one("perfect").announces) == (not real)


def test_leaderboards(games: Games, ran: Ran) -> None:
    """The leaderboard is computed from the card alone, at any later time, in every format."""
    shown = {
        kind: games.run("leaderboard", "--card", str(ran.card), "--format", kind)
        for kind in ("table", "markdown", "csv", "json")
    }
    assert {(each.status, each.err) for each in shown.values()} == {(0, "")}
    assert shown["table"].out in ran.out
    rows = {row["contestant"]: row for row in csv.DictReader(io.StringIO(shown["csv"].out))}
    assert set(rows) == {heat.contestant for heat in ran.heats}
    assert "| perfect " in shown["markdown"].out
    assert json.loads(shown["json"].out)


def test_a_dry_run_starts_nothing(tmp_path: Path) -> None:
    """--dry-run says what would be done; nothing is installed, no card is written."""
    folder = tmp_path / "games"
    folder.mkdir()
    games = Games(folder, tmp_path / "cache")
    ran = games.race(fake("perfect"), options=("--dry-run",))
    assert (ran.status, ran.err) == (0, "")
    assert "256 KiB from one seeder" in ran.out
    assert "_behaviours.py" in ran.out
    assert not ran.card.exists()
    assert not games.cache.exists()
    assert list(games.tmp.iterdir()) == []
    assert (SCENARIOS / "tiny.yaml").exists()
