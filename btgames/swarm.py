"""
Tracker and seeders: their processes live for the race, what they know for one heat.

Nothing is taken on trust: a heat begins when the tracker's own scrape knows every seeder and every seeder has answered
a handshake, and it is void when one of them died or complained while it ran.
"""

from __future__ import annotations

import base64
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from btgames import opentracker, payload, torrent
from btgames.errors import HostError
from btgames.hosts import Agent
from btgames.needs import DEBIAN_PYTHON
from btgames.scenario import pieces_of
from btgames.sources import sources

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from btgames.hosts import Host, Process
    from btgames.scenario import Scenario
    from btgames.torrent import Torrent

TRACKER_PORT = 6969
SEEDER_PORT = 6881
WEB_PORT = 8080

READY_S = 20.0
"""How long tracker and seeders may take to answer, on a machine that is busy with other things."""

MAKE_S = 120.0
"""How long a seeder may take to make its payload: 8 GiB at 100 MB/s."""


@dataclass(frozen=True)
class Prepared:
    """A payload nobody has seen before, its torrent, and the marks that tell its blocks."""

    scenario: Scenario  # whose payload and shares these are
    seed: bytes
    torrent: Torrent
    marks: bytes  # packed: `btgames.payload.pack_marks`
    folders: tuple[str, ...]  # where each seeder has its copy


