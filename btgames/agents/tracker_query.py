"""
Reads the request target of an HTTP announce or scrape, as clients send it rather than as they should.

Seen in clients of 2013 and read here: an info hash sent as raw bytes, those that are special in an address included;
a space sent as ``+``; no port, no left, no event.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Dict, List
from urllib.parse import unquote_to_bytes

_ID_BYTES = 20
"""
Both the info hash and the peer id are 20 bytes (BEP 3).
"""

_ORIGIN = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
_BINARY = re.compile(rb"(?:^|&)(info_hash|peer_id)=")
_TOKEN = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class Target:
    """A request target, taken apart."""

    path: bytes  # without scheme, host and trailing slashes
    info_hashes: List[bytes] = field(default_factory=list)  # each reading of each info_hash parameter
    peer_ids: List[bytes] = field(default_factory=list)
    fields: Dict[str, str] = field(default_factory=dict)  # all other parameters; the first one of a name counts

    def integer(self, name: str) -> int | None:
        """Return the parameter as a number, or None where it is absent, no number, or beyond 64 bits."""
        text = self.fields.get(name, "")
        return int(text) if _INTEGER.fullmatch(text) else None

    @property
    def port(self) -> int | None:
        """The port, or None where there is none that anybody could connect to."""
        port = self.integer("port")
        return port if port is not None and 0 < port < 1 << 16 else None


def parse(target: bytes) -> Target:
    """Take a request target apart; any bytes will do."""
    origin = _ORIGIN.match(target)
    path, _, query = target[origin.end() if origin else 0 :].partition(b"?")
    binary: dict[bytes, list[bytes]] = {b"info_hash": [], b"peer_id": []}
    while found := _BINARY.search(query):
        raw = _raw(query, found.end())
        # A plus is a space where the query was written as a form; in raw bytes, plus and percent are themselves.
        binary[found[1]] += [unquote_to_bytes(raw), unquote_to_bytes(raw.replace(b"+", b" ")), raw]
        query = query[: found.start()] + query[found.end() + len(raw) :]
    pairs = (pair.partition(b"=") for pair in query.split(b"&"))
    fields: dict[str, str] = {}
    for name, _, value in pairs:
        fields.setdefault(_text(name), _text(value))
    return Target(path.rstrip(b"/"), binary[b"info_hash"], binary[b"peer_id"], fields)


def _raw(query: bytes, start: int) -> bytes:
    """Return the value at `start` as it was sent: 20 bytes, escaped or not, or else all up to the next ``&``."""
    escaped = [token[0] for token in itertools.islice(_TOKEN.finditer(query, start), _ID_BYTES)]
    raw = query[start : start + _ID_BYTES]
    for parts, value in ((escaped, b"".join(escaped)), (raw, raw)):
        if len(parts) == _ID_BYTES and query[start + len(value) :][:1] in {b"", b"&"}:
            return value
    return query[start:].partition(b"&")[0]


def _text(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("latin-1")
