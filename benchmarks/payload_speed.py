"""
How fast is a payload made and handed out, on loopback, where no link is in the way?

The seeder and the yardstick's server must not be the slower side of a race on unshaped links. What receives here are
raw sockets that throw away what they get, faster than any client. Medians of several rounds, and the slowest.
"""

from __future__ import annotations

import base64
import itertools
import os
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from btgames import payload, torrent
from btgames.hosts import Agent
from btgames.hosts.process import PipedProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = "127.0.0.1"
PIECE = 256 * 1024  # bytes
SIZES = {"small": 2_000_000, "large": 200_000_000}  # bytes
ROUNDS = 7
PIPELINE = 512  # blocks asked for ahead, as libtorrent does
HEADER = 13  # bytes of a piece message before its block (BEP 3)


class Here:
    """Starts agents on this machine, as they are."""

    name = "here"
    python = sys.executable

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> PipedProcess:
        """Start a command."""
        return PipedProcess(argv, {**os.environ, **(env or {})})


class Clock:
    """Collects how long things took, by name."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self._last = time.perf_counter()

    def start(self) -> None:
        """Begin to measure."""
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the time since the last lap or start."""
        now = time.perf_counter()
        self.times[name].append(now - self._last)
        self._last = now

    def show(self, size: int) -> None:
        """Print what was measured."""
        for name, times in self.times.items():
            median = statistics.median(times)
            print(f"{name:34}{median * 1e3:9.1f} ms{max(times) * 1e3:9.1f} ms{size / 1e6 / median:9.0f} MB/s")


def drain(connection: socket.socket, wanted: int) -> None:
    """Receive and throw away this many bytes."""
    space = memoryview(bytearray(1 << 20))
    while wanted:
        got = connection.recv_into(space[: min(wanted, len(space))])
        if not got:
            raise ConnectionError("hung up")
        wanted -= got


def leech(address: str, port: int, info_hash: str, size: int, piece_size: int = PIECE) -> None:
    """Download a payload from a seeder over TCP, and throw it away: the least that a peer can do."""
    blocks = ((b.start, b.length) for b in payload.segments([("", size)], payload.BLOCK))
    with socket.create_connection((address, port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else some requests wait 40 ms for an ACK
        hello = b"\x13BitTorrent protocol" + bytes(8) + bytes.fromhex(info_hash) + b"-BG0001-" + os.urandom(12)
        connection.sendall(hello + struct.pack(">IB", 1, 2))
        drain(connection, 68)
        while True:  # its bitfield and such, until it unchokes
            length, kind = struct.unpack(">IB", connection.recv(5, socket.MSG_WAITALL))
            drain(connection, length - 1)
            if kind == 1:
                break
        asked = ask(connection, piece_size, itertools.islice(blocks, PIPELINE))
        while asked:
            batch = asked[: PIPELINE // 8]
            drain(connection, sum(batch) + HEADER * len(batch))
            asked = asked[len(batch) :] + ask(connection, piece_size, itertools.islice(blocks, len(batch)))


def ask(connection: socket.socket, piece_size: int, blocks: itertools.islice[tuple[int, int]]) -> list[int]:
    """Request blocks in one go; return their lengths."""
    asked = list(blocks)
    requests = [
        struct.pack(">IBIII", 13, 6, start // piece_size, start % piece_size, length) for start, length in asked
    ]
    connection.sendall(b"".join(requests))
    return [length for _, length in asked]


def fetch(address: str, port: int, name: str, size: int) -> None:
    """Download a payload over HTTP, and throw it away."""
    with socket.create_connection((address, port), 10) as connection:
        connection.sendall(f"GET /{name} HTTP/1.0\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        drain(connection, size)


def measure(size: int, memory: Path) -> Clock:
    """Play the harness's part of several heats, one after another."""
    clock = Clock()
    layout = [("payload.bin", size)]
    arguments = ["--bind", HERE, "--port", "0", "--folder", str(memory)]
    with Agent(Here(), "seeder", *arguments) as seeder, Agent(Here(), "web", *arguments) as web:
        for _ in range(ROUNDS):
            seed = os.urandom(16)
            clock.start()
            prepared = payload.prepare(seed, layout, PIECE, random.SystemRandom())
            clock.lap("harness: piece hashes and marks")
            made = torrent.make([f"http://{HERE}:1/announce"], layout, PIECE, prepared.pieces)
            clock.start()
            folder = seeder.ask("make", seed=seed.hex(), layout=layout, piece_size=PIECE, has=None)["folder"]
            clock.lap("seeder: its copy")
            seeder.ask("seed", torrent=base64.b64encode(made.data).decode())
            clock.lap("seeder: torrent added")
            leech(HERE, seeder.ready["port"], made.info_hash, size)
            clock.lap("seeder: download over TCP")
            web.ask("serve", folder=folder)
            clock.start()
            fetch(HERE, web.ready["port"], made.name, size)
            clock.lap("web: download")
            web.ask("forget")
            seeder.ask("forget")
            clock.lap("both: forget")
    return clock


def main() -> None:
    """Measure each size in a folder in memory."""
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            clock = measure(size, Path(memory))
        print(f"{name + f', {size / 1e6:g} MB':34}{'median':>12}{'slowest':>12}")
        clock.show(size)


if __name__ == "__main__":
    main()
