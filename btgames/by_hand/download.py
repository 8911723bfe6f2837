"""``download``: run a contestant on the client machine, by hand: any torrent of these machines, 2013's rule of time."""

from __future__ import annotations

import random
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from btgames import contestant, installing, places, timing
from btgames.arena import Arena, cell_of, clean_folder, hand_over, room_bytes
from btgames.by_hand import torrent_file
from btgames.by_hand.crew import failed, reached, say, the
from btgames.by_hand.log import Log
from btgames.containment import PASSING_UIDS, Bounds, memory_bytes, passing_uid
from btgames.contract import NeedsPackages
from btgames.errors import GamesError, HostError, Unsupported, UserError
from btgames.far_workshop import FarWorkshop
from btgames.hosts import Agent
from btgames.report.figures import seconds, size
from btgames.result import Outcome
from btgames.scenario import Scenario
from btgames.scenario_parts import MAX_PAYLOAD_BYTES, Client, Payload, Seeders
from btgames.swarm import Prepared
from btgames.testbeds.ssh import address_of
from btgames.testbeds.wish import needed
from btgames.verdict import judge, status_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.contestant import Contestant
    from btgames.swarm import Swarm
    from btgames.testbeds.station import Station
    from btgames.testbeds.wish import Wish
    from btgames.torrent import Torrent
    from btgames.workshop import Racer

LIMIT_S = 600
OWN_BYTES = 32 << 20  # of memory, beside the download
TRACKER_S = 5.0


@dataclass(frozen=True)
class Alive:
    """What stands for a swarm: tracker and seeder are not ours here, and nobody watches them."""

    alive: bool = True

    def complaints(self) -> str:
        """Return nothing."""
        return ""


def command(*, contestant: str | None, torrent: str, limit_s: int, wish: Wish) -> int:
    """
    Have a contestant download; return 0 where every piece is right, else 1.

    1. Read the torrent; reach the client machine; see that the tracker answers.
    2. Install the contestant, if it is not there.
    3. Move in: memory of its own, links as they are, the contestant fenced in among these machines.
    4. `torrentfile`, `download`, and a stopwatch that goes by the pieces' hashes.

    Raises:
        UserError: there is no such contestant, torrent or machine.
        GamesError: the contestant cannot run there; says why.

    """
    one = _one(contestant)
    machines = needed(wish, say, "download")
    client = the("client", machines)
    others = sorted({address_of(each) for each in machines.remotes} - {address_of(client)})
    wanted = _inside(torrent_file.read(Path(torrent)), others, torrent, wish)
    with reached(client) as (station,), ExitStack() as stack:
        _ask_tracker(station, wanted, wish)
        packages = station.packages if machines.ours else None
        workshop = stack.enter_context(FarWorkshop(station.machine, station.send, packages, wish.options))
        racer = _ready(one, workshop)
        say(f"{station.remote.name}: {one.label} {racer.version} downloads {wanted.name}, {size(wanted.size)}")
        arena = stack.enter_context(_moved_in(station, others, wanted, limit_s))
        return _told(one, _run(arena, racer, wanted), limit_s)


def _one(spec: str | None) -> Contestant:
    if spec is None:
        raise UserError(f"download needs --contestant NAME; {places.COMMAND} contestants lists them")
    found = contestant.load([spec], places.CONTESTANTS)
    if len(found) > 1:
        raise UserError(f"--contestant {spec!r}: one downloads at a time, and these are {len(found)}")
    if found[0].yardstick:
        raise UserError(f"--contestant {spec!r}: no BitTorrent client; it fetches what only races serve")
    return found[0]


def _inside(torrent: Torrent, addresses: Sequence[str], path: str, wish: Wish) -> Torrent:
    """Return a torrent whose first tracker is one of these machines, which are all that the contestant may reach."""
    inside = [tracker for tracker in torrent.trackers if urlsplit(tracker).hostname in addresses]
    if not inside:
        raise UserError(
            f"{path}: its tracker, {torrent.announce}, is none of these machines, and nothing else can be reached\n"
            f"{places.COMMAND} seed --file FILE{wish.options} makes one that is announced here"
        )
    if torrent.size > MAX_PAYLOAD_BYTES:
        raise UserError(f"{path}: {size(torrent.size)}; downloads live in memory, {size(MAX_PAYLOAD_BYTES)} at most")
    others = [tracker for tracker in torrent.trackers if tracker not in inside]
    return torrent_file.announced_at(torrent, [*inside, *others])


