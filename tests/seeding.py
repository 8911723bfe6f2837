"""What the tests of both seeders share: a heat's payload, asked for as the harness does, and a client for it."""

from __future__ import annotations

import base64
import contextlib
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libtorrent
from bt_clients import until

from btgames import payload, torrent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bt_clients import Agent

HERE = "127.0.0.1"
PIECE = 16 * 1024
SINGLE = (("payload.bin", 2_000_000),)
FOLDER = (("payload/first.bin", 900_001), ("payload/deep/tiny.bin", 17), ("payload/deep/last.bin", 1_100_000))


@dataclass(frozen=True)
class Heat:
    """A payload and its torrent."""

    seed: bytes
    torrent: torrent.Torrent

    def make(self, seeder: Agent, has: Iterable[int] | None = None) -> Path:
        """Have a seeder write it; return where."""
        answer = seeder.ask(
            do="make",
            seed=self.seed.hex(),
            layout=self.torrent.layout,
            piece_size=PIECE,
            has=None if has is None else sorted(has),
        )
        assert answer["ok"], answer
        return Path(answer["folder"])

    def start(self, seeder: Agent, has: Iterable[int] | None = None) -> Path:
        """Have a seeder write and seed it; return where it is."""
        folder = self.make(seeder, has)
        answer = seeder.ask(do="seed", torrent=base64.b64encode(self.torrent.data).decode())
        assert answer == {"ok": True, "info_hash": self.torrent.info_hash}
        return folder


def heat(layout: payload.Layout = SINGLE, tracker: str = f"http://{HERE}:1/announce") -> Heat:
    """Return a heat with a fresh payload."""
    seed = os.urandom(16)
    prepared = payload.prepare(seed, layout, PIECE, random.Random(1))  # noqa: S311 - marks are not looked at
    return Heat(seed, torrent.make([tracker], layout, PIECE, prepared.pieces))


@contextlib.contextmanager
def client(heat: Heat, into: Path, peers: Iterable[tuple[str, int]], transport: str = "tcp") -> Iterator[Any]:
    """Download a heat's payload with libtorrent from these peers; yields the torrent's handle."""
    other = "utp" if transport == "tcp" else "tcp"
    settings: Any = {
        "listen_interfaces": f"{HERE}:0",
        "recv_socket_buffer_size": 4 << 20,  # bytes; the default loses uTP packets, and a second each time
        "allow_multiple_connections_per_ip": True,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        f"enable_incoming_{other}": False,
        f"enable_outgoing_{other}": False,
    }
    session = libtorrent.session(settings)
    parameters = libtorrent.load_torrent_buffer(heat.torrent.data)
    parameters.trackers = []
    parameters.save_path = str(into)
    handle = session.add_torrent(parameters)
    for peer in peers:
        handle.connect_peer(peer)
    yield handle
    session.remove_torrent(handle)


def finish(handle: Any) -> None:
    """Wait until everything is downloaded; libtorrent says so before all of it is in the files."""
    until(lambda: handle.status().is_seeding, "the download")
    handle.flush_cache()


def check_files(folder: Path, heat: Heat) -> None:
    """Assert that the whole payload gets into its files."""
    expected = payload.read(heat.seed, 0, heat.torrent.size)
    files = [folder / path for path, _ in heat.torrent.layout]
    until(lambda: b"".join(file.read_bytes() for file in files if file.exists()) == expected, "the right bytes")
