"""Deluge as the seeder, really run: what it serves, what it forgets, what it says when it cannot."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bt_clients import PATIENCE_S, PROJECT, Agent, agent, until
from games import family, need_deluge
from seeding import FOLDER, HERE, PIECE, SINGLE, check_files, client, finish, heat

from btgames.agents.probe import NotReady, shake_hands
from btgames.hosts.process import processes
from btgames.needs import DEBIAN_PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.payload import Layout

pytestmark = pytest.mark.testbed

SET = {"listen_interface", "random_port", "listen_ports", "download_location"}
NOTHING = {"ok": True, "has": "", "uploaded_bytes": 0, "peers": 0, "errors": []}


@pytest.fixture(autouse=True)
def _deluge() -> None:
    need_deluge()


@contextlib.contextmanager
def seeder(folder: Path, *, bind: str = HERE, port: int = 0) -> Iterator[Agent]:
    """Run a Deluge; 0 is any free port."""
    where = ("--bind", bind, "--port", str(port), "--folder", str(folder))
    with agent("deluge_seeder", *where, python=DEBIAN_PYTHON) as running:
        yield running


def daemon(source: Agent) -> int:
    """Return the process id of a seeder's Deluge."""
    _, child = family(source.process.pid)
    return child


def gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    return all(each.pid != pid or each.state == "Z" for each in processes())


@pytest.mark.parametrize("layout", [SINGLE, FOLDER])
@pytest.mark.parametrize("transport", ["tcp", "utp"])
def test_a_client_downloads_the_payload(tmp_path: Path, layout: Layout, transport: str) -> None:
    """A client gets every byte of files and folders, over TCP and over uTP; state tells what was held and sent."""
    into, run = tmp_path / "into", heat(layout)
    with seeder(tmp_path) as source:
        assert re.fullmatch(r"2\..+", source.ready["deluge"])
        assert re.fullmatch(r"[12]\..+", source.ready["libtorrent"])
        run.start(source)
        with client(run, into, [(HERE, source.ready["port"])], transport) as download:
            finish(download)
            check_files(into, run)
            state = source.ask(do="state")
        assert state["has"] == "1" * run.torrent.num_pieces
        assert state["uploaded_bytes"] >= run.torrent.size
        # By the tracker, which this heat does not have.
        until(lambda: source.ask(do="state")["errors"] == ["Error: Connection refused"], "the tracker's refusal")


def test_it_is_told_to_the_tracker_at_once_and_from_the_bound_address(tmp_path: Path) -> None:
    """When `seed` is answered a handshake is; the referee sees address, port and `left`, and the end."""
    with agent("tracker", "--bind", HERE) as referee, seeder(tmp_path, bind="127.0.0.77") as source:
        run = heat(tracker=f"http://{HERE}:{referee.ready['http_port']}/announce")
        referee.ask(do="expect", info_hash=run.torrent.info_hash)
        began = time.monotonic()
        run.start(source)
        entry = until(referee.announces, "the announce")[0]
        assert time.monotonic() - began < PATIENCE_S / 2
        assert (entry["status"], entry["event"], entry["left"]) == ("ok", "started", 0)
        assert (entry["ip"], entry["port"]) == ("127.0.0.77", source.ready["port"])
        shake_hands((entry["ip"], entry["port"]), bytes.fromhex(run.torrent.info_hash), "tcp", PATIENCE_S)
        assert source.ask(do="state")["errors"] == []
        source.ask(do="forget")
        until(lambda: referee.announces()[-1]["event"] == "stopped", "the last announce")


def test_the_second_heat_knows_nothing_of_the_first(tmp_path: Path) -> None:
    """With a peer connected, `forget` drops files and torrent; then the same daemon seeds another heat."""
    first, second, folder = heat(), heat(FOLDER), tmp_path / "memory"
    folder.mkdir()
    with seeder(folder) as source:
        port, pid = source.ready["port"], daemon(source)
        with contextlib.ExitStack() as stack:
            first.start(source)
            finish(stack.enter_context(client(first, tmp_path / "first", [(HERE, port)])))
            assert source.ask(do="forget") == {"ok": True}
        assert [path.name.partition("-")[0] for path in folder.iterdir()] == ["deluge"]
        assert not list(folder.glob("deluge-*/state/*.torrent"))
        held = Path(f"/proc/{pid}/maps")
        until(lambda: "payload-" not in held.read_text(), "the payload's memory to be given back")
        assert source.ask(do="state") == NOTHING
        with pytest.raises(NotReady, match=r"hung up|reset"):
            shake_hands((HERE, port), bytes.fromhex(first.torrent.info_hash), "tcp", PATIENCE_S)
        second.start(source)
        assert source.ask(do="state")["uploaded_bytes"] == 0
        with client(second, tmp_path / "second", [(HERE, port)]) as download:
            finish(download)
            check_files(tmp_path / "second", second)
        assert source.ask(do="forget") == source.ask(do="forget") == {"ok": True}
        assert daemon(source) == pid


