"""A small and correct BitTorrent client (BEP 3, BEP 23; announces over HTTP or, BEP 15, UDP), for fakes to spoil."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit
from urllib.request import urlopen

BLOCK = 16384
PEER_ID = b"-FK0001-" + secrets.token_bytes(12)
PATIENCE_S = 20.0
CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD, REQUEST, PIECE = 0, 1, 2, 4, 5, 6, 7


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Return the bencoded value at an offset, and the offset after it."""
    if data[at : at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if data[at : at + 1] in {b"l", b"d"}:
        values, kind, at = [], data[at : at + 1], at + 1
        while data[at : at + 1] != b"e":
            value, at = decode(data, at)
            values.append(value)
        return (values if kind == b"l" else dict(zip(values[::2], values[1::2]))), at + 1  # noqa: B905 - Python 3.9
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


class Torrent:
    """What the client needs of a .torrent."""

    def __init__(self, path: str) -> None:
        data = Path(path).read_bytes()
        start = data.index(b"4:info") + 6
        info, end = decode(data, start)
        self.announce = decode(data)[0][b"announce"].decode()
        self.info_hash = hashlib.sha1(data[start:end]).digest()  # noqa: S324 - BEP 3 has it so
        self.piece_length: int = info[b"piece length"]
        self.hashes = [info[b"pieces"][at : at + 20] for at in range(0, len(info[b"pieces"]), 20)]
        name = info[b"name"].decode()
        many = info.get(b"files", ())
        self.files: list[tuple[str, int]] = [
            (os.path.join(name, *(part.decode() for part in each[b"path"])), each[b"length"])  # noqa: PTH118 - many parts
            for each in many
        ] or [(name, info[b"length"])]
        self.length = sum(length for _, length in self.files)

    def announced(self, event: str, left: int) -> list[tuple[str, int]]:
        """Announce over HTTP and return the peers."""
        fields = f"port=6999&uploaded=0&downloaded={self.length - left}&left={left}&compact=1&event={event}"
        ids = f"info_hash={quote_from_bytes(self.info_hash)}&peer_id={quote_from_bytes(PEER_ID)}"
        with urlopen(f"{self.announce}?{ids}&{fields}", timeout=PATIENCE_S) as answer:  # noqa: S310 - http, by the torrent
            return peers(decode(answer.read())[0][b"peers"])

    def announced_by_udp(self, event: int, left: int) -> list[tuple[str, int]]:
        """Announce over UDP, at the same address and port, and return the peers."""
        url = urlsplit(self.announce)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(PATIENCE_S)
            udp.connect((url.hostname, url.port))
            udp.send(struct.pack(">QII", 0x41727101980, 0, 7))
            (connection,) = struct.unpack(">8xQ", udp.recv(16))
            numbers = (self.length - left, left, 0, event, 0, 1, -1, 6999)
            head = struct.pack(">QII", connection, 1, 8) + self.info_hash + PEER_ID
            udp.send(head + struct.pack(">QQQIIIiH", *numbers))
            return peers(udp.recv(1500)[20:])


def peers(compact: bytes) -> list[tuple[str, int]]:
    """Return the peers of a compact list (BEP 23)."""
    each = (compact[at : at + 6] for at in range(0, len(compact), 6))
    return [(socket.inet_ntoa(peer[:4]), int.from_bytes(peer[4:], "big")) for peer in each]


class Peer:
    """A connection to a seeder that has some of the pieces."""

    def __init__(self, address: tuple[str, int], torrent: Torrent) -> None:
        self._socket = socket.create_connection(address, PATIENCE_S)
        self._socket.sendall(b"\x13BitTorrent protocol" + bytes(8) + torrent.info_hash + PEER_ID)
        self._exactly(68)
        self._send(INTERESTED)
        self.has: set[int] = set()
        self._torrent = torrent
        while self._message()[0] != UNCHOKE:
            pass

    def piece(self, index: int) -> bytes:
        """Download one piece, all its blocks asked for at once."""
        begin = index * self._torrent.piece_length
        size = min(self._torrent.piece_length, self._torrent.length - begin)
        for offset in range(0, size, BLOCK):
            self._send(REQUEST, struct.pack(">III", index, offset, min(BLOCK, size - offset)))
        blocks: dict[int, bytes] = {}
        while sum(map(len, blocks.values())) < size:
            kind, data = self._message()
            if kind == PIECE:
                blocks[int.from_bytes(data[4:8], "big")] = data[8:]
        return b"".join(blocks[offset] for offset in sorted(blocks))

    def _message(self) -> tuple[int, bytes]:
        length = int.from_bytes(self._exactly(4), "big")
        if length == 0:
            return -1, b""
        data = self._exactly(length)
        if data[0] == BITFIELD:
            bits = enumerate("".join(f"{byte:08b}" for byte in data[1:]))
            self.has |= {index for index, bit in bits if bit == "1"}
        elif data[0] == HAVE:
            self.has.add(int.from_bytes(data[1:], "big"))
        return data[0], data[1:]

    def _send(self, kind: int, data: bytes = b"") -> None:
        self._socket.sendall(struct.pack(">IB", len(data) + 1, kind) + data)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the peer hung up")
            data += chunk
        return data


def fetch(torrent: Torrent, addresses: list[tuple[str, int]] | None = None) -> bytes:
    """Download the whole payload, piece by piece from whoever has it, and check it."""
    pieces: dict[int, bytes] = {}
    for address in torrent.announced("started", torrent.length) if addresses is None else addresses:
        try:
            peer = Peer(address, torrent)
        except ConnectionRefusedError:  # ourselves: opentracker tells an asker of itself
            continue
        for index in sorted(peer.has - pieces.keys()):
            pieces[index] = peer.piece(index)
            if hashlib.sha1(pieces[index]).digest() != torrent.hashes[index]:  # noqa: S324 - BEP 3 has it so
                raise ValueError(f"piece {index} is wrong")
    return b"".join(pieces[index] for index in range(len(torrent.hashes)))


def save(torrent: Torrent, into: str, payload: bytes, suffix: str = "") -> None:
    """Write the payload under its final names, or under these and a suffix."""
    at = 0
    for name, length in torrent.files:
        path = Path(into, name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload[at : at + length])
        at += length
