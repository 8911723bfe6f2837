"""The referee as a process: its protocol on stdin, HTTP and UDP on raw sockets, and those who want to see it dead."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from bt_clients import PATIENCE_S, PROJECT, Agent, agent, until
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames.agents import bencode
from btgames.agents.tracker_http import CONNECTIONS, HEAD_BYTES
from btgames.agents.tracker_udp import PROTOCOL_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFO_HASH = bytes(range(20))
PEER_ID = b"-XX0001-abcdefghijkl"


@dataclass(frozen=True)
class Referee:
    """A running referee, and how to talk to it."""

    agent: Agent

    def connect(self) -> socket.socket:
        """Return a connection to its HTTP port."""
        return socket.create_connection(("127.0.0.1", self.agent.ready["http_port"]), PATIENCE_S)

    def exchange(self, request: bytes) -> bytes:
        """Send bytes over HTTP; return all that comes back until it hangs up."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    def get(self, target: str | bytes, version: bytes = b"1.1") -> Any:
        """Return the bencoded answer to a GET request."""
        target = target.encode() if isinstance(target, str) else target
        answer = self.exchange(b"GET " + target + b" HTTP/" + version + b"\r\nHost: tracker\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), answer
        assert f"Content-Length: {len(body)}".encode() in head
        return bencode.decode(body)

    def announce(self, **fields: object) -> Any:
        """Return the answer to an announce with the usual fields and these."""
        usual = {"info_hash": INFO_HASH, "peer_id": PEER_ID, "port": 6881, "left": 5}
        pairs = {name: value for name, value in {**usual, **fields}.items() if value is not None}
        query = "&".join(
            f"{name}={quote(value if isinstance(value, bytes) else str(value), safe='')}"
            for name, value in pairs.items()
        )
        return self.get(f"/announce?{query}")

    def udp(self, *datagrams: bytes) -> bytes:
        """Send datagrams; return the first answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(PATIENCE_S)
            one.connect(("127.0.0.1", self.agent.ready["udp_port"]))
            for datagram in datagrams:
                one.send(datagram)
            return one.recv(2048)

    def udp_ask(self, action: int, body: bytes) -> tuple[int, bytes]:
        """Connect (BEP 15) and send one request; return the answer's action and body."""
        hello = self.udp(struct.pack(">QII", PROTOCOL_ID, 0, 1))
        assert struct.unpack_from(">II", hello) == (0, 1)
        answer = self.udp(hello[8:] + struct.pack(">II", action, 2) + body)
        kind, transaction_id = struct.unpack_from(">II", answer)
        assert transaction_id == 2
        return kind, answer[8:]

    def log(self) -> list[dict[str, Any]]:
        """Return the log's announces."""
        return self.agent.announces()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side hangs up."""
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


def udp_announce(info_hash: bytes = INFO_HASH, *, event: int = 2, port: int = 6881, left: int = 5) -> bytes:
    """Return an announce's body."""
    return struct.pack(">20s20sqqqIIIiH", info_hash, PEER_ID, 0, left, 0, event, 0x01020304, 7, -1, port)


@pytest.fixture(scope="module")
def running_referee(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Referee]:
    """Run one referee for all tests; in the end it has complained of nothing."""
    complaints = tmp_path_factory.mktemp("referee") / "stderr"
    with complaints.open("w") as stderr, agent("tracker", "--bind", "127.0.0.1", stderr=stderr) as started:
        yield Referee(started)
        assert started.process.poll() is None
    assert complaints.read_text() == ""


@pytest.fixture
def referee(running_referee: Referee) -> Referee:
    """Return the referee, which expects INFO_HASH and knows nobody."""
    assert running_referee.agent.ask(do="expect", info_hash=INFO_HASH.hex()) == {"ok": True}
    return running_referee


def test_ready_line(running_referee: Referee) -> None:
    """The first line tells both ports."""
    assert running_referee.agent.ready.keys() == {"ready", "http_port", "udp_port"}


def test_compact_and_plain_lists(referee: Referee) -> None:
    """Peers come in compact form (BEP 23) unless ``compact=0`` asks for BEP 3's list, with or without peer ids."""
    referee.announce(port=7001, peer_id=b"-XX0001-seederseeder", left=0)
    answer = referee.announce()
    assert answer[b"peers"] == bytes([127, 0, 0, 1]) + (7001).to_bytes(2, "big")
    assert (answer[b"complete"], answer[b"incomplete"], answer[b"interval"]) == (1, 1, 30)
    assert referee.announce(compact=1)[b"peers"] == answer[b"peers"]
    plain = {b"ip": b"127.0.0.1", b"port": 7001}
    assert referee.announce(compact=0)[b"peers"] == [{**plain, b"peer id": b"-XX0001-seederseeder"}]
    assert referee.announce(compact=0, no_peer_id=1)[b"peers"] == [plain]


def test_least_announce(referee: Referee) -> None:
    """An info hash alone, without port, left, event or peer id, over HTTP/1.0, gets peers."""
    referee.announce(left=0)
    answer = referee.get("/announce?info_hash=" + quote(INFO_HASH), b"1.0")
    assert len(answer[b"peers"]) == 6
    assert referee.log()[-1].items() >= {"port": None, "left": None, "event": "", "peer_id": "", "status": "ok"}.items()


@pytest.mark.parametrize(
    "info_hash", [b"&=#+ %41%zz?/\0\xff &p=d", b"\r\n HTTP/1.9 \n?\r\n 123", bytes(range(236, 256))]
)
def test_raw_info_hash(referee: Referee, info_hash: bytes) -> None:
    """An info hash that is sent as it is, line ends, spaces and all, is understood."""
    assert len(info_hash) == 20
    referee.agent.ask(do="expect", info_hash=info_hash.hex())
    answer = referee.get(b"/announce?info_hash=" + info_hash + b"&peer_id=" + PEER_ID + b"&port=6881")
    assert b"failure reason" not in answer
    assert referee.log()[0]["info_hash"] == info_hash.hex()


def test_form_encoded_info_hash(referee: Referee) -> None:
    """A space in the info hash that is sent as a plus, as HTML forms do, is understood; and so is a plus."""
    info_hash = b" + + + + + + + + + +"
    referee.agent.ask(do="expect", info_hash=info_hash.hex())
    assert b"peers" in referee.get("/announce?info_hash=" + "+%2B" * 10)
    assert b"peers" in referee.get("/announce?info_hash=" + "%20%2b" * 10)


def test_ip_parameter_is_not_believed(referee: Referee) -> None:
    """A peer's address is where its announce came from."""
    referee.announce(ip="198.18.0.77", port=7001, peer_id=b"x")
    assert referee.announce()[b"peers"] == bytes([127, 0, 0, 1]) + (7001).to_bytes(2, "big")
    assert referee.log()[0]["ip"] == "127.0.0.1"


def test_log_is_evidence(referee: Referee) -> None:
    """The log tells of each announce in order, with its instant on CLOCK_MONOTONIC, refused ones included."""
    before = time.monotonic()
    referee.announce(event="started", downloaded=0, uploaded=0, numwant=3)
    referee.udp_ask(1, udp_announce(event=1, left=0))
    referee.announce(info_hash=bytes(20))
    referee.announce(info_hash=None)
    after = time.monotonic()
    log = referee.log()
    assert [entry["transport"] for entry in log] == ["http", "udp", "http", "http"]
    assert [entry["event"] for entry in log] == ["started", "completed", "", ""]
    assert [entry["status"] for entry in log] == ["ok", "ok", "unknown info_hash", "info_hash has 0 bytes"]
    assert log[0].items() >= {"left": 5, "downloaded": 0, "uploaded": 0, "numwant": 3, "port": 6881}.items()
    assert log[1].items() >= {"left": 0, "numwant": -1, "peer_id": PEER_ID.hex()}.items()
    instants = [before, *(entry["at_s"] for entry in log), after]
    assert instants == sorted(instants)


def test_refusal(referee: Referee) -> None:
    """Another info hash gets BEP 3's failure reason over HTTP, and an error over UDP."""
    assert referee.announce(info_hash=bytes(20)) == {b"failure reason": b"unknown info_hash"}
    assert referee.udp_ask(1, udp_announce(bytes(20))) == (3, b"unknown info_hash")


def test_scrape(referee: Referee) -> None:
    """A scrape (BEP 48) counts peers and registers nobody, with and without an info hash."""
    counts = {b"complete": 0, b"incomplete": 0, b"downloaded": 0}
    assert referee.get("/scrape?info_hash=" + quote(INFO_HASH)) == {b"files": {INFO_HASH: counts}}
    referee.announce(event="completed", left=0)
    counts = {b"complete": 1, b"incomplete": 0, b"downloaded": 1}
    assert referee.get("/scrape") == {b"files": {INFO_HASH: counts}}
    other = "/scrape?info_hash=" + quote(bytes(20))
    assert referee.get(other) == {b"files": {}}
    assert referee.get(other + "&info_hash=" + quote(INFO_HASH)) == {b"files": {INFO_HASH: counts}}


def test_udp(referee: Referee) -> None:
    """Announce and scrape over UDP (BEP 15); peers of one transport are known to the other; extensions are ignored."""
    referee.announce(port=7001, peer_id=b"x", left=0)
    kind, answer = referee.udp_ask(1, udp_announce() + b"\x02\x09/announce")
    assert (kind, struct.unpack_from(">III", answer)) == (1, (30, 1, 1))
    assert answer[12:] == bytes([127, 0, 0, 1]) + (7001).to_bytes(2, "big")
    kind, answer = referee.udp_ask(2, bytes(20) + INFO_HASH)
    assert (kind, struct.unpack(">6I", answer)) == (2, (0, 0, 0, 1, 0, 1))
    assert referee.udp_ask(1, udp_announce(port=0, event=3))[0] == 1
    assert referee.log()[-1].items() >= {"port": None, "event": "stopped"}.items()


def test_udp_connection_ids(referee: Referee) -> None:
    """A connection id that was not given out is refused; what is no request gets silence, and does no harm."""
    forged = struct.pack(">QII", 12345, 1, 9) + udp_announce()
    answer = referee.udp(b"", b"short", forged)
    assert struct.unpack_from(">II", answer) == (3, 9)
    assert referee.log() == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"POST /announce HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", b"400"),
        (b"GET /announce HTTP/1.1\r\nX: " + b"x" * 2 * HEAD_BYTES, b"400"),
        (b"GET /" + b"x" * 2 * HEAD_BYTES + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(HEAD_BYTES), b"400"),
        (b"GET /stats HTTP/1.0\r\n\r\n", b"404"),
        (b"GET / HTTP/1.0\n\n", b"404"),
    ],
    ids=["no HTTP", "POST", "huge fields", "huge line", "TLS", "another path", "bare line ends"],
)
def test_what_is_no_announce(referee: Referee, request_bytes: bytes, status: bytes) -> None:
    """What is no announce gets a short answer at once, and the referee lives on."""
    with referee.connect() as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).startswith(b"HTTP/1.1 " + status)
    assert b"peers" in referee.announce()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"GET /announce?", b"GET /announce?info_hash=", b"GET /scrape?"]))
