"""
The tracker that is started by hand: serves whatever torrent is announced, for hours, and whoever may reach it.

``python -m btgames.agents.tracker_open --bind ADDRESS [--port N] [--public PRIVATE=PUBLIC]... [--network CIDR]`` says
``{"ready": true, "http_port": N, "udp_port": N}``, tells systemd so (notify.py), and serves until it is ended.

Machines of a cloud know each other by private addresses, which mean nothing outside: an asker that is not of the
network is told the public address of a peer that has one.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import sys
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Dict, List, Mapping, Sequence, Tuple

from btgames.agents import notify, talk
from btgames.agents.tracker_http import HttpFront
from btgames.agents.tracker_swarm import INFO_HASH_BYTES, Announce, Counts, Peer, Refused, Swarm
from btgames.agents.tracker_udp import UdpFront

MAX_SWARMS = 100
"""
Info hashes that are served at once; for one more, the one that was announced longest ago is forgotten.
"""

INTERVAL_S = 30
"""
When peers are asked to announce again: see tracker.py.
"""

EXPIRY_S = 900.0
"""
After which a silent peer is forgotten. Clients made with libtorrent announce every 5 minutes, however often they may.
"""


class Swarms:
    """The swarms of all info hashes that anybody announces; `btgames.agents.tracker_swarm.Knows`."""

    def __init__(self, public: Mapping[str, str], network: ipaddress.IPv4Network | None = None) -> None:
        """`public` has public addresses by private ones; they are told to who asks from outside of `network`."""
        self._public = dict(public)
        self._network = network
        self._swarms: OrderedDict[bytes, Swarm] = OrderedDict()

    def meant(self, readings: Sequence[bytes]) -> bytes:
        """Return the first reading that is served already, else the first that can be."""
        known = [one for one in readings if one in self._swarms]
        whole = [one for one in readings if len(one) == INFO_HASH_BYTES]
        return next(iter([*known, *whole, *readings]), b"")

    def announce(self, announce: Announce) -> Tuple[List[Peer], Counts]:
        """Note the announce and return the peers for its asker, at addresses that it can reach."""
        if len(announce.info_hash) != INFO_HASH_BYTES:
            raise Refused(f"info_hash has {len(announce.info_hash)} bytes")
        swarm = self._swarm(announce.info_hash)
        swarm.expire(announce.at_s - EXPIRY_S)
        peers, counts = swarm.announce(announce)
        if self._network is None or ipaddress.IPv4Address(announce.ip) in self._network:
            return peers, counts
        return [replace(peer, ip=self._public.get(peer.ip, peer.ip)) for peer in peers], counts

    def scraped(self, info_hashes: Sequence[bytes]) -> Dict[bytes, Counts]:
        """Return the counts of those that are served."""
        found: Dict[bytes, Counts] = {}
        for one in info_hashes or list(self._swarms):
            if one in self._swarms:
                self._swarms[one].expire(time.monotonic() - EXPIRY_S)
                found[one] = self._swarms[one].counts()
        return found

    def _swarm(self, info_hash: bytes) -> Swarm:
        if info_hash not in self._swarms:
            swarm = self._swarms[info_hash] = Swarm(log_ends=0)
            swarm.expect(info_hash)
            if len(self._swarms) > MAX_SWARMS:
                self._swarms.popitem(last=False)
        self._swarms.move_to_end(info_hash)
        return self._swarms[info_hash]


async def serve(swarms: Swarms, address: str, port: int) -> None:
    """
    Serve until this process is ended.

    Raises:
        OSError: the address or the port cannot be had.

    """
    http_port = await HttpFront(swarms, INTERVAL_S).start(address, port)
    udp_port = await UdpFront(swarms, INTERVAL_S).start(address, port)
    talk.say({"ready": True, "http_port": http_port, "udp_port": udp_port})
    notify.ready()
    await asyncio.Event().wait()


def main() -> None:
    """Serve; say why not where that cannot be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--bind", required=True, help="the IPv4 address to serve at")
    parser.add_argument("--port", type=int, default=6969, help="of HTTP and of UDP; 0: any free ones")
    parser.add_argument("--public", action="append", default=[], metavar="PRIVATE=PUBLIC", help="repeatable")
    parser.add_argument("--network", type=ipaddress.IPv4Network, help="who is inside, and told private addresses")
    arguments = parser.parse_args()
    public = dict(pair.split("=", 1) for pair in arguments.public)
    try:
        asyncio.run(serve(Swarms(public, arguments.network), arguments.bind, arguments.port))
    except OSError as error:
        sys.exit(f"cannot serve at {arguments.bind}: {error}")


if __name__ == "__main__":
    main()
