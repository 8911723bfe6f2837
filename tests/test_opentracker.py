"""Debian's opentracker, really run: with root, and where only a mapped root exists."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from bt_clients import PATIENCE_S, agent, libtorrent_seeder, make_torrent, private_network, running
from games import need_opentracker

from btgames import opentracker

if TYPE_CHECKING:
    from collections.abc import Iterator

INFO_HASH = bytes(range(20)).hex()
PORT = 6969


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that any user may read, as opentracker after it gave up root; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="btgames-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.testbed
@pytest.mark.parametrize("mapped_root", [False, True], ids=["root", "mapped root"])
def test_a_swarm_of_opentracker(folder: Path, *, mapped_root: bool) -> None:
    """Opentracker serves its one info hash to a libtorrent seeder, the probe finds both ready; others are refused."""
    need_opentracker()
    if not mapped_root and os.geteuid() != 0:
        pytest.skip("needs root")
    torrent = make_torrent(folder, f"http://127.0.0.1:{PORT}/announce")
    with private_network(mapped_root=mapped_root) as network:
        uid_map = subprocess.check_output([*network.as_root, "cat", "/proc/self/uid_map"], text=True)
        only_root = opentracker.only_root_exists(uid_map)
        assert only_root == mapped_root
        plan = opentracker.plan(folder, "127.0.0.1", PORT, torrent.info_hash, only_root=only_root)
        for name, text in plan.files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o644)
        with (
            running([*network.as_root, *plan.argv]) as tracker,
            libtorrent_seeder(torrent, network.as_self) as seeder,
            agent("probe", prefix=network.as_self) as probe,
        ):
            request = {"tracker": f"http://127.0.0.1:{PORT}/announce", "info_hash": torrent.info_hash}
            seeders = [["127.0.0.1", seeder.ready["port"]]]
            answer = probe.ask(do="ready", seeders=seeders, within_s=PATIENCE_S / 2, **request)
            assert answer.get("ok"), answer
            # Probing registered nobody: there is one seeder still.
            answer = probe.ask(do="ready", seeders=seeders * 2, within_s=0.3, **request)
            assert "knows 1 of 2" in answer["error"]
            answer = probe.ask(do="ready", seeders=seeders, within_s=0.3, **{**request, "info_hash": INFO_HASH})
            assert "knows 0 of 1" in answer["error"]
            assert "ok" in probe.ask(do="accepted", within_s=PATIENCE_S / 2, **request)
            answer = probe.ask(do="ready", seeders=seeders * 2, within_s=0.3, **request)
            assert "knows 1 of 2" in answer["error"], "nor has this registered anybody"
            answer = probe.ask(do="accepted", within_s=0.3, **{**request, "info_hash": INFO_HASH})
            assert "refused an announce: b'Requested download is not authorized" in answer["error"]
            status = Path(f"/proc/{tracker.pid}/status").read_text()
            assert tracker.poll() is None
    (uids,) = (line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    expected = opentracker.USER_ID if os.geteuid() == 0 else os.geteuid()
    assert uids == [str(expected)] * 4


def test_plan() -> None:
    """A plan has the whitelist's name relative to the root directory, and opentracker's arguments."""
    plan = opentracker.plan(PurePosixPath("/run/heat"), "198.18.0.1", 80, INFO_HASH.upper())
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL")
    assert plan.argv == (*nobody, "opentracker", "-f", "/run/heat/opentracker.conf")
    assert plan.files == {
        "opentracker.conf": "listen.tcp_udp 198.18.0.1:80\naccess.whitelist whitelist\ntracker.rootdir /run/heat\n",
        "whitelist": f"{INFO_HASH}\n",
    }


def test_plan_where_only_root_exists() -> None:
    """Where there is nobody to become, it is started as nobody, in a user namespace of its own."""
    plan = opentracker.plan(PurePosixPath("/run/heat"), "198.18.0.1", 80, INFO_HASH, only_root=True)
    nested = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "setpriv", "--pdeathsig=KILL")
    assert plan.argv == (*nested, "opentracker", "-f", "/run/heat/opentracker.conf")


@pytest.mark.parametrize("info_hash", ["", "00", "g" * 40, f"{INFO_HASH}\n{INFO_HASH}"])
def test_no_info_hash(info_hash: str) -> None:
    """What is no info hash is refused, before it could make a whitelist of something else."""
    with pytest.raises(ValueError, match="not an info hash"):
        opentracker.plan(PurePosixPath("/run/heat"), "198.18.0.1", 80, info_hash)


@pytest.mark.parametrize(
    ("uid_map", "only_root"),
    [
        ("         0          0 4294967295\n", False),
        ("         0       1000          1\n", True),
        ("         0       1000          1\n         1     100000      65536\n", False),
        ("         0     100000      65534\n", True),
        ("", True),
    ],
)
def test_only_root_exists(uid_map: str, only_root: bool) -> None:  # noqa: FBT001 - pytest calls it
    """Whether nobody exists is read from the user namespace's map."""
    assert opentracker.only_root_exists(uid_map) == only_root
