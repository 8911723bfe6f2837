"""
On `drag`, whose links are not shaped: who is the slower side, the libtorrent seeder or who downloads from it?

Four ways to get the payload across the same links: the least that a peer can do (BEP 3 on a bare socket; what it gets
is thrown away), the same over HTTP, and the contestants `http` and `libtorrent`. Target: the seeder serves the bare
peer in less time than `libtorrent` needs from its first block on, so it is not the slower side.
"""

from __future__ import annotations

import json
import secrets
import statistics
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import payload_speed
from benchmarks._figures import Figure, load, show, track
from btgames.swarm import SEEDER_PORT, WEB_PORT

if TYPE_CHECKING:
    from benchmarks._figures import Track

ROUNDS = 5
BARE = ("bare peer", "bare http")
CONTESTANTS = ("http", "libtorrent")


class Took(NamedTuple):
    """What one download took, in seconds."""

    transfer_s: float  # from the connection, or from a contestant's first block, to the last byte
    cpu_s: float  # of the client, its start included


def bare(way: str, address: str, name: str, size: str, piece_size: str) -> None:
    """Be the client, on its host: download, and print seconds and CPU seconds."""
    began_s = time.monotonic()
    if way == "bare peer":
        payload_speed.leech(address, SEEDER_PORT, name, int(size), int(piece_size))
    else:
        payload_speed.fetch(address, WEB_PORT, name, int(size))
    print(json.dumps([time.monotonic() - began_s, time.process_time()]))


def get_bare(bench: Track, way: str) -> Took:
    """Have a payload of its own downloaded by a bare client."""
    swarm, arena = bench.ground.swarm(), bench.ground.arena
    prepared = swarm.prepare(arena.scenario, secrets.token_bytes(16), arena.rng)
    torrent = prepared.torrent
    name = torrent.info_hash if way == "bare peer" else torrent.name
    server = bench.testbed.hosts["seeder-1"].address
    argv = [arena.client.python, __file__, way, server, name, str(torrent.size), str(torrent.piece_size)]
    with swarm.heat(prepared), swarm.served(prepared):
        return Took(*json.loads(arena.client.run(argv).out))


def get(bench: Track, label: str) -> Took:
    """Have a payload downloaded by a contestant."""
    heat = bench.heat(label)
    transfer_s = (heat.complete_s or 0.0) - (heat.first_block_s or 0.0)
    return Took(transfer_s, (heat.cpu_user_s or 0.0) + (heat.cpu_system_s or 0.0))


def main() -> int:
    """Measure all ways, interleaved; exit status 1 when the seeder is the slower side."""
    print(load())
    took: dict[str, list[Took]] = defaultdict(list)
    with track("drag", *CONTESTANTS) as bench:
        for _ in range(ROUNDS):
            for way in BARE:
                took[way].append(get_bare(bench, way))
            for label in CONTESTANTS:
                took[label].append(get(bench, label))
    for way, each in took.items():
        show(Figure(f"drag: {way}", [one.transfer_s for one in each]))
        rate = bench.scenario.payload.size / 1e6 / statistics.median(one.transfer_s for one in each)
        print(f"    {rate:.0f} MB/s, with {statistics.median(one.cpu_s for one in each):.2f} CPU seconds of the client")
    needed_s = statistics.median(one.transfer_s for one in took["libtorrent"])
    shares = [one.transfer_s / needed_s for one in took["bare peer"]]
    return 0 if show(Figure("bare peer's time / libtorrent's", shares, at_most=1.0, percent=True)) else 1


if __name__ == "__main__":
    if sys.argv[1:]:
        bare(*sys.argv[1:])
    else:
        sys.exit(main())
