"""By hand, as in 2013: a tracker, a file that is seeded, a contestant that downloads it; with fakes, and for real."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import keys
import libtorrent
import network
import pytest
import yaml
from bt_clients import until
from fakes import FakeHost, FakeProcess
from hypothesis import given
from hypothesis import strategies as st
from standin.image import why_not
from standin.machines import Region

from btgames import torrent
from btgames.agents import bencode
from btgames.by_hand import crew, download, seed, torrent_file, tracker, upload
from btgames.by_hand.log import Log
from btgames.by_hand.unit import Unit
from btgames.errors import UserError
from btgames.hosts import Finished
from btgames.hosts.remote import Remote
from btgames.testbeds import inventory
from btgames.testbeds.waiting import SIGN, wait_until_ready
from btgames.testbeds.wish import Machines, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btgames.hosts import Host
    from btgames.testbeds.station import Station

USER = "btgames"
PRIVATE, PUBLIC = "http://198.18.0.10:6969/announce", "http://203.0.113.10:6969/announce"
TRACKER = Remote("tracker", "tracker", "203.0.113.10", "btgames", "198.18.0.10")
SEEDER = Remote("seeder-1", "seeder", "203.0.113.11", "btgames", "198.18.0.11")
CLIENT = Remote("client-1", "client", "203.0.113.12", "btgames", "198.18.0.12")
FLEET = Machines("cloud", (TRACKER, SEEDER, CLIENT), "more of them: ./inv up", ours=True)
OWN = Machines("mine", (SEEDER, CLIENT), "name more of them", ours=False)
HOSTS = Wish(hosts=("seeder=root@192.0.2.1", "client=root@192.0.2.2"))


@dataclass
class FakeStation:
    """A machine that records what is run on it."""

    remote: Remote = TRACKER
    machine: FakeHost = field(default_factory=FakeHost)

    def has(self, _program: str) -> bool:
        """Have everything."""
        return True

    @property
    def commands(self) -> list[list[str]]:
        """What was run."""
        return [detail for _, verb, detail in self.machine.calls if verb == "run"]

    @property
    def started(self) -> list[list[str]]:
        """The words of each unit that was started."""
        return [words for words in self.commands if words[0] == "sh"]


def station(**results: Finished) -> FakeStation:
    """Return a machine whose commands leave these results."""
    return FakeStation(machine=FakeHost(results=results))


def shown(state: str, description: str = "") -> Finished:
    """Return what systemctl shows of a unit."""
    return Finished(0, f"ActiveState={state}\nDescription={description}\n".encode(), b"")


def refusal(call: Any, *words: Any, **more: Any) -> list[str]:
    """Return the lines that a mistake of the user's earns."""
    with pytest.raises(UserError) as refused:
        call(*words, **more)
    lines = str(refused.value).splitlines()
    assert 1 <= len(lines) <= 3
    return lines


# Where they are.


@pytest.mark.parametrize(
    ("task", "more"),
    [
        (tracker.command, {"stop": False}),
        (seed.command, {"file": __file__, "torrent": "test.torrent", "reach_me": False, "stop": False}),
        (download.command, {"contestant": "aria2", "torrent": "test.torrent", "limit_s": 600}),
    ],
)
def test_there_is_none_of_it_on_this_machine(task: Any, more: dict[str, Any]) -> None:
    """Each is for machines far away, and says how to have some."""
    lines = refusal(task, **more, wish=Wish("local"))
    assert "is for machines far away" in lines[0]
    assert "--testbed FILE or --host" in lines[1]


def test_who_is_who() -> None:
    """The first machine of a role; a tracker's may be missing, the others not."""
    assert crew.the("client", FLEET) == CLIENT
    assert crew.the("tracker", FLEET) == TRACKER
    assert crew.the("tracker", OWN) == SEEDER
    assert refusal(crew.the, "seeder", Machines("mine", (CLIENT,), "name more of them", ours=False)) == [
        "mine has no seeder",
        "name more of them",
    ]


# The tracker.


