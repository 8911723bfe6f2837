"""The probe against referees, seeders, and those that are not ready."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from bt_clients import PATIENCE_S, Agent, Torrent, agent, libtorrent_seeder, make_torrent, private_network
from hypothesis import given
from hypothesis import strategies as st

from btgames.agents import probe_utp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFO_HASH = bytes(range(20)).hex()


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, ...]]:
    """Make a private network."""
    with private_network() as network:
        yield network.as_self


@pytest.fixture(scope="module")
def probe(network: tuple[str, ...]) -> Iterator[Agent]:
    """Run one probe in the private network."""
    with agent("probe", prefix=network) as started:
        yield started


@pytest.fixture
def referee(network: tuple[str, ...]) -> Iterator[Agent]:
    """Run a referee in the private network."""
    with agent("tracker", "--bind", "127.0.0.1", prefix=network) as started:
        yield started


def url(referee: Agent) -> str:
    """Return the referee's announce address."""
    return f"http://127.0.0.1:{referee.ready['http_port']}/announce"


def seeded(folder: Path, referee: Agent) -> Torrent:
    """Return a torrent that the referee expects."""
    torrent = make_torrent(folder, url(referee))
    referee.ask(do="expect", info_hash=torrent.info_hash)
    return torrent


def ready(probe: Agent, referee: Agent, torrent: Torrent, *ports: int, **more: Any) -> dict[str, Any]:
    """Ask the probe whether seeders at these ports are ready."""
    asked = {"info_hash": torrent.info_hash, "seeders": [["127.0.0.1", port] for port in ports], **more}
    return probe.ask(do="ready", **{"tracker": url(referee), "within_s": PATIENCE_S / 2, **asked})


@pytest.mark.testbed
def test_a_seeder_that_is_ready(probe: Agent, referee: Agent, network: tuple[str, ...], tmp_path: Path) -> None:
    """A libtorrent seeder is ready over TCP, and over uTP, soon after it starts; the log has nobody else."""
    torrent = seeded(tmp_path, referee)
    with libtorrent_seeder(torrent, network) as seeder:
        for transport in ("tcp", "utp"):
            answer = ready(probe, referee, torrent, seeder.ready["port"], transport=transport)
            assert answer["ok"], answer
            assert 0 <= answer["waited_s"] < PATIENCE_S / 2
    assert {entry["port"] for entry in referee.announces()} == {seeder.ready["port"]}


@pytest.mark.testbed
def test_a_seeder_without_tcp(probe: Agent, referee: Agent, network: tuple[str, ...], tmp_path: Path) -> None:
    """A seeder that takes uTP only is ready over uTP, and is not over TCP."""
    torrent = seeded(tmp_path, referee)
    with libtorrent_seeder(torrent, network, "--utp") as seeder:
        assert "ok" in ready(probe, referee, torrent, seeder.ready["port"], transport="utp")
        error = ready(probe, referee, torrent, seeder.ready["port"], timeout_s=0.3)["error"]
    assert error.startswith(f"NotReady: the seeder 127.0.0.1:{seeder.ready['port']}: ")


@pytest.mark.testbed
def test_a_seeder_of_another_torrent(probe: Agent, referee: Agent, network: tuple[str, ...], tmp_path: Path) -> None:
    """A seeder that does not have this torrent is not ready, over TCP and over uTP; the probe lives on."""
    torrent = seeded(tmp_path, referee)
    with libtorrent_seeder(torrent, network) as seeder:
        referee.ask(do="expect", info_hash=INFO_HASH)
        for transport in ("tcp", "utp"):
            answer = ready(
                probe, referee, torrent, seeder.ready["port"], timeout_s=0.5, transport=transport, info_hash=INFO_HASH
            )
            assert "knows 0 of 1" in answer["error"]
            assert f"the seeder 127.0.0.1:{seeder.ready['port']}: " in answer["error"]


def test_nobody_there(probe: Agent) -> None:
    """Where nothing listens, the error says so of the tracker and of each seeder, after the time asked for."""
    request = {"info_hash": INFO_HASH, "within_s": 0.2, "tracker": "http://127.0.0.1:1/announce"}
    answer = probe.ask(do="ready", seeders=[["127.0.0.1", 2], ["127.0.0.1", 3]], **request)
    assert answer == {
        "error": "NotReady: the tracker http://127.0.0.1:1/announce: no scrape: [Errno 111] Connection refused; "
        "the seeder 127.0.0.1:2: [Errno 111] Connection refused; "
        "the seeder 127.0.0.1:3: [Errno 111] Connection refused; after 0.2 s"
    }


def test_no_seeders(probe: Agent, referee: Agent) -> None:
    """A swarm without seeders is ready as soon as its tracker answers a scrape."""
    referee.ask(do="expect", info_hash=INFO_HASH)
    assert "ok" in probe.ask(do="ready", tracker=url(referee), info_hash=INFO_HASH, seeders=[], within_s=PATIENCE_S)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x13BitTorrent protocol" + bytes(48),
        b"x" * 68,
        b"HTTP/1.1 200 OK\r\n\r\nd5:filesde",
        b"HTTP/1.1 200 OK\r\n\r\ni7e",
        b"HTTP/1.1 200 OK\r\n\r\nd5:filesi7ee",
        b"HTTP/1.1 200 OK\r\n\r\nd5:filesd20:" + bytes.fromhex(INFO_HASH) + b"i7eee",
        b"\xff" * 200_000,
    ],
    ids=["nothing", "no info hash", "no handshake", "cut off", "a number", "no files", "no counts", "a flood"],
)
def test_strange_answers(answer: bytes) -> None:
    """A tracker and a seeder that answer anything else are not ready, and the probe can tell."""
    with answering(answer) as port, agent("probe") as probe:
        request = {"tracker": f"http://127.0.0.1:{port}/announce", "info_hash": INFO_HASH, "within_s": 0.1}
        error = probe.ask(do="ready", seeders=[["127.0.0.1", port]], **request)["error"]
    assert error.startswith(f"NotReady: the tracker http://127.0.0.1:{port}/announce: ")
    assert f"the seeder 127.0.0.1:{port}: " in error


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Run a listener that answers whatever it is sent with these bytes and hangs up; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            # Ends when the listener is shut down.
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(4096)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


@given(st.binary(max_size=60))
def test_any_utp_packet(datagram: bytes) -> None:
    """Any datagram is a uTP packet or none; its payload is the end of the datagram."""
    packet = probe_utp.parse(datagram)
    if packet is not None:
        assert datagram.endswith(packet.payload)
        assert len(packet.payload) <= len(datagram) - 20


def test_utp_extensions_are_skipped() -> None:
    """Extensions between the head and the payload (a selective ACK, say) are no part of the payload."""
    head = struct.pack(">BBHIIIHH", 1, 1, 7, 0, 0, 0, 9, 0)
    extensions = bytes([2, 4, 1, 2, 3, 4, 0, 1, 5])
    packet = probe_utp.parse(head + extensions + b"payload")
    assert packet is not None
    assert (packet.type, packet.connection_id, packet.seq_nr, packet.payload) == (0, 7, 9, b"payload")
    assert probe_utp.parse(head + bytes([1])) is None
