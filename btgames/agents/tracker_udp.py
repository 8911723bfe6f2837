"""The UDP side of the referee tracker (BEP 15): connect, announce, scrape."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import time
from typing import Callable, Tuple

from btgames.agents.tracker_http import compact
from btgames.agents.tracker_swarm import Announce, Counts, Knows, Refused

PROTOCOL_ID = 0x41727101980
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
EVENTS = {0: "", 1: "completed", 2: "started", 3: "stopped"}

EPOCH_S = 60
"""
A connection id is accepted in the epoch in which it was given and in the two that follow: for 2 to 3 minutes. BEP 15
wants two.
"""

MAX_SCRAPED = 74
"""
Info hashes in one scrape, by BEP 15.
"""

UNSENT_BYTES = 1 << 20
"""
Answers that wait for the socket; beyond that, further ones are dropped, as UDP may.
"""

_HEAD = struct.Struct(">QII")
_BODY = struct.Struct(">20s20sqqqIIIiH")

Address = Tuple[str, int]


class ConnectionIds:
    """
    Connection ids that need no memory: a keyed hash of the asker's address and the epoch.

    Args:
        secret: the key, 16 bytes or more.
        clock: seconds, monotonic.

    """

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock

    def give(self, ip: str) -> int:
        """Return the id that this asker may use now."""
        return self._of(ip, self._epoch())

    def accepts(self, ip: str, connection_id: int) -> bool:
        """Whether the id was given to this asker, and not too long ago."""
        epoch = self._epoch()
        return any(connection_id == self._of(ip, epoch - age) for age in range(3))

    def _epoch(self) -> int:
        return int(self._clock() // EPOCH_S)

    def _of(self, ip: str, epoch: int) -> int:
        digest = hashlib.blake2b(f"{ip} {epoch}".encode(), key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest, "big")


class UdpFront(asyncio.DatagramProtocol):
    """Answers the datagrams of one socket; those that are no request of BEP 15 get silence."""

    def __init__(self, swarm: Knows, interval_s: int) -> None:
        self._swarm = swarm
        self._interval_s = interval_s
        self._ids = ConnectionIds(os.urandom(16), time.monotonic)
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, address: str, port: int) -> int:
        """Bind; return the port (for 0, the one that the kernel chose). Raises OSError where it is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port))
        self._transport = transport
        return int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Answer one datagram."""
        answer = self.answer(data, addr[0])
        transport = self._transport
        if answer and transport and transport.get_write_buffer_size() < UNSENT_BYTES:  # type: ignore[attr-defined]
            transport.sendto(answer, addr)

    def answer(self, data: bytes, ip: str) -> bytes | None:
        """Return the answer to one datagram, None for silence."""
        if len(data) < _HEAD.size:
            return None
        connection_id, action, transaction_id = _HEAD.unpack_from(data)
        if action == CONNECT and connection_id == PROTOCOL_ID:
            return struct.pack(">IIQ", CONNECT, transaction_id, self._ids.give(ip))
        try:
            body = self._identified(connection_id, action, data[_HEAD.size :], ip)
        except Refused as reason:
            return struct.pack(">II", ERROR, transaction_id) + str(reason).encode()
        return struct.pack(">II", action, transaction_id) + body

    def _identified(self, connection_id: int, action: int, body: bytes, ip: str) -> bytes:
        if not self._ids.accepts(ip, connection_id):
            raise Refused("connection id is unknown or too old")
        if action == ANNOUNCE and len(body) >= _BODY.size:
            return self._announce(body, ip)
        if action == SCRAPE:
            return self._scrape(body)
        raise Refused("not a request of BEP 15")

    def _announce(self, body: bytes, ip: str) -> bytes:
        fields = _BODY.unpack_from(body)
        info_hash, peer_id, downloaded, left, uploaded, event, _ip, _key, numwant, port = fields
        announce = Announce(
            at_s=time.monotonic(),
            ip=ip,
            transport="udp",
            info_hash=info_hash,
            peer_id=peer_id,
            port=port or None,
            event=EVENTS.get(event, str(event)),
            left=left,
            downloaded=downloaded,
            uploaded=uploaded,
            numwant=numwant,
        )
        peers, counts = self._swarm.announce(announce)
        return struct.pack(">III", self._interval_s, counts.incomplete, counts.complete) + compact(peers)

    def _scrape(self, body: bytes) -> bytes:
        hashes = [body[at : at + 20] for at in range(0, len(body) - 19, 20)][:MAX_SCRAPED]
        found = self._swarm.scraped(hashes)
        known = [found.get(one, Counts(0, 0, 0)) for one in hashes]
        return b"".join(struct.pack(">III", each.complete, each.downloaded, each.incomplete) for each in known)
