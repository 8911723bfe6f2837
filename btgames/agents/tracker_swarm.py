"""
What the referee tracker knows: the one swarm it serves, and the log of who announced what, and when.

Peers do not expire by themselves: a heat is shorter than any sensible expiry, and the next heat forgets them all.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Protocol, Sequence, Tuple

INFO_HASH_BYTES = 20
"""
SHA-1, by BEP 3.
"""

MAX_PEERS = 2000
"""
Peers that are remembered at most. Seeders come before the contestant, so a flood of invented peers displaces none.
"""

LOG_ENDS = 1000
"""
Entries kept from the log's beginning, and again from its end; what lies between is only counted.
"""

NUMWANT = 50
"""
Peers that an asker gets when it does not say how many it wants (BEP 3's own default).
"""

MAX_NUMWANT = 200
"""Peers that an asker gets at most: 1200 bytes in compact form, which one UDP datagram carries."""


class Refused(Exception):  # noqa: N818 - the tracker's answer, not a defect
    """The announce is not served; the text is BEP 3's `failure reason`."""


@dataclass(frozen=True)
class Announce:
    """One announce as it came, whichever the transport. None: the asker did not say, or not in a readable way."""

    at_s: float  # CLOCK_MONOTONIC of this host
    ip: str  # where it came from; the `ip` parameter is never believed
    transport: str  # http or udp
    info_hash: bytes
    peer_id: bytes
    port: int | None = None  # 1 to 65535
    event: str = ""  # started, completed, stopped or nothing, but also whatever else an odd client sends
    left: int | None = None  # bytes
    downloaded: int | None = None  # bytes
    uploaded: int | None = None  # bytes
    numwant: int | None = None  # negative or None: as many as the tracker likes


@dataclass(frozen=True)
class Peer:
    """One address that others are told of."""

    ip: str
    port: int
    peer_id: bytes
    complete: bool  # it said that nothing is left
    at_s: float  # when it last said so


@dataclass(frozen=True)
class Counts:
    """What a scrape tells (BEP 48)."""

    complete: int
    incomplete: int
    downloaded: int  # announces of `completed`


class Knows(Protocol):
    """What a tracker's fronts ask: who is in which swarm."""

    def meant(self, readings: Sequence[bytes]) -> bytes:
        """Return the info hash that an asker meant, of the readings of what it sent."""

    def announce(self, announce: Announce) -> Tuple[List[Peer], Counts]:
        """Note the announce and return the peers for its asker, and the swarm's counts. Raises Refused."""

    def scraped(self, info_hashes: Sequence[bytes]) -> Dict[bytes, Counts]:
        """Return the counts of those of these swarms that are served; of all where none is named."""


class Swarm:
    """The swarm of one info hash, and its log. Every method may be called from any thread."""

    def __init__(self, log_ends: int = LOG_ENDS) -> None:
        self._lock = threading.Lock()
        self._log_ends = log_ends
        self._forget(None)

    def _forget(self, info_hash: bytes | None) -> None:
        self.info_hash = info_hash
        self._peers: dict[tuple[str, int], Peer] = {}
        self._completed = 0
        self._first: list[dict[str, Any]] = []
        self._last: deque[dict[str, Any]] = deque(maxlen=self._log_ends)
        self._dropped = 0

    def expect(self, info_hash: bytes) -> None:
        """Forget everything; from now on serve this info hash and no other. ValueError: it is not 20 bytes."""
        if len(info_hash) != INFO_HASH_BYTES:
            raise ValueError(f"an info hash has {INFO_HASH_BYTES} bytes, not {len(info_hash)}")
        with self._lock:
            self._forget(info_hash)

    def meant(self, readings: Sequence[bytes]) -> bytes:
        """Return the expected info hash where it is among these readings, else the first."""
        expected = self.info_hash
        return expected if expected is not None and expected in readings else next(iter(readings), b"")

    def announce(self, announce: Announce) -> tuple[list[Peer], Counts]:
        """
        Note the announce and return the peers for its asker, never the asker itself, and the swarm's counts.

        Also of seeders when it says that nothing is left: one client of 2013 says so from its start.

        Raises:
            Refused: another info hash than the expected one; noted as well.

        """
        with self._lock:
            if announce.info_hash != self.info_hash:
                whole = len(announce.info_hash) == INFO_HASH_BYTES
                reason = "unknown info_hash" if whole else f"info_hash has {len(announce.info_hash)} bytes"
                self._note(announce, reason)
                raise Refused(reason)
            self._note(announce, "ok")
            self._update(announce)
            return self._others(announce), self._counts()

    def counts(self) -> Counts:
        """Return what a scrape tells."""
        with self._lock:
            return self._counts()

    def scraped(self, info_hashes: Sequence[bytes]) -> dict[bytes, Counts]:
        """Return the counts of the expected info hash, unless others are named only."""
        with self._lock:
            if self.info_hash is None or (info_hashes and self.info_hash not in info_hashes):
                return {}
            return {self.info_hash: self._counts()}

    def expire(self, before_s: float) -> None:
        """Forget the peers that have not announced since."""
        with self._lock:
            self._peers = {key: peer for key, peer in self._peers.items() if peer.at_s >= before_s}

    def log(self) -> dict[str, Any]:
        """Return ``{"announces": [...], "dropped": count}`` since the last `expect`; bytes in hex."""
        with self._lock:
            return {"announces": [*self._first, *self._last], "dropped": self._dropped}

    def _note(self, announce: Announce, status: str) -> None:
        info_hash = announce.info_hash[: 2 * INFO_HASH_BYTES].hex()
        entry = {**asdict(announce), "info_hash": info_hash, "peer_id": announce.peer_id.hex(), "status": status}
        if len(self._first) < self._log_ends:
            self._first.append(entry)
        else:
            self._dropped += len(self._last) == self._log_ends
            self._last.append(entry)

    def _update(self, announce: Announce) -> None:
        self._completed += announce.event == "completed"
        if announce.port is None:
            return
        key = (announce.ip, announce.port)
        if announce.event == "stopped":
            self._peers.pop(key, None)
        elif key in self._peers or len(self._peers) < MAX_PEERS:
            self._peers[key] = Peer(*key, announce.peer_id, complete=announce.left == 0, at_s=announce.at_s)

    def _others(self, announce: Announce) -> list[Peer]:
        if announce.event == "stopped":
            return []
        wanted = NUMWANT if announce.numwant is None or announce.numwant < 0 else min(announce.numwant, MAX_NUMWANT)
        asker = (announce.ip, announce.port)
        others = (
            peer
            for peer in self._peers.values()
            if (peer.ip, peer.port) != asker and not (announce.peer_id and peer.peer_id == announce.peer_id)
        )
        return list(itertools.islice(others, wanted))

    def _counts(self) -> Counts:
        complete = sum(peer.complete for peer in self._peers.values())
        return Counts(complete, len(self._peers) - complete, self._completed)
