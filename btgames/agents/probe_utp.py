"""
As much of uTP (BEP 29) as a handshake takes: connect, send one packet, receive in order, reset.

Nothing is sent twice: who uses this makes a new connection when one does not answer in time.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import NamedTuple

DATA, FIN, STATE, RESET, SYN = range(5)
VERSION = 1
WINDOW_BYTES = 64 * 1024
MAX_DATAGRAM = 65535

_HEADER = struct.Struct(">BBHIIIHH")


class Packet(NamedTuple):
    """What a handshake needs to know of one packet."""

    type: int
    connection_id: int
    sent_us: int
    seq_nr: int
    payload: bytes


def parse(datagram: bytes) -> Packet | None:
    """Return the packet that a datagram holds, its extensions skipped; None where it holds none."""
    if len(datagram) < _HEADER.size:
        return None
    kind, extension, connection_id, sent_us, _delay, _window, seq_nr, _ack_nr = _HEADER.unpack_from(datagram)
    at = _HEADER.size
    while extension:
        if at + 2 > len(datagram):
            return None
        extension, at = datagram[at], at + 2 + datagram[at + 1]
    return Packet(kind >> 4, connection_id, sent_us, seq_nr, datagram[at:]) if kind & 15 == VERSION else None


class UtpSocket:
    """A connection, made at once. Every wait ends with TimeoutError at one common deadline."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._receive_id = int.from_bytes(os.urandom(2), "big") & 0xFFFE
        self._seq_nr = 1
        self._ack_nr = 0
        self._delay_us = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
            self._send(SYN, self._receive_id)
            # The other side's first data will carry the number of the packet that accepts the connection.
            self._ack_nr = self._next(STATE).seq_nr - 1 & 0xFFFF
        except BaseException:
            self._socket.close()
            raise

    def sendall(self, payload: bytes) -> None:
        """Send one packet; it has to fit."""
        self._seq_nr += 1
        self._send(DATA, self._receive_id + 1, payload)

    def recv(self, size: int) -> bytes:
        """Return the next packet's payload, cut to `size`; what is beyond is lost."""
        while True:
            packet = self._next(DATA)
            if packet.seq_nr == self._ack_nr + 1 & 0xFFFF:
                self._ack_nr = packet.seq_nr
                self._send(STATE, self._receive_id + 1)
                return packet.payload[:size]

    def close(self) -> None:
        """Reset the connection."""
        with self._socket:
            self._send(RESET, self._receive_id + 1)

    def _send(self, kind: int, connection_id: int, payload: bytes = b"") -> None:
        now_us = time.monotonic_ns() // 1000 & 0xFFFFFFFF
        head = kind << 4 | VERSION, 0, connection_id, now_us, self._delay_us, WINDOW_BYTES, self._seq_nr, self._ack_nr
        self._socket.send(_HEADER.pack(*head) + payload)

    def _next(self, kind: int) -> Packet:
        while True:
            self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
            packet = parse(self._socket.recv(MAX_DATAGRAM))
            if time.monotonic() > self._deadline:
                raise TimeoutError("timed out")
            if packet is None or packet.connection_id != self._receive_id:
                continue
            self._delay_us = time.monotonic_ns() // 1000 - packet.sent_us & 0xFFFFFFFF
            if packet.type in {FIN, RESET}:
                raise ConnectionResetError("hung up during the handshake")
            if packet.type == kind:
                return packet