def test_a_tracker_is_started() -> None:
    """At its private address, told of the public ones of a fleet, which lies in the network of infra/."""
    assert network.BLOCK == tracker.FLEET
    there = station(systemctl=shown("inactive"))
    assert tracker.started(cast("Station", there), FLEET) == (PRIVATE, True)
    (words,) = there.started
    assert "--unit=btgames-tracker" in words
    argv = words[words.index("--") + 1 :]
    assert argv[:7] == ["python3", "-m", "btgames.agents.tracker_open", "--bind", "198.18.0.10", "--port", "6969"]
    assert argv[7:11] == ["--network", "198.18.0.0/16", "--public", "198.18.0.10=203.0.113.10"]


def test_machines_of_ones_own_have_no_public_addresses() -> None:
    """Only a fleet's network is known."""
    there = station(systemctl=shown("inactive"))
    tracker.started(cast("Station", there), OWN)
    assert "--network" not in there.started[0]


def test_a_tracker_that_runs_is_left_alone() -> None:
    """Unless it was started for other machines: then it is started anew."""
    first = station(systemctl=shown("inactive"))
    tracker.started(cast("Station", first), FLEET)
    words = first.started[0]
    description = next(word for word in words if word.startswith("--description=")).partition("=")[2]
    there = station(systemctl=shown("active", description))
    assert tracker.started(cast("Station", there), FLEET) == (PRIVATE, False)
    assert not there.started
    assert tracker.started(cast("Station", there), OWN) == (PRIVATE, True)
    assert ["systemctl", "stop", "btgames-tracker"] in there.commands


def test_a_unit_that_does_not_start() -> None:
    """Its own last words are told; without any, what systemd-run said."""
    there = station(sh=Finished(1, b"", b"Job failed."), journalctl=Finished(0, b"cannot serve at 198.18.0.10\n", b""))
    unit = Unit(cast("Station", there), "btgames-tracker")
    assert refusal(unit.start, ["true"]) == ["client: btgames-tracker did not start: cannot serve at 198.18.0.10"]
    there.machine.results["journalctl"] = Finished(0, b"", b"")
    assert refusal(unit.start, ["true"]) == ["client: btgames-tracker did not start: Job failed."]


def test_a_machine_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would keep the program running there."""
    there = station()
    monkeypatch.setattr(there, "has", lambda _: False)
    assert "has no systemd" in refusal(Unit(cast("Station", there), "btgames-tracker").start, ["true"])[0]


# Seeding.


@pytest.mark.parametrize(
    ("file", "stop", "words"),
    [
        (None, False, "either --file FILE or --stop"),
        (__file__, True, "either --file FILE or --stop"),
        ("/nowhere/at/all", False, "No such file"),
        (str(Path(__file__).parent), False, "one file is seeded, and this is a folder"),
        (os.devnull, False, ""),
    ],
)
def test_what_cannot_be_seeded(file: str | None, stop: bool, words: str) -> None:  # noqa: FBT001
    """One line, before any machine is asked."""
    lines = refusal(seed.command, file=file, torrent="test.torrent", reach_me=False, stop=stop, wish=Wish("local"))
    assert words in lines[0]


def test_an_empty_file_is_not_seeded(tmp_path: Path) -> None:
    """There is no torrent of it."""
    (tmp_path / "empty").touch()
    assert refusal(seed._readable, tmp_path / "empty") == [f"--file {tmp_path / 'empty'}: it is empty"]


def test_only_a_fleet_is_opened(tmp_path: Path) -> None:
    """Who comes in to somebody's own machines is not decided here; and the torrent needs a folder that is there."""
    task = {"file": __file__, "stop": False, "wish": HOSTS}
    assert "--reach-me is for fleets" in refusal(seed.command, torrent="a.torrent", reach_me=True, **task)[0]
    missing = tmp_path / "not" / "a.torrent"
    assert "no such folder" in refusal(seed.command, torrent=str(missing), reach_me=False, **task)[0]