def test_any_bytes_over_http(running_referee: Referee, tail: bytes, head: bytes) -> None:
    """Whatever is sent, something is answered, and the next announce is served."""
    running_referee.agent.ask(do="expect", info_hash=INFO_HASH.hex())
    for end in (b"", b" HTTP/1.1\r\n\r\n"):
        with running_referee.connect() as connection:
            connection.sendall(head + tail + end)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection).startswith(b"HTTP/1.1 ")
    assert b"peers" in running_referee.announce()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_over_udp(running_referee: Referee, datagrams: list[bytes]) -> None:
    """Whatever datagrams come, the next one is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for datagram in datagrams:
            one.sendto(datagram, ("127.0.0.1", running_referee.agent.ready["udp_port"]))
    assert running_referee.udp(struct.pack(">QII", PROTOCOL_ID, 0, 1))[:8] == bytes([0, 0, 0, 0, 0, 0, 0, 1])


def test_slow_request(referee: Referee) -> None:
    """A request that comes byte by byte is a request."""
    with referee.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /announce?info_hash=" + quote(INFO_HASH).encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n":
            connection.send(bytes([byte]))
        assert b"peers" in read_all(connection)


def test_idle_connections_keep_nobody_out(referee: Referee) -> None:
    """Many connections that never send a request, more than the referee holds, cut off each other, not an announce."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(referee.connect()) for _ in range(CONNECTIONS + 50)]
        for connection in idle[::2]:
            with contextlib.suppress(ConnectionError):
                connection.send(b"GET /announce?info_hash=")
        assert b"peers" in referee.announce()
        assert idle_hung_up(idle[0])


