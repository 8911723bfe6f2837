"""The HTTP side of the referee tracker: announce (BEP 3, BEP 23) and scrape (BEP 48), HTTP/1.0 and 1.1."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from dataclasses import asdict
from typing import Any, Dict

from btgames.agents import bencode, tracker_query
from btgames.agents.tracker_swarm import Announce, Knows, Peer, Refused

HEAD_BYTES = 16 * 1024
"""
A request's line and header fields together, at most; an announce has less than 1 KiB.
"""

HEAD_S = 5.0
"""
In which a request must have arrived whole, from the connection on; so long may a slow client be.
"""

LINGER_S = 1.0
"""
After the answer, for the client to close: if we closed with bytes unread, the connection would be reset and the answer
might be lost.
"""

CONNECTIONS = 256
"""
At once; one more, and the oldest is cut. So idle connections never keep others out, nor use up the open files.
"""

_REQUEST_LINE = re.compile(rb"\s{0,4}([A-Z]{1,16}) (.*?) HTTP/[0-9]\.[0-9]\r?\n", re.DOTALL)
_BLANK_LINE = re.compile(rb"\n\r?\n")


class HttpFront:
    """Answers the connections of one listening socket; one request each, as opentracker does."""

    def __init__(self, swarm: Knows, interval_s: int) -> None:
        self._swarm = swarm
        self._interval_s = interval_s
        self._open: Dict[asyncio.StreamWriter, asyncio.Future[None]] = {}

    async def start(self, address: str, port: int) -> int:
        """Listen; return the port (for 0, the one that the kernel chose). Raises OSError where it is taken."""
        server = await asyncio.start_server(self._accept, address, port, family=socket.AF_INET, backlog=128)
        return int(server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = asyncio.ensure_future(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # asyncio.TimeoutError is the built-in one only from Python 3.11 on.
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await self._exchange(reader, writer)
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = await asyncio.wait_for(_read_target(reader), HEAD_S)
        ip, _ = writer.get_extra_info("peername")
        writer.write(self._answer(target, ip))
        writer.write_eof()
        await asyncio.wait_for(_read_out(reader), LINGER_S)

    def _answer(self, raw_target: bytes | None, ip: str) -> bytes:
        if raw_target is None:
            return _response(b"400 Bad Request", b"not an HTTP request that a tracker answers\n")
        target = tracker_query.parse(raw_target)
        if target.path.endswith(b"announce"):
            return _response(b"200 OK", bencode.encode(self._announce(target, ip)))
        if target.path.endswith(b"scrape"):
            return _response(b"200 OK", bencode.encode(self._scrape(target)))
        return _response(b"404 Not Found", b"this tracker has /announce and /scrape\n")

    def _announce(self, target: tracker_query.Target, ip: str) -> dict[str, Any]:
        announce = Announce(
            at_s=time.monotonic(),
            ip=ip,
            transport="http",
            info_hash=self._swarm.meant(target.info_hashes),
            peer_id=next(iter(target.peer_ids), b"")[:20],
            port=target.port,
            event=target.fields.get("event", "")[:20],
            left=target.integer("left"),
            downloaded=target.integer("downloaded"),
            uploaded=target.integer("uploaded"),
            numwant=target.integer("numwant"),
        )
        try:
            peers, counts = self._swarm.announce(announce)
        except Refused as reason:
            return {"failure reason": str(reason)}
        return {
            "interval": self._interval_s,
            "min interval": self._interval_s,
            "complete": counts.complete,
            "incomplete": counts.incomplete,
            "peers": _peers(peers, target),
        }

    def _scrape(self, target: tracker_query.Target) -> dict[str, Any]:
        found = self._swarm.scraped(target.info_hashes)
        return {"files": {info_hash: asdict(counts) for info_hash, counts in found.items()}}


def compact(peers: list[Peer]) -> bytes:
    """Return 6 bytes for each peer: address and port (BEP 23, BEP 15)."""
    return b"".join(socket.inet_aton(peer.ip) + peer.port.to_bytes(2, "big") for peer in peers)


def _peers(peers: list[Peer], target: tracker_query.Target) -> bytes | list[dict[str, Any]]:
    """Compact unless ``compact=0`` is asked for: as BEP 23 suggests, and as clients of 2013 that do not say need it."""
    if target.fields.get("compact") != "0":
        return compact(peers)
    named = target.fields.get("no_peer_id", "0") == "0"
    return [
        {"ip": peer.ip, "port": peer.port, **({"peer id": peer.peer_id.ljust(20, b"\0")} if named else {})}
        for peer in peers
    ]


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


async def _read_target(reader: asyncio.StreamReader) -> bytes | None:
    """
    Read one request; return its target, or None where it is no GET request.

    The target ends where `` HTTP/1.x`` ends a line, so that raw bytes in it may be spaces or line ends.
    """
    head = b""
    while len(head) <= HEAD_BYTES:
        chunk = await reader.read(HEAD_BYTES)
        head += chunk
        line = _REQUEST_LINE.match(head)
        if line and _BLANK_LINE.search(head, line.end() - 1):
            return line[2] if line[1] == b"GET" else None
        if not chunk:
            break
    return None


async def _read_out(reader: asyncio.StreamReader) -> None:
    while await reader.read(HEAD_BYTES):
        pass
