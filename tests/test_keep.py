"""What is kept of a heat, over a recording fake; and where it is kept."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_swarm import announce, arena, fake_hosts, small

from btgames import caller
from btgames.errors import GamesError, UserError
from btgames.hosts import Finished
from btgames.keep import DOWNLOAD_BYTES, Kept, make_ready
from btgames.swarm import Prepared
from btgames.torrent import make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes import FakeHost

INTO = "/fake/client/heat/into"


def prepared() -> Prepared:
    """Return a payload of one piece, as far as keeping is concerned."""
    torrent = make(["http://198.18.0.1:6969/announce"], [("payload.bin", 3)], 1 << 15, b"x" * 20)
    return Prepared(small(), bytes(16), torrent, b"", ())


def client(used: bytes = b"4096\t.\n") -> FakeHost:
    """Return the client host, whose download takes so many bytes."""
    host = fake_hosts([])["client"]
    host.results = {
        "cat": Finished(0, b"what it printed \xff", b""),
        "du": Finished(0, used, b""),
        "tar": Finished(0, b"archive", b""),
    }
    return host


def kept(folder: Path, host: FakeHost) -> Kept:
    """Return the keeper of a race on this host."""
    return Kept(folder, arena({"client": host}, small()))


def test_everything_of_a_heat_is_kept(tmp_path: Path) -> None:
    """Client's log, referee's log, torrent, download and packets, in a folder of the heat's own."""
    host = client()
    kept(tmp_path / "out", host).keep("3-mine", prepared(), INTO, [announce(1)])
    folder = tmp_path / "out" / "3-mine"
    assert (folder / "client.log").read_bytes() == b"what it printed \xff"
    assert json.loads((folder / "referee.json").read_text()) == [announce(1)]
    assert (folder / "test.torrent").read_bytes() == prepared().torrent.data
    assert (folder / "download.tar").read_bytes() == b"archive"
    assert (folder / "capture.pcap").exists()
    assert len(list(folder.iterdir())) == 5
    read = [detail[-1] for _, verb, detail in host.calls if verb == "run" and detail[0] == "cat"]
    assert read == ["/fake/client/client.log", "/fake/client/capture.pcap"]


def test_the_packets_are_captured_while_it_lasts(tmp_path: Path) -> None:
    """The capture runs on the client's interface, from beginning to end of the context."""
    host = client()
    with kept(tmp_path, host).capture():
        assert host.processes[0].status is None
        argv = host.calls[0][2]
    assert argv[1:] == ["-m", "btgames.agents.capture", "eth0", "/fake/client/capture.pcap"]
    assert host.processes[0].status == 0


def test_a_second_attempt_replaces_the_first(tmp_path: Path) -> None:
    """Nothing of the first attempt is left beside the second, too large a download included."""
    keeper = kept(tmp_path, client())
    keeper.keep("1-mine", prepared(), INTO, [])
    too_much = client(f"{DOWNLOAD_BYTES + 1}\t.\n".encode())
    kept(tmp_path, too_much).keep("1-mine", prepared(), INTO, [announce(1)])
    assert not (tmp_path / "1-mine" / "download.tar").exists()
    assert len(json.loads((tmp_path / "1-mine" / "referee.json").read_text())) == 1


def test_what_is_missing_spoils_nothing(tmp_path: Path) -> None:
    """A capture that was never written, or a download that cannot be read, is no failure of the heat."""
    host = client()
    host.results = {name: Finished(1, b"", b"no") for name in ("cat", "du", "tar")}
    kept(tmp_path, host).keep("1-mine", prepared(), INTO, [])
    assert (tmp_path / "1-mine" / "capture.pcap").read_bytes() == b""


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """When nothing can be written any more the race ends in words."""
    (tmp_path / "1-mine").write_text("in the way")
    with pytest.raises(GamesError, match=r"1-mine: File exists; --keep cannot keep this heat"):
        kept(tmp_path, client()).keep("1-mine", prepared(), INTO, [])


# Where.


@pytest.fixture
def nobody() -> Iterator[Path]:
    """Return a folder that everybody may read and only its owner, who is somebody else, may write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    """The folder of --keep need not be there; one that is there may hold other things."""
    make_ready(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "old").write_text("old")
    make_ready(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "old").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("file", "File exists"), ("file/out", "Not a directory"), ("x" * 300, "File name too long")],
)
def test_what_can_be_no_folder_is_a_mistake(tmp_path: Path, name: str, words: str) -> None:
    """A file in the way, or a name that cannot be, is told in one line that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"--keep .*: {words}"):
        make_ready(tmp_path / name)


@pytest.mark.parametrize("name", ["", "new"])
def test_a_folder_that_one_may_not_write_to_is_a_mistake(nobody: Path, name: str) -> None:
    """Whether it is there or would have to be made."""
    with pytest.raises(UserError, match=r"--keep .*: Permission denied"):
        make_ready(nobody / name)


def test_sudo_gives_away_only_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New folders and files belong to who called sudo; a folder of root's that was there stays root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root, as sudo has it")
    monkeypatch.setenv("SUDO_UID", "12345")
    monkeypatch.setenv("SUDO_GID", "12346")
    make_ready(tmp_path)
    kept(tmp_path, client()).keep("1-mine", prepared(), INTO, [])
    made = [tmp_path / "1-mine", *(tmp_path / "1-mine").iterdir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}
    assert tmp_path.stat().st_uid == 0


@pytest.mark.parametrize(("uid", "gid"), [("", ""), ("x", "1"), ("1", "-1")])
def test_without_sudo_nothing_is_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: str, gid: str
) -> None:
    """What is no id in the environment is nobody."""
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setenv("SUDO_GID", gid)
    assert caller.uid_gid() is None
    caller.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_uid == os.geteuid()
