"""The seeder of one file: seeds what lies there, is polite at its end, and leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from bt_clients import PATIENCE_S, PROJECT, agent, make_torrent, until

from btgames.agents.probe import known_to, shake_hands

if TYPE_CHECKING:
    from pathlib import Path

HERE = "127.0.0.1"


def test_a_file_is_seeded_until_sigterm(tmp_path: Path) -> None:
    """The tracker knows it, it answers, systemd is told; after SIGTERM the tracker was told, and the file is gone."""
    files = tmp_path / "file"
    files.mkdir()
    with (
        agent("tracker_open", "--bind", HERE, "--port", "0") as tracker,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        announce = f"http://{HERE}:{tracker.ready['http_port']}/announce"
        torrent = make_torrent(files, announce)
        torrent.path.rename(tmp_path / "torrent")
        info_hash = bytes.fromhex(torrent.info_hash)
        where = ("--bind", HERE, "--port", "0", "--folder", str(files), "--torrent", str(tmp_path / "torrent"))
        with agent("seed_file", *where, prefix=("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}")) as seeder:
            assert systemd.recv(100) == b"READY=1"
            assert seeder.ready["info_hash"] == torrent.info_hash
            until(lambda: known_to(announce, info_hash, PATIENCE_S), "its announce")
            shake_hands((HERE, seeder.ready["port"]), info_hash, "tcp", PATIENCE_S)
            seeder.process.send_signal(signal.SIGTERM)
            assert seeder.process.wait(PATIENCE_S) == 0
        assert known_to(announce, info_hash, PATIENCE_S) == 0
    assert not files.exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It says so in one line, which becomes its unit's last words, and leaves the file to who started it."""
    torrent = make_torrent(tmp_path, f"http://{HERE}:1/announce")
    with socket.create_server((HERE, 0)) as taken:
        argv = [sys.executable, "-m", "btgames.agents.seed_file", "--bind", HERE, "--torrent", str(torrent.path)]
        argv += ["--folder", str(tmp_path), "--port", str(taken.getsockname()[1])]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot seed at {HERE}: ")
    assert done.stderr.count("\n") == 1
    assert torrent.payload.exists()