def test_idle_connection_is_ended(referee: Referee) -> None:
    """A connection without a request is ended after some seconds; so is one whose client never hangs up."""
    with referee.connect() as silent, referee.connect() as served:
        served.sendall(b"GET /scrape HTTP/1.1\r\n\r\n")
        assert idle_hung_up(served)
        assert idle_hung_up(silent)


def idle_hung_up(connection: socket.socket) -> bool:
    """Whether the referee ends the connection while the test's patience lasts."""
    try:
        read_all(connection)
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_resets(referee: Referee) -> None:
    """Clients that reset their connection at any moment do no harm."""
    for sent in (b"", b"GET /ann", b"GET /scrape HTTP/1.1\r\n\r\n") * 20:
        with referee.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.send(sent)
    assert b"peers" in referee.announce()


def test_flood(referee: Referee) -> None:
    """A flood of announces leaves a log of bounded length that counts the rest, and the referee answers."""
    hello = referee.udp(struct.pack(">QII", PROTOCOL_ID, 0, 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE_S)
        one.connect(("127.0.0.1", referee.agent.ready["udp_port"]))
        for transaction_id in range(2500):
            one.send(hello[8:] + struct.pack(">II", 1, transaction_id) + udp_announce(port=1 + transaction_id))
            one.recv(2048)
    log = referee.agent.ask(do="log")
    assert len(log["announces"]) + log["dropped"] == 2500
    assert log["dropped"] == 500
    assert b"peers" in referee.announce()


def test_requests_that_make_no_sense(referee: Referee) -> None:
    """A request that is none gets an error in words, and the next one is served."""
    assert "error" in referee.agent.ask(do="dance")
    assert "error" in referee.agent.ask(do="expect")
    assert referee.agent.ask(do="expect", info_hash="xyz")["error"].startswith("ValueError")
    assert referee.agent.ask(do="expect", info_hash="00")["error"] == "ValueError: an info hash has 20 bytes, not 1"
    assert referee.agent.ask(do="log") == {"ok": True, "announces": [], "dropped": 0}


def test_end(tmp_path: Path) -> None:
    """When stdin ends, the referee ends with status 0 and in silence, whoever is still connected."""
    with (
        (tmp_path / "stderr").open("w+") as stderr,
        agent("tracker", "--bind", "127.0.0.1", stderr=stderr) as started,
        Referee(started).connect() as idle,
    ):
        assert started.process.stdin is not None
        started.process.stdin.close()
        assert started.process.wait(PATIENCE_S) == 0
        assert idle_hung_up(idle)
        assert (tmp_path / "stderr").read_text() == ""


def test_ports(referee: Referee) -> None:
    """A port that is taken is told in the first line, with exit status 1; a free one is served for HTTP and UDP."""
    taken = referee.agent.ready["http_port"]
    with agent("tracker", "--bind", "127.0.0.1", "--port", str(taken)) as refused:
        assert refused.ready["error"].startswith("cannot serve at 127.0.0.1: ")
        assert str(errno.EADDRINUSE) in refused.ready["error"]
        assert refused.process.wait(PATIENCE_S) == 1
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with agent("tracker", "--bind", "127.0.0.1", "--port", str(port), "--interval", "7") as started:
        assert started.ready == {"ready": True, "http_port": port, "udp_port": port}
        started.ask(do="expect", info_hash=INFO_HASH.hex())
        assert Referee(started).announce()[b"interval"] == 7


def test_standard_library_only() -> None:
    """The tracker and the probe import nothing but the standard library, so that any host runs them."""
    script = (
        "import json, sys; from btgames.agents import probe, tracker;"
        "print(json.dumps([n for n in sys.modules if n.split('.')[0] not in sys.stdlib_module_names]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {script}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert [name for name in json.loads(done.stdout) if not name.startswith(("btgames", "__main"))] == []


def test_answers_at_once(referee: Referee) -> None:
    """An announce is answered without delay: no waiting for more of the request, or for the client to hang up."""

    def quick() -> bool:
        begin = time.monotonic()
        referee.announce()
        return time.monotonic() - begin < 0.2

    until(quick, "an announce that takes less than 0.2 s")
