"""The seeder as a process: real downloads, raw peers that look closely, and heats that leave nothing behind."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bt_clients import PATIENCE_S, PROJECT, Agent, agent, until
from seeding import FOLDER, HERE, PIECE, SINGLE, Heat, check_files, client, finish, heat

from btgames import payload
from btgames.agents.probe import NotReady, shake_hands
from btgames.agents.seeder import Seeder, tcp_sockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BITFIELD, REQUEST, INTERESTED, UNCHOKE, PIECE_MESSAGE = 5, 6, 2, 1, 7  # BEP 3


@contextlib.contextmanager
def seeder(folder: Path, *options: str, bind: str = HERE) -> Iterator[Agent]:
    """Run a seeder on a free port."""
    with agent("seeder", "--bind", bind, "--port", "0", "--folder", str(folder), *options) as running:
        yield running


class Peer:
    """A raw peer over TCP, handshake done, that notes all messages it gets."""

    def __init__(self, address: tuple[str, int], info_hash: str) -> None:
        self.connection = socket.create_connection(address, PATIENCE_S)
        self.heard: list[tuple[int, bytes]] = []
        hello = b"\x13BitTorrent protocol" + bytes(8) + bytes.fromhex(info_hash) + b"-XX0001-" + os.urandom(12)
        self.connection.sendall(hello)
        answer = self._exactly(68)
        assert answer[28:48].hex() == info_hash

    def send(self, kind: int, body: bytes = b"") -> None:
        """Send one message of BEP 3."""
        self.connection.sendall(struct.pack(">IB", 1 + len(body), kind) + body)

    def ask(self, piece: int) -> None:
        """Request the first block of a piece."""
        self.send(REQUEST, struct.pack(">III", piece, 0, PIECE))

    def hear(self, kind: int) -> bytes:
        """Read messages until one of this kind; return its body."""
        while True:
            (length,) = struct.unpack(">I", self._exactly(4))
            message = self._exactly(length)
            if message:
                self.heard.append((message[0], message[1:]))
                if message[0] == kind:
                    return message[1:]

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.connection.recv(size - len(data))
            if not chunk:
                raise ConnectionError("hung up")
            data += chunk
        return data


@contextlib.contextmanager
def raw_peer(folder: Path, heat: Heat, has: Iterable[int] | None = None) -> Iterator[Peer]:
    """Yield a raw peer of a seeder that has just begun to seed."""
    with seeder(folder) as source:
        heat.start(source, has)
        with contextlib.closing(Peer((HERE, source.ready["port"]), heat.torrent.info_hash)) as peer:
            yield peer


@pytest.mark.parametrize("layout", [SINGLE, FOLDER])
@pytest.mark.parametrize(("offers", "takes"), [("any", "tcp"), ("any", "utp"), ("tcp", "tcp"), ("utp", "utp")])
def test_a_client_downloads_the_payload(tmp_path: Path, layout: payload.Layout, offers: str, takes: str) -> None:
    """A client gets every byte of files and folders, over each transport that the seeder offers."""
    into = tmp_path / "into"
    run = heat(layout)
    with seeder(tmp_path, "--transport", offers) as source:
        run.start(source)
        with client(run, into, [(HERE, source.ready["port"])], takes) as download:
            finish(download)
            check_files(into, run)
        state = source.ask(do="state")
        assert set(state["has"]) == {"1"}
        assert state["uploaded_bytes"] >= run.torrent.size
        assert "Connection refused" in state["errors"][0]  # by the tracker, which this heat does not have


@pytest.mark.parametrize(("offers", "takes"), [("tcp", "utp"), ("utp", "tcp")])
def test_the_other_transport_is_not_served(tmp_path: Path, offers: str, takes: str) -> None:
    """A seeder of one transport does not shake hands over the other one."""
    run = heat()
    with seeder(tmp_path, "--transport", offers) as source:
        run.start(source)
        address = (HERE, source.ready["port"])
        with pytest.raises(NotReady):
            shake_hands(address, bytes.fromhex(run.torrent.info_hash), takes, 0.5)
        shake_hands(address, bytes.fromhex(run.torrent.info_hash), offers, PATIENCE_S)


def test_a_handshake_is_answered_when_seed_is(tmp_path: Path) -> None:
    """The first connection after the answer gets handshake, bitfield, unchoke and a right block."""
    run = heat()
    with raw_peer(tmp_path, run) as peer:
        peer.send(INTERESTED)
        bits = run.torrent.num_pieces
        assert peer.hear(BITFIELD) == bytes.fromhex("ff" * (bits // 8)) + bytes([0xFF00 >> bits % 8 & 0xFF])
        peer.hear(UNCHOKE)
        peer.ask(7)
        assert peer.hear(PIECE_MESSAGE) == struct.pack(">II", 7, 0) + payload.read(run.seed, 7 * PIECE, PIECE)


def test_small_segments_are_not_held_back(tmp_path: Path) -> None:
    """A connection that libtorrent accepts has TCP_NODELAY: the last bytes of a payload wait for no delayed ACK."""
    run = heat()
    source = Seeder(HERE, 0, tmp_path, "any")
    source.make({"seed": run.seed.hex(), "layout": SINGLE, "piece_size": PIECE, "has": None})
    source.seed({"torrent": base64.b64encode(run.torrent.data)})
    with socket.create_connection((HERE, source.port), PATIENCE_S) as peer:

        def accepted() -> list[int]:
            return [
                held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                for held in tcp_sockets()
                if held.getsockname() == peer.getpeername() and not listens(held)
            ]

        until(accepted, "the connection to be accepted")
        assert all(accepted())


def listens(held: socket.socket) -> int:
    """Return whether a socket takes connections."""
    return held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_portion_seeders_stay_as_they_were(tmp_path: Path) -> None:
    """Four seeders with a quarter each, who know each other by the tracker, end the heat with a quarter each."""
    with contextlib.ExitStack() as stack:
        referee = stack.enter_context(agent("tracker", "--bind", HERE))
        run = heat(FOLDER, f"http://{HERE}:{referee.ready['http_port']}/announce")
        assert referee.ask(do="expect", info_hash=run.torrent.info_hash)["ok"]
        shares = [set(range(start, run.torrent.num_pieces, 4)) for start in range(4)]
        seeders = [stack.enter_context(seeder(tmp_path)) for _ in shares]
        for source, share in zip(seeders, shares, strict=True):
            run.start(source, share)
        until(lambda: len({entry["port"] for entry in referee.announces()}) == 4, "announces of all seeders")
        peers = [(HERE, source.ready["port"]) for source in seeders]
        finish(stack.enter_context(client(run, tmp_path / "into", peers)))
        check_files(tmp_path / "into", run)
        states = [source.ask(do="state") for source in seeders]
        for state, share in zip(states, shares, strict=True):
            assert {piece for piece, has in enumerate(state["has"]) if has == "1"} == share
            assert len(state["has"]) == run.torrent.num_pieces
            assert state["peers"] <= 1
            assert state["uploaded_bytes"] > 0


def test_a_portion_seeder_wants_nothing_from_a_full_peer(tmp_path: Path) -> None:
    """Even unchoked by a peer that has all pieces, it shows no interest, and goes on to serve its own."""
    run = heat()
    with raw_peer(tmp_path, run, has={1, 2}) as peer:
        peer.send(BITFIELD, bytes([0xFF] * 15 + [0]))  # all but the last three pieces: with all, it would be hung up on
        peer.send(UNCHOKE)
        peer.send(INTERESTED)
        assert peer.hear(BITFIELD)[0] == 0b0110_0000
        peer.hear(UNCHOKE)
        peer.ask(2)
        assert peer.hear(PIECE_MESSAGE)[8:] == payload.read(run.seed, 2 * PIECE, PIECE)
        assert {kind for kind, _ in peer.heard}.isdisjoint({INTERESTED, REQUEST})


@pytest.mark.parametrize("scheme", ["http", "udp"])
def test_the_announce_comes_at_once_and_from_the_bound_address(tmp_path: Path, scheme: str) -> None:
    """The referee sees address, port and `left` of a seeder that listens elsewhere than on the first address."""
    with agent("tracker", "--bind", HERE) as referee, seeder(tmp_path, bind="127.0.0.77") as source:
        run = heat(tracker=f"{scheme}://{HERE}:{referee.ready[scheme + '_port']}/announce")
        referee.ask(do="expect", info_hash=run.torrent.info_hash)
        run.start(source)
        entry = until(referee.announces, "the announce")[0]
        assert (entry["status"], entry["event"], entry["left"]) == ("ok", "started", 0)
        assert (entry["ip"], entry["port"]) == ("127.0.0.77", source.ready["port"])


def test_forgetting_leaves_nothing_and_the_next_heat_works(tmp_path: Path) -> None:
    """With a uTP peer connected, `forget` drops files and torrent; then the same process seeds another heat."""
    first, second = heat(), heat(FOLDER)
    folder, port = tmp_path / "memory", 0
    folder.mkdir()
    with seeder(folder) as source:
        port = source.ready["port"]
        first.start(source)
        with client(first, tmp_path / "first", [(HERE, port)], "utp") as download:
            finish(download)
            assert source.ask(do="forget") == {"ok": True}
        assert list(folder.iterdir()) == []
        held = Path(f"/proc/{source.process.pid}/maps")
        until(lambda: str(folder) not in held.read_text(), "the payload's memory to be given back")
        assert source.ask(do="state") == {"ok": True, "has": "", "uploaded_bytes": 0, "peers": 0, "errors": []}
        with pytest.raises(NotReady, match=r"hung up|reset"):
            shake_hands((HERE, port), bytes.fromhex(first.torrent.info_hash), "tcp", PATIENCE_S)
        second.start(source)
        with client(second, tmp_path / "second", [(HERE, port)]) as download:
            finish(download)
            check_files(tmp_path / "second", second)
        assert source.ask(do="forget") == source.ask(do="forget") == {"ok": True}


def test_making_forgets_what_was_there(tmp_path: Path) -> None:
    """A heat that was never tidied up does not grow into the next one."""
    with seeder(tmp_path) as source:
        earlier, later = heat(), heat()
        old = earlier.start(source)
        new = later.make(source)
        assert not old.exists()
        check_files(new, later)
        assert source.ask(do="state")["has"] == ""


def test_what_cannot_be_done_is_an_error_and_no_end(tmp_path: Path) -> None:
    """Requests out of order, or with nonsense in them, are answered in words; the next good one works."""
    run = heat()
    with seeder(tmp_path) as source:
        encoded = base64.b64encode(run.torrent.data).decode()
        assert source.ask(do="seed", torrent=encoded) == {"error": "ValueError: seed follows make, once"}
        outside = source.ask(do="make", seed="00", layout=[["../x", 1]], piece_size=PIECE, has=None)
        assert outside == {"error": "ValueError: '../x' is not a plain relative path"}
        run.start(source)
        assert "seed follows make" in source.ask(do="seed", torrent=encoded)["error"]
        run.make(source)
        assert "RuntimeError" in source.ask(do="seed", torrent="AAAA")["error"]
        run.start(source)


def test_a_taken_port_is_said_and_no_other_is_used(tmp_path: Path) -> None:
    """The harness tells clients a port; a seeder that cannot have it ends with one line."""
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--bind", HERE, "--port", str(port), "--folder", str(tmp_path)]
        argv = [sys.executable, "-m", "btgames.agents.seeder", *arguments]
        ended = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert ended.returncode == 1
        assert re.fullmatch("seeder: listening on .*already in use\n", ended.stderr)
        assert ended.stdout == ""


def test_it_ends_at_once_when_the_harness_is_gone(tmp_path: Path) -> None:
    """When stdin ends it leaves without its files and without uTP's and the tracker's three to five seconds."""
    run = heat()
    with seeder(tmp_path / "..") as source:
        folder = run.start(source)
        with client(run, tmp_path / "into", [(HERE, source.ready["port"])], "utp") as download:
            finish(download)
            begin = time.monotonic()
            assert source.process.stdin is not None
            source.process.stdin.close()
            assert source.process.wait(PATIENCE_S) == 0
            assert time.monotonic() - begin < 2
        assert not folder.exists()