class Swarm:
    """Tracker and seeders of a race. A context manager; `heat` is one too."""

    def __init__(self, hosts: Mapping[str, Host], scenario: Scenario) -> None:
        """Hosts by name: tracker, seeder-1, ..."""
        self._scenario = scenario
        self._tracker_host = hosts["tracker"]
        self._announce = f"http://{self._tracker_host.address}:{TRACKER_PORT}/announce"
        self._seeder_hosts = [hosts[seeder.name] for seeder in scenario.seeder_hosts]
        self._stack = ExitStack()
        self._referee: Agent | None = None
        self._opentracker: Process | None = None
        self._seeders: list[Agent] = []
        self._webs: list[Agent] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            address = self._tracker_host.address
            if self._scenario.tracker == "referee":
                arguments = ("--bind", address, "--port", str(TRACKER_PORT))
                self._referee = stack.enter_context(Agent(self._tracker_host, "tracker", *arguments))
            self._probe = stack.enter_context(Agent(self._tracker_host, "probe"))
            for host in self._seeder_hosts:
                folder = f"{host.folder}/seeded"
                host.run(["mkdir", "-p", folder])
                self._seeders.append(stack.enter_context(self._seeder(host, folder)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def alive(self) -> bool:
        """Whether every process of the swarm still runs."""
        agents = [agent for agent in (self._referee, self._probe, *self._webs, *self._seeders) if agent is not None]
        tracker = self._opentracker is None or self._opentracker.poll() is None
        return tracker and all(agent.alive for agent in agents)

    def prepare(self, scenario: Scenario, seed: bytes, rng: random.Random) -> Prepared:
        """
        Make the payload of a heat, here for its hashes and marks and at each seeder, at the same time.

        Of the scenario only payload and shares are taken: a warm-up has a smaller payload than the race.
        """
        layout, piece_size = scenario.layout, scenario.payload.piece_size
        for index, seeder in enumerate(self._seeders):
            has = pieces_of(scenario, index, scenario.num_pieces)
            held = None if has is None else sorted(has)
            seeder.tell("make", seed=seed.hex(), layout=layout, piece_size=piece_size, has=held)
        known = payload.prepare(seed, layout, piece_size, rng)
        folders = []
        for seeder, host in zip(self._seeders, self._seeder_hosts, strict=True):
            answer = seeder.hear(MAKE_S)
            if answer is None:
                raise HostError(f"{host.name}: its payload was not made within {MAKE_S:g} s")
            folders.append(answer["folder"])
        made = replace(
            torrent.make([self._announce], layout, piece_size, known.pieces), transport=self._scenario.transport
        )
        return Prepared(scenario, seed, made, known.marks, tuple(folders))

    @contextmanager
    def heat(self, prepared: Prepared) -> Iterator[None]:
        """Have this payload tracked and seeded, and nothing else; entered when all of it answers."""
        with ExitStack() as stack:
            self._track(prepared.torrent.info_hash, stack)
            for seeder in self._seeders:
                stack.callback(_forget, seeder)
                # Deluge reads all of it first, as it does when it makes it.
                seeder.ask("seed", torrent=base64.b64encode(prepared.torrent.data).decode(), timeout_s=MAKE_S)
            addresses = [(host.address, SEEDER_PORT) for host in self._seeder_hosts]
            self._wait_until_ready(prepared.torrent.info_hash, addresses)
            yield

    @contextmanager
    def served(self, prepared: Prepared) -> Iterator[Torrent]:
        """Serve the payload over HTTP, too, for a yardstick: each seeder what it seeds."""
        if not self._webs:
            for host in self._seeder_hosts:
                where = ("--bind", host.address, "--port", str(WEB_PORT), "--folder", f"{host.folder}/seeded")
                self._webs.append(self._stack.enter_context(Agent(host, "web", *where)))
        with ExitStack() as stack:
            for web, folder in zip(self._webs, prepared.folders, strict=True):
                stack.callback(_forget, web)
                web.ask("serve", folder=folder)
            servers = [f"http://{host.address}:{WEB_PORT}" for host in self._seeder_hosts]
            yield prepared.torrent.served(sources(prepared.scenario, servers))

    def announces(self) -> list[dict[str, Any]]:
        """Return what the referee saw in this heat, the seeders included; opentracker tells nothing."""
        # A tracker that died is a complaint, which may void the heat; a heat that finished stands without its log.
        alive = self._referee is not None and self._referee.alive
        return list(self._referee.ask("log")["announces"]) if self._referee is not None and alive else []

    def complaints(self) -> str:
        """Return why the swarm makes a heat void: who died or failed; empty when all is well."""
        found = []
        for seeder, host in zip(self._seeders, self._seeder_hosts, strict=True):
            try:
                seeder.ask("state")
            except HostError as error:
                found.append(f"{host.name} failed: {error}")
        if self._referee is not None and not self._referee.alive:
            found.append("the tracker died")
        if self._opentracker is not None and self._opentracker.poll() is not None:
            found.append(f"opentracker died: {self._opentracker.last_words()}")
        if not all(web.alive for web in self._webs):
            found.append("an HTTP server died")
        return "; ".join(found)

    def _seeder(self, host: Host, folder: str) -> Agent:
        """Return the seeder that the scenario names, not yet started."""
        where = ("--bind", host.address, "--port", str(SEEDER_PORT), "--folder", folder)
        if self._scenario.seeder == "deluge":
            return Agent(host, "deluge_seeder", *where, python=DEBIAN_PYTHON)
        return Agent(host, "seeder", *where, "--transport", self._scenario.transport)

    def _wait_until_ready(self, info_hash: str, seeders: list[tuple[str, int]]) -> None:
        """Return when the tracker knows all these seeders and each has answered a handshake."""
        self._probe.ask(
            "ready",
            tracker=self._announce,
            info_hash=info_hash,
            seeders=seeders,
            transport="utp" if self._scenario.transport == "utp" else "tcp",
            within_s=READY_S,
            timeout_s=2 * READY_S,  # each silent seeder may add a little to what it was given
        )

    def _track(self, info_hash: str, stack: ExitStack) -> None:
        if self._referee is not None:
            self._referee.ask("expect", info_hash=info_hash)
            return
        host = self._tracker_host
        uid_map = host.get("/proc/self/uid_map").decode()
        folder = PurePosixPath(host.folder, "opentracker")
        plan = opentracker.plan(
            folder, host.address, TRACKER_PORT, info_hash, only_root=opentracker.only_root_exists(uid_map)
        )
        for name, text in plan.files.items():
            host.put(text.encode(), str(folder / name))
        self._opentracker = host.start(plan.argv)
        stack.callback(self._stop_opentracker)
        # A seeder whose first announce is refused tries again only 17 s later.
        self._probe.ask(
            "accepted", tracker=self._announce, info_hash=info_hash, within_s=READY_S, timeout_s=2 * READY_S
        )

    def _stop_opentracker(self) -> None:
        if self._opentracker is not None:
            self._opentracker.stop(grace_s=0)
            self._opentracker = None


def _forget(agent: Agent) -> None:
    """Have an agent forget the heat; one that cannot is ended: the next heat finds that, and has a new swarm."""
    try:
        agent.ask("forget")
    except HostError:
        agent.kill()