@given(st.integers(1, 1 << 36))
def test_pieces_are_neither_many_nor_tiny(count: int) -> None:
    """A power of two from 32 KiB to 16 MiB, a thousand pieces or so where that can be."""
    piece = upload.piece_size_for(count)
    assert piece & (piece - 1) == 0
    assert 1 << 15 <= piece <= 1 << 24
    if piece < 1 << 24:
        assert -(-count // piece) <= 1024
    if piece > 1 << 15:
        assert -(-count // piece) > 512


# Torrents.


def made(trackers: Sequence[str] = (PRIVATE,), layout: Sequence[tuple[str, int]] = (("a.bin", 40_000),)) -> Any:
    """Return a torrent of zeros."""
    size = sum(length for _, length in layout)
    pieces = [bytes(min(32_768, size - at)) for at in range(0, size, 32_768)]
    hashes = b"".join(hashlib.sha1(piece).digest() for piece in pieces)  # noqa: S324 - BEP 3
    return torrent.make(trackers, layout, 32_768, hashes)


@pytest.mark.parametrize(
    "layout", [(("a.bin", 40_000),), (("folder/a", 1), ("folder/deep/ü", 70_000), ("folder/c", 0))]
)
def test_a_torrent_is_read_as_it_was_made(tmp_path: Path, layout: Sequence[tuple[str, int]]) -> None:
    """One file or many, one tracker or several."""
    for trackers in ((PRIVATE,), (PUBLIC, PRIVATE)):
        whole = made(trackers, layout)
        (tmp_path / "test.torrent").write_bytes(whole.data)
        assert torrent_file.read(tmp_path / "test.torrent") == whole


def test_the_info_hash_is_not_the_trackers(tmp_path: Path) -> None:
    """A torrent is announced elsewhere, and is the same torrent; what else is in it stays."""
    whole = made((PUBLIC, PRIVATE))
    there = torrent_file.announced_at(whole, [PRIVATE])
    assert there.info_hash == whole.info_hash
    assert there == made()
    (tmp_path / "a").write_bytes(bencode.encode({**bencode.decode(whole.data), b"comment": b"mine"}))
    moved = torrent_file.announced_at(torrent_file.read(tmp_path / "a"), [PRIVATE, PUBLIC])
    assert bencode.decode(moved.data)[b"comment"] == b"mine"
    assert bencode.decode(moved.data)[b"announce"] == PRIVATE.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"de",
        b"i1e",
        b"GIF89a",
        bencode.encode({"announce": "x", "info": {"name": "a", "length": 5, "piece length": 4, "pieces": bytes(20)}}),
        bencode.encode(
            {"announce": "x", "info": {"name": "../a", "length": 4, "piece length": 4, "pieces": bytes(20)}}
        ),
        bencode.encode({"announce": "x", "info": {"name": "a/b", "length": 4, "piece length": 4, "pieces": bytes(20)}}),
        bencode.encode({"info": {"name": "a", "length": 4, "piece length": 4, "pieces": bytes(20)}}),
        b"d8:announce1:x4:infod6:lengthi4e4:name1:a12:piece lengthi04e6:pieces20:" + bytes(20) + b"ee",
    ],
)
def test_what_is_no_torrent(tmp_path: Path, data: bytes) -> None:
    """One line that names the file, whatever is in it."""
    path = tmp_path / "odd.torrent"
    path.write_bytes(data)
    assert refusal(torrent_file.read, path) == [
        f"{path}: not a torrent that clients of BitTorrent's first version can read"
    ]


def test_a_torrent_that_is_not_there(tmp_path: Path) -> None:
    """Nor anything else."""
    assert refusal(torrent_file.read, tmp_path / "a.torrent") == [
        f"{tmp_path / 'a.torrent'}: No such file or directory"
    ]


# Downloading.


def test_one_downloads() -> None:
    """One contestant, a BitTorrent client."""
    assert "--contestant NAME" in refusal(download._one, None)[0]
    assert "one downloads at a time" in refusal(download._one, "quick")[0]
    assert "no BitTorrent client" in refusal(download._one, "http")[0]
    assert download._one("aria2").name == "aria2"


