"""
A TCP goodput probe: one end sends zeros, the other counts. What a shaped link really carries.

Requests: ``listen`` gives a port; then ``receive`` at one host and ``send`` at the other, at the same time. Only the
receiver's clock counts, and only after things have settled: TCP has found its rate and the shaper's bucket is empty.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from btgames.agents import talk

CHUNK_BYTES = 262_144
# The last of tcp_info's fields that is of interest, tcpi_total_retrans, is the u32 at byte 100 (linux/tcp.h).
_TOTAL_RETRANS_OFFSET = 100


class Stream:
    """One probe; holds the listening socket between requests."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104 - a host's namespace is closed

    def listen(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return the port where `receive` will accept."""
        return {"port": self._listener.getsockname()[1]}

    def receive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Accept one connection and count what arrives after `settle_s`: bytes, seconds and Mbit/s of payload."""
        self._listener.settimeout(request.get("timeout_s", 10.0))
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(request.get("timeout_s", 10.0))
            return count(connection, settle_s=request["settle_s"])

    def send(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send zeros to `address`, `port` for `seconds`; return how many bytes, and how many segments went twice."""
        chunk = bytes(CHUNK_BYTES)
        sent = 0
        with socket.create_connection((request["address"], request["port"]), timeout=10.0) as connection:
            end = time.monotonic() + request["seconds"]
            while time.monotonic() < end:
                sent += connection.send(chunk)
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANS_OFFSET + 4)
        (resent,) = struct.unpack_from("I", info, _TOTAL_RETRANS_OFFSET)
        return {"bytes": sent, "resent_segments": resent}


def count(connection: socket.socket, *, settle_s: float) -> dict[str, Any]:
    """
    Read to the end; return bytes, seconds and Mbit/s from the first arrival after `settle_s` to the last one.

    Raises:
        ValueError: the stream ended before it settled.

    """
    buffer = bytearray(CHUNK_BYTES)
    settled_at = time.monotonic() + settle_s
    start = end = 0.0
    total = 0
    while True:
        read = connection.recv_into(buffer)
        now = time.monotonic()
        if not read:
            break
        if start:
            total += read
            end = now
        elif now >= settled_at:
            start = now
    if end <= start:
        raise ValueError("the stream ended before it settled")
    return {"bytes": total, "seconds": end - start, "mbit": total * 8 / (end - start) / 1e6}


def main() -> None:
    """Answer requests until stdin ends."""
    stream = Stream()
    talk.serve({"listen": stream.listen, "receive": stream.receive, "send": stream.send})


if __name__ == "__main__":
    main()
