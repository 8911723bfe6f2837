"""The referee against real clients, in a network of their own: aria2, transmission, libtorrent."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from bt_clients import (
    PATIENCE_S,
    Agent,
    Torrent,
    agent,
    libtorrent_seeder,
    make_torrent,
    private_network,
    running,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.testbed

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, ...]]:
    """Make a private network."""
    with private_network() as network:
        yield network.as_self


@pytest.fixture(params=["http", "udp"])
def swarm(
    request: pytest.FixtureRequest, network: tuple[str, ...], tmp_path: Path
) -> Iterator[tuple[str, Agent, Torrent]]:
    """Run a referee and a libtorrent seeder that has announced; yields transport, referee, torrent."""
    with agent("tracker", "--bind", "127.0.0.1", prefix=network) as referee:
        url = f"{request.param}://127.0.0.1:{referee.ready[f'{request.param}_port']}/announce"
        (tmp_path / "seed").mkdir()
        torrent = make_torrent(tmp_path / "seed", url)
        referee.ask(do="expect", info_hash=torrent.info_hash)
        with libtorrent_seeder(torrent, network) as seeder:
            until(referee.announces, "the seeder's announce")
            first = referee.announces()[0]
            said = {"port": seeder.ready["port"], "left": 0, "event": "started", "transport": request.param}
            assert first.items() >= {**said, "status": "ok", "ip": "127.0.0.1"}.items()
            assert bytes.fromhex(first["peer_id"]).startswith(b"-LT")
            yield request.param, referee, torrent


def announces_of(referee: Agent, client: bytes) -> list[dict[str, Any]]:
    """Return the announces of one client, by the beginning of its peer id."""
    return [entry for entry in referee.announces() if bytes.fromhex(entry["peer_id"]).startswith(client)]


def needs(program: str) -> str:
    """Return where a client is; skip the test where it is not installed."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    return path


def test_aria2_downloads(swarm: tuple[str, Agent, Torrent], network: tuple[str, ...], tmp_path: Path) -> None:
    """A download by aria2 from a libtorrent seeder, of which only the referee told it, completes; the log tells how."""
    transport, referee, torrent = swarm
    argv = [needs("aria2c"), "--no-conf", "--enable-dht6=false", "--bt-enable-lpd=false", "--seed-time=0"]
    # aria2 speaks to UDP trackers through the socket of its DHT; in this network there is nobody else to find.
    argv += [f"--enable-dht={'true' if transport == 'udp' else 'false'}", f"--dht-file-path={tmp_path}/dht"]
    argv += ["--enable-peer-exchange=false", "--file-allocation=none", f"--dir={tmp_path}", str(torrent.path)]
    with running([*network, *argv], **QUIET) as aria2:
        assert aria2.wait(2 * PATIENCE_S) == 0
    assert (tmp_path / torrent.payload.name).read_bytes() == torrent.payload.read_bytes()
    announces = announces_of(referee, b"A2-")
    assert {entry["transport"] for entry in announces} == {transport}
    size = torrent.payload.stat().st_size
    # With --seed-time=0, aria2 never says completed.
    assert [(entry["event"], entry["left"]) for entry in announces] == [("started", size), ("stopped", 0)]


def test_transmission_announces(swarm: tuple[str, Agent, Torrent], network: tuple[str, ...], tmp_path: Path) -> None:
    """Transmission announces itself, over HTTP and UDP."""
    transport, referee, torrent = swarm
    argv = [needs("transmission-cli"), "-M", "-p", "6999", "-g", f"{tmp_path}/settings", "-w", str(tmp_path)]
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/settings.json").write_text(
        '{"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false}'
    )
    with running([*network, *argv, str(torrent.path)], **QUIET):

        def started() -> list[dict[str, Any]]:
            # Transmission 3.00 begins with an announce of `stopped`.
            return [entry for entry in announces_of(referee, b"-TR") if entry["event"] == "started"]

        announces = until(started, "transmission's announce", 2 * PATIENCE_S)
    said = {"port": 6999, "left": torrent.payload.stat().st_size, "transport": transport, "status": "ok"}
    assert announces[0].items() >= said.items()
