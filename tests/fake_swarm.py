"""The hosts of a small race as fakes: tracker, one seeder and client, whose agents answer as ours do."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from fakes import FakeHost

from btgames import places, scenario
from btgames.agents.stopwatch import Facts
from btgames.arena import Arena
from btgames.containment import Bounds
from btgames.installing import Installed
from btgames.workshop import Racer
from btgames.wrapper import Argv

if TYPE_CHECKING:
    from btgames.containment import Cell
    from btgames.contestant import Contestant
    from btgames.hosts import Host
    from btgames.scenario import Scenario
    from btgames.torrent import Torrent
    from btgames.wrapper import Functions

Calls = list[tuple[str, str, Any]]

CLIENT = "198.18.0.3"
SEEDER = "198.18.0.2"
EXEC_S = 1000.0


class FailingCalls(Calls):
    """A record of calls that, once `armed`, raises `error` when a step comes that `steps` calls `at`."""

    def __init__(self, at: str, error: BaseException) -> None:
        super().__init__()
        self.armed = False
        self._at, self._error = at, error

    def append(self, entry: tuple[str, str, Any]) -> None:
        """Note it, then fail if this is the one."""
        super().append(entry)
        if self.armed and steps([entry]) == [self._at]:
            self.armed = False
            raise self._error


def facts(**fields: Any) -> dict[str, Any]:
    """Return what a stopwatch tells of a client that finished in 1.5 s and exited at 2 s; `fields` override."""
    usual: dict[str, Any] = {
        "exec_s": EXEC_S, "complete_s": 1.5, "exit_s": 2.0, "first_block_s": 0.1, "exit_status": 0, "blocks_right": 2,
        "blocks": 2, "wrong_pieces": 0, "rx_bytes": 70_000, "tx_bytes": 2_000, "traffic": [(0.5, 70_000, 2_000)],
    }  # fmt: skip
    return {"event": "result", **asdict(Facts(**{**usual, **fields}))}


def announce(at_s: float, event: str = "", ip: str = CLIENT, **fields: Any) -> dict[str, Any]:
    """Return an entry of the referee's log, `at_s` seconds after the exec."""
    usual = {"at_s": EXEC_S + at_s, "ip": ip, "event": event, "left": 0, "downloaded": 9, "transport": "http"}
    return {**usual, **fields}


def small(**fields: Any) -> Scenario:
    """Return the scenario `small` with a payload of two blocks; `fields` override."""
    loaded = scenario.load("small", places.SCENARIOS).scenario
    payload = loaded.payload.model_copy(update={"size": 32768})
    return loaded.model_copy(update={"payload": payload, **fields})


def fake_hosts(
    calls: Calls, told: list[dict[str, Any]] | None = None, seen: list[dict[str, Any]] | None = None
) -> dict[str, FakeHost]:
    """Return tracker, seeder-1 and client; the stopwatch tells `told`, the referee has `seen` these announces."""
    tracker = FakeHost("tracker", "198.18.0.1", "/fake/tracker", calls=calls, record_stops=True)
    tracker.agents["tracker"] = lambda _: {"ok": True, "announces": seen or []}
    seeder = FakeHost("seeder-1", SEEDER, "/fake/seeder-1", calls=calls, record_stops=True)
    seeder.agents["seeder"] = lambda _: {"ok": True, "folder": "/fake/seeder-1/seeded/payload-1"}
    client = FakeHost("client", CLIENT, "/fake/client", calls=calls, record_stops=True)
    client.agents["stopwatch"] = lambda _: list(told or [facts()])
    return {host.name: host for host in (tracker, seeder, client)}


@dataclass
class FakeWrapper:
    """A contestant's functions that only record; `torrents` are those that torrentfile was given."""

    calls: Calls
    torrents: list[Torrent] = field(default_factory=list)

    def torrentfile(self, host: FakeHost, cell: Cell, folder: str, torrent: Torrent) -> str:  # noqa: ARG002 - the wrapper's signature
        """Record it and return a path on the desk."""
        self.torrents.append(torrent)
        self.calls.append((host.name, "torrentfile", folder))
        return f"{folder}/test.torrent"

    def download(self, torrentfile: str, into: str) -> Argv:
        """Record it and return a command."""
        self.calls.append(("client", "download", (torrentfile, into)))
        return Argv(("get", torrentfile, into), {"N": "1"}, None)


def racer(contestant: Contestant, calls: Calls) -> Racer:
    """Return a contestant that is ready to race, with a fake wrapper."""
    wrapper = cast("Functions", FakeWrapper(calls))
    return Racer(contestant, wrapper, Installed("/installed", ("/opt/runtime",), 0.1), "1.0")


def arena(hosts: dict[str, FakeHost], scenario: Scenario, *, one_clock: bool = True, uid: int | None = 61000) -> Arena:
    """Return what heats on these hosts have in common."""
    rng = random.Random(7)  # noqa: S311 - repeatable
    return Arena(cast("Host", hosts["client"]), scenario, one_clock, Bounds(uid, 1 << 30), rng)


def steps(calls: Calls) -> list[str]:
    """Return the calls in words: ``client mount``, ``seeder-1 seeder make``, ``client start stopwatch``."""
    words = []
    for host, verb, detail in calls:
        if verb == "run":
            words.append(f"{host} {detail[0]}")
        elif verb == "start":
            words.append(f"{host} start {detail[2].rpartition('.')[2] if detail[1:2] == ['-m'] else detail[0]}")
        elif verb == "stop":
            words.append(f"{host} stop {detail}")
        elif isinstance(detail, dict):
            words.append(f"{host} {verb} {detail.get('do', 'measures')}")
        else:
            words.append(f"{host} {verb}")
    return words