def test_a_tracker_of_these_machines_comes_first() -> None:
    """The contestant reaches no other; a torrent that is announced elsewhere only is refused."""
    addresses = ["198.18.0.10", "198.18.0.11"]
    inside = download._inside(made((PUBLIC, PRIVATE)), addresses, "test.torrent", Wish())
    assert inside.trackers == (PRIVATE, PUBLIC)
    lines = refusal(download._inside, made((PUBLIC,)), addresses, "test.torrent", HOSTS)
    assert lines[0].startswith(f"test.torrent: its tracker, {PUBLIC}, is none of these machines")
    assert lines[1].startswith("./inv seed --file FILE --host") or "seed --file FILE --host" in lines[1]


@dataclass(frozen=True)
class Facts:
    """What a stopwatch tells."""

    exit_s: float | None = 2.134
    complete_s: float | None = 1.5
    exit_status: int | None = 0
    right: int = 62

    def words(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """Return exit status and words."""
        facts: dict[str, Any] = {
            "failed": None, "limit": None, "timed_out": False, "ended_by": "SIGINT", "files_seen": [],
            "wrong_pieces": 62 - self.right, "blocks": 62, "blocks_right": self.right, "exit_s": self.exit_s,
            "complete_s": self.complete_s, "exit_status": self.exit_status,
        }  # fmt: skip
        return download._told(download._one("aria2"), facts, 600), capsys.readouterr().out.strip()


def test_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """2013's rule for who exits; else when all was right; 1 where it was not."""
    assert Facts().words(capsys) == (0, "aria2: 2.13 s from exec to exit; all 62 pieces are right")
    status, words = Facts(exit_status=3).words(capsys)
    assert (status, words) == (0, "aria2: 2.13 s from exec to exit, exited with status 3; all 62 pieces are right")
    assert Facts(exit_s=None, exit_status=None).words(capsys) == (
        0,
        "aria2: all 62 pieces were seen right after 1.50 s; it did not exit by itself, SIGINT ended it",
    )
    assert Facts(complete_s=None, right=61).words(capsys) == (
        1,
        "aria2: corrupt: exited with status 0; 61 of 62 pieces were right",
    )


def test_a_log_is_told_as_it_comes() -> None:
    """Line by line, each once, what came last included; empty lines are not."""
    told: list[str] = []
    process = FakeProcess(lambda _: None)
    host = FakeHost(results={"tail": Finished(0, b"    indented\n\nlast\xff", b"")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "start", lambda _argv: process)
        with Log(cast("Host", host), "/log", told.append) as log:
            log.moved(0.1, 0, 0)
            process.said += [b"one\n", b"\n", b"two\n"]
            log.moved(0.2, 0, 0)
            assert told == ["  one", "  two"]
    assert told == ["  one", "  two", "      indented", "  last\N{REPLACEMENT CHARACTER}"]
    assert host.calls[-1][2] == ["tail", "-c", f"+{len(b'onentwon') + 1 + 1}", "--", "/log"]


def test_strangers_text_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """What a client prints does nothing to the terminal."""
    crew.say("  \x1b[31mred\x1b]0;title\x07 [bold]")
    assert capsys.readouterr().out == "  red [bold]\n"


# For real: two machines of the stand-in.


@dataclass(frozen=True)
class Rig:
    """Machines, as an inventory and as a fleet."""

    inventory: Path
    remotes: tuple[Remote, ...]

    @property
    def wish(self) -> Wish:
        """The inventory as the command line names it."""
        return Wish(str(self.inventory))


@contextmanager
def machines(folder: Path) -> Iterator[Rig]:
    """Boot a seeder, which is tracker, too, and a client; end them."""
    login = keys.KeyPair(os.urandom(32))
    (folder / "id").write_text(login.private)
    (folder / "id").chmod(0o600)
    region = Region(folder / "region").open(owner=os.getpid())

    def boot(role: str) -> dict[str, Any]:
        host_key = keys.KeyPair(os.urandom(32))
        config = {
            "users": [{"name": USER, "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [login.public]}],
            "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
            "package_update": True,
            "packages": ["python3-venv"],
            "runcmd": [f"mkdir -p {Path(SIGN).parent}", ["touch", SIGN]],
        }
        facts = region.boot(role, f"#cloud-config\n{yaml.safe_dump(config)}".encode())
        known = {"role": role, "user": USER, "key": str(folder / "id"), "host_key": host_key.public}
        return {**known, "address": facts["public"], "private_address": facts["private"]}

    try:
        booted = [boot(role) for role in ("seeder", "client")]
        (folder / "mine.yaml").write_text(yaml.safe_dump({"machines": booted}))
        remotes = tuple(inventory.load(folder / "mine.yaml"))
        wait_until_ready(remotes, lambda _: None, within_s=60)
        yield Rig(folder / "mine.yaml", remotes)
    finally:
        region.close()


@pytest.mark.cloud
@pytest.mark.skipif(bool(why_not()), reason=why_not() or "able")
def test_as_in_2013(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The whole workflow, on machines of one's own and then as a fleet that is opened.

    A file is seeded, a contestant downloads it and is timed, a client of one's own downloads it from outside; what was
    started ends, and then a download says that no tracker answers.
    """
    monkeypatch.chdir(tmp_path)
    payload = Path("cabin.jpg")
    payload.write_bytes(os.urandom(2_000_000))
    with machines(tmp_path) as rig:
        wanted: dict[str, Any] = {"file": "cabin.jpg", "torrent": "test.torrent", "stop": False, "wish": rig.wish}
        assert seed.command(**wanted, reach_me=False) == 0
        assert tracker.command(stop=False, wish=rig.wish) == 0
        private = f"http://{rig.remotes[0].private_address}:6969/announce"
        assert f"runs already\n{private}" in capsys.readouterr().out
        assert download.command(contestant="libtorrent", torrent="test.torrent", limit_s=60, wish=rig.wish) == 0
        out = capsys.readouterr().out
        assert "libtorrent: 0." in out
        assert "s from exec to exit; all 62 pieces are right" in out
        assert "  finished" in out

        reached: list[str | None] = []
        fleet = Machines("cloud", rig.remotes, "", ours=True)
        for module in (seed, tracker):
            monkeypatch.setattr(module, "needed", lambda *_: fleet)
        monkeypatch.setattr(seed, "_reach", lambda _wish, block: reached.append(block))
        assert seed.command(**wanted, reach_me=True) == 0
        whole = torrent_file.read(Path("test.torrent"))
        assert whole.announce == f"http://{rig.remotes[0].address}:6969/announce"
        download_from_outside(Path("test.torrent"), tmp_path / "got")
        assert (tmp_path / "got/cabin.jpg").read_bytes() == payload.read_bytes()

        assert seed.command(file=None, torrent="test.torrent", reach_me=False, stop=True, wish=rig.wish) == 0
        assert reached[0] is not None
        assert reached[0].endswith("/32")
        assert reached[1:] == [None]
        assert tracker.command(stop=True, wish=rig.wish) == 0
        assert tracker.command(stop=True, wish=rig.wish) == 0
        out = capsys.readouterr().out
        assert out.index("the seeding has ended") < out.index("the tracker has ended") < out.index("did not run")
        again = refusal(download.command, contestant="libtorrent", torrent="test.torrent", limit_s=9, wish=rig.wish)
        assert f"the tracker {private}" in again[0]


def download_from_outside(path: Path, into: Path) -> None:
    """Be somebody's own client on this computer, which knows nothing but the torrent."""
    settings: libtorrent.settings_pack = {
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "listen_interfaces": "0.0.0.0:0",
    }
    session = libtorrent.session(settings)
    parameters = libtorrent.load_torrent_file(str(path))
    parameters.save_path = str(into)
    handle = session.add_torrent(parameters)
    until(lambda: handle.status().is_seeding, "the download")