def test_making_forgets_what_was_there(tmp_path: Path) -> None:
    """A heat that was never tidied up does not grow into the next one."""
    with seeder(tmp_path) as source:
        earlier, later = heat(), heat()
        old = earlier.start(source)
        new = later.make(source)
        assert not old.exists()
        check_files(new, later)
        assert source.ask(do="state") == NOTHING


def test_what_cannot_be_done_is_an_error_and_no_end(tmp_path: Path) -> None:
    """Requests out of order, or with nonsense in them, are answered in words; the next good one works."""
    run = heat()
    with seeder(tmp_path) as source:
        encoded = base64.b64encode(run.torrent.data).decode()
        assert source.ask(do="seed", torrent=encoded) == {"error": "ValueError: seed follows make, once"}
        outside = source.ask(do="make", seed="00", layout=[["../x", 1]], piece_size=PIECE, has=None)
        assert outside == {"error": "ValueError: '../x' is not a plain relative path"}
        part = source.ask(do="make", seed="00", layout=[["x", 1]], piece_size=PIECE, has=[0])
        assert part == {"error": "ValueError: Deluge holds all pieces"}
        run.make(source)
        answer = source.ask(do="seed", torrent="AAAA")
        assert answer["error"].startswith("DaemonError: core.add_torrent_file: AddTorrentError: Unable to add torrent")
        run.start(source)


def test_a_payload_that_is_not_the_torrents_is_not_seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deluge reads what it holds: a copy with a wrong byte never counts as one that is whole."""
    run = heat()
    with seeder(tmp_path) as source:
        (file,) = run.make(source).iterdir()
        with file.open("r+b") as opened:
            opened.write(bytes(8))
        monkeypatch.setattr("bt_clients.PATIENCE_S", 1.0)
        with pytest.raises(AssertionError, match="no answer within"):
            source.ask(do="seed", torrent=base64.b64encode(run.torrent.data).decode())


def test_a_daemon_that_died_is_said(tmp_path: Path) -> None:
    """State and everything else say so, with its status, whatever it was doing; the files go all the same."""
    with seeder(tmp_path) as source:
        folder = heat().start(source)
        os.kill(daemon(source), signal.SIGKILL)
        assert source.ask(do="state")["error"].startswith("OSError: deluged died (status -9)")
        assert source.ask(do="forget")["error"].startswith("OSError: deluged died (status -9)")
        assert not folder.exists()
        assert source.ask(do="state")["error"].startswith("OSError: deluged died (status -9)")


def test_a_taken_port_is_said_and_no_other_is_used(tmp_path: Path) -> None:
    """The harness tells clients a port; a Deluge that cannot have it, or its address, ends with one line."""
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--bind", HERE, "--port", str(port), "--folder", str(tmp_path)]
        ended = subprocess.run(
            [DEBIAN_PYTHON, "-m", "btgames.agents.deluge_seeder", *arguments],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == f"deluge_seeder: port {port} of {HERE} is taken\n"
    assert list(tmp_path.iterdir()) == []


def test_it_ends_at_once_when_the_harness_is_gone(tmp_path: Path) -> None:
    """When stdin ends it takes Deluge and all files with it."""
    with seeder(tmp_path) as source:
        heat().start(source)
        pid, began = daemon(source), time.monotonic()
        assert source.process.stdin is not None
        source.process.stdin.close()
        assert source.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 2
        assert gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_deluge_dies_with_the_seeder(tmp_path: Path) -> None:
    """Whoever kills the seeder leaves no Deluge behind."""
    with seeder(tmp_path) as source:
        pid = daemon(source)
        source.process.kill()
        until(lambda: gone(pid), "Deluge's end")


def test_what_is_set_is_all_that_differs_from_deluges_defaults(tmp_path: Path) -> None:
    """Of the settings that Deluge writes down, those that differ from its own are the few that say where it is."""
    with seeder(tmp_path):
        (config,) = tmp_path.glob("deluge-*/core.conf")
        code = (
            "import json, sys; from deluge.core.preferencesmanager import DEFAULT_PREFS as usual\n"
            "text = open(sys.argv[1]).read(); found = json.loads(text[text.index('}') + 1:])\n"
            "print(*sorted(name for name in found if found[name] != json.loads(json.dumps(usual[name]))))\n"
        )
        until(lambda: "max_upload_slots_global" in config.read_text(), "all settings to be written")
        differs = subprocess.check_output([DEBIAN_PYTHON, "-c", code, str(config)], text=True).split()
        assert set(differs) - {"plugins_location"} == SET