def _ask_tracker(station: Station, torrent: Torrent, wish: Wish) -> None:
    """Raise a UserError where the tracker does not answer: better than to wait for the time limit."""
    if not torrent.announce.startswith("http://"):
        return
    try:
        with Agent(station.machine, "probe") as probe:
            asked: dict[str, Any] = {"tracker": torrent.announce, "info_hash": torrent.info_hash, "seeders": []}
            probe.ask("ready", **asked, within_s=TRACKER_S, timeout_s=4 * TRACKER_S)
    except HostError as error:
        raise failed(error, f"{places.COMMAND} tracker{wish.options} starts one; then seed the file again") from error


def _ready(one: Contestant, workshop: FarWorkshop) -> Racer:
    try:
        return workshop.ready(one, say)
    except NeedsPackages as needs:
        raise GamesError(f"{one.label}: {installing.how_to(one, needs, workshop.options)}") from needs
    except Unsupported as why:
        raise GamesError(f"{one.label}: cannot run there: {why}") from why


@contextmanager
def _moved_in(station: Station, others: Sequence[str], torrent: Torrent, limit_s: int) -> Iterator[Arena]:
    """Give an arena on the client machine; what it took of the machine is given back in the end."""
    if not others:
        raise UserError(f"{station.remote.name} is alone: it downloads from another machine")
    scenario = Scenario(
        description="by hand",
        payload=Payload(size=torrent.size, piece_size=1 << 24),
        seeders=(Seeders(up_mbit=None),),
        client=Client(up_mbit=None, down_mbit=None),
        time_limit_s=limit_s,
    )
    rng = random.SystemRandom()
    station.move_in(
        {
            "race": secrets.token_hex(8),
            "memory_bytes": room_bytes(scenario) + OWN_BYTES,
            "folders": ["client"],
            "peers": list(others),
            "ssh_port": station.remote.port,
            "uids": list(PASSING_UIDS),
        }
    )
    try:
        host = station.host("client", address_of(station.remote), "python3")
        bounds = Bounds(passing_uid(rng), memory_bytes(station.facts["available_bytes"]))
        interface = str(station.ready["interface"])
        arena = Arena(host, scenario, one_clock=False, bounds=bounds, rng=rng, interface=interface)
        with clean_folder(arena):
            yield arena
    finally:
        station.move_out()


def _run(arena: Arena, racer: Racer, torrent: Torrent) -> dict[str, Any]:
    """Run the contestant, its log printed as it comes; return what the stopwatch tells."""
    process = arena.client.start([arena.client.python, "-m", "btgames.agents.stopwatch_pieces"])
    try:
        cell = cell_of(arena, racer)
        path = racer.wrapper.torrentfile(arena.client.within, cell, arena.desk, torrent)
        argv = racer.wrapper.download(path, arena.into)
        hand_over(arena)
        prepared = Prepared(arena.scenario, b"", torrent, b"", ())
        spec = timing.spec_of(arena, racer, cell, argv, prepared)
        with Log(arena.client, arena.log, say) as log:
            return timing.measure(process, spec, cast("Swarm", Alive()), log)
    finally:
        process.stop(grace_s=timing.STOP_S)


def _told(one: Contestant, facts: dict[str, Any], limit_s: int) -> int:
    """Say what came of it; return the exit status."""
    outcome, reason = judge(facts, time_limit_s=limit_s)
    if outcome is not Outcome.FINISHED:
        say(f"{one.label}: {outcome.words}: {reason.replace(' blocks were', ' pieces were')}")
        return 1
    if facts["exit_s"] is None:
        late = f"all {facts['blocks']} pieces were seen right after {seconds(facts['complete_s'])} s"
        say(f"{one.label}: {late}; it did not exit by itself, {facts['ended_by']} ended it")
    else:
        status = f", {status_words(facts['exit_status'])}" if facts["exit_status"] else ""
        took = f"{seconds(facts['exit_s'])} s from exec to exit{status}"
        say(f"{one.label}: {took}; all {facts['blocks']} pieces are right")
    return 0
