"""Machines as a race uses them: reached and furnished, lived in for a while, and left as they were."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fleet_rig import SKIP, rig, running, until_gone
from modules import HEAD, entry

from btgames.errors import HostError, HostLostError, TestbedError, UserError
from btgames.far_workshop import FarWorkshop
from btgames.hosts import Agent
from btgames.hosts.line import Line
from btgames.needs import DELUGE, OPENTRACKER
from btgames.testbeds import shape
from btgames.testbeds.station import _UNPACK, CACHE, Station, _tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from btgames.hosts.ssh import SshMachine

pytestmark = [SKIP, pytest.mark.cloud]

MEGABYTE = 1 << 20
DEADLINE_S = 20.0
STATE = """
ip -o link; tc qdisc show; ip rule; ip -6 rule; grep btgames /proc/self/mountinfo; pgrep -fa '[a]gents.tenant'; true
"""


@pytest.fixture(scope="module")
def reached() -> Iterator[Station]:
    """Give the good machine, reached."""
    made = Station(rig().good, patience_s=10)
    made.reach()
    yield made
    made.close()


@pytest.fixture
def station(reached: Station) -> Iterator[Station]:
    """Give the good machine, in which nobody lives."""
    yield reached
    reached.move_out()


def order(**more: object) -> dict[str, Any]:
    """Return what a race wants of the good machine."""
    wanted = {
        "race": "one",
        "memory_bytes": 4 * MEGABYTE,
        "folders": ["client"],
        "peers": [rig().broken.private_address],
        "up": shape(20),
        "down": shape(20),
        "ssh_port": 22,
        "uids": [64_000, 64_999],
    }
    return {**wanted, **more}


def state(machine: SshMachine) -> bytes:
    """Return all that a race changes on a machine for a while."""
    return machine.run(["sh", "-c", STATE]).out


def cut_off(station: Station) -> None:
    """Break the connections to a machine."""
    for connection, _ in station.line._connections:
        assert connection.transport
        connection.transport.sock.close()


@contextmanager
def away(machine: SshMachine, *paths: str) -> Iterator[None]:
    """Take files away for a while."""
    for path in paths:
        machine.run(["mv", path, f"{path}.away"])
    try:
        yield
    finally:
        for path in paths:
            machine.run(["mv", f"{path}.away", path])


# Reached and furnished.


def test_reaching_a_machine_brings_our_programs_and_its_facts(station: Station) -> None:
    """Kernel, cores and the like are known; our programs lie in the cache, and are sent once."""
    assert station.facts["python"].startswith("3.11")
    assert {"kernel", "cores", "available_bytes"} <= set(station.facts)
    (folder,) = station.machine.run(["ls", f"{CACHE}/code"]).out.decode().split()
    assert station.machine.run(["test", "-e", f"{CACHE}/code/{folder}/btgames/agents/tenant.py"]).status == 0
    made = station.machine.run(["stat", "-c", "%i", f"{CACHE}/code/{folder}"]).out
    station.reach()
    assert station.machine.run(["stat", "-c", "%i", f"{CACHE}/code/{folder}"]).out == made


def test_two_that_send_the_same_at_once_do_not_disturb_each_other(station: Station, tmp_path: Path) -> None:
    """Who comes second finds what the first has put there; what was interrupted is nobody's."""
    folder = f"{CACHE}/modules/twice"
    (tmp_path / "a").write_text("whole")
    archive = _tar([(tmp_path / "a", "a")])
    for _ in range(2):
        station.machine.run([*_UNPACK, folder], input=archive)
    assert station.machine.get(f"{folder}/a") == b"whole"
    with pytest.raises(HostError):
        station.machine.run([*_UNPACK, f"{CACHE}/modules/cut"], input=archive[:-9])
    assert station.machine.run(["test", "-e", f"{CACHE}/modules/cut"], check=False).status == 1


def test_a_machine_without_python_is_told_what_to_install(station: Station) -> None:
    """What the machine said, and the packages that mend it."""
    with away(station.machine, "/usr/bin/python3"), pytest.raises(UserError) as refused:
        station.reach()
    words = str(refused.value).split("\n")
    assert words[0].startswith("good: Python 3.11 or later is needed there: ")
    assert words[1] == "on Debian 12: apt-get install python3 python3-venv iproute2"


def test_a_machine_with_an_old_python_is_told(station: Station) -> None:
    """An interpreter that is too old is refused by its version, even where it can run our programs."""
    station.machine.put(b'#!/bin/sh\necho \'{"python": "3.10.4"}\'\n', "/usr/local/bin/python3", 0o755)
    try:
        with pytest.raises(UserError, match=r"good: Python 3.10.4 is there; 3.11 or later is needed"):
            station.reach()
    finally:
        station.machine.run(["rm", "/usr/local/bin/python3"])


def test_missing_tools_are_named_all_at_once(station: Station) -> None:
    """What a race needs of the system is told, with the packages."""
    with away(station.machine, "/sbin/tc", "/usr/bin/setpriv"), pytest.raises(UserError) as refused:
        station.reach()
    assert str(refused.value) == "good: lacks tc, setpriv\napt-get install iproute2 util-linux"


def test_a_machine_that_does_not_answer_is_a_host_error() -> None:
    """An address where nobody is costs no more than patience."""
    nobody = Station(replace(rig().good, name="gone", address=rig().region.free_public()), patience_s=1.0)
    began = time.monotonic()
    with pytest.raises(HostError, match="gone does not answer at"):
        nobody.reach()
    assert time.monotonic() - began < 8


def test_what_a_scenario_needs_must_be_there_on_machines_of_ones_own(station: Station) -> None:
    """Where it is not installed, how to have it is said; where it is, nothing is, and its version may be anybody's."""
    notes: list[str] = []
    with pytest.raises(UserError) as refused:
        station.provide(DELUGE, notes.append, ours=False)
    assert str(refused.value) == "good: this scenario needs Debian's Deluge: apt-get install deluged"
    station.machine.put(b"", "/usr/local/bin/deluged", 0o755)
    assert station.provide(DELUGE, notes.append, ours=False) == ""
    station.machine.run(["rm", "/usr/local/bin/deluged"])
    assert notes == []


def test_what_a_scenario_needs_is_installed_on_machines_of_ours(station: Station) -> None:
    """It is installed once; the service that Debian starts with it is ended, and does not come back."""
    notes: list[str] = []
    version = station.provide(OPENTRACKER, notes.append, ours=True)
    assert version.startswith("0.0~git")
    assert station.provide(OPENTRACKER, notes.append, ours=True) == version
    assert notes == ["good: apt-get install opentracker"]
    for asked, answer in (("is-enabled", b"disabled\n"), ("is-active", b"inactive\n")):
        assert station.machine.run(["systemctl", asked, "opentracker.service"], check=False).out == answer


def test_a_clients_daemon_does_not_run_beside_the_heats(station: Station) -> None:
    """Debian's transmission-daemon starts one that has the ports of a contestant's; it is ended, and stays away."""
    notes: list[str] = []
    station.packages(["transmission-daemon", "transmission-cli"], notes.append)
    assert len(notes) == 1
    for asked, answer in (("is-enabled", b"disabled\n"), ("is-active", b"inactive\n")):
        assert station.machine.run(["systemctl", asked, "transmission-daemon.service"], check=False).out == answer


def test_libtorrent_is_installed_once_for_seeders(station: Station) -> None:
    """What it needs is told where it is missing; then it is installed, our version of it, and found again."""
    notes: list[str] = []
    with pytest.raises(UserError, match="good needs python3-venv"):
        station.libtorrent(notes.append)
    station.packages(["python3-venv"], notes.append)
    python = station.libtorrent(notes.append)
    assert station.machine.run([python, "-c", "import libtorrent; print(libtorrent.version)"]).out.startswith(b"2.")
    assert station.libtorrent(notes.append) == python
    assert [note.split()[1] for note in notes] == ["installing", "apt-get", "installing"]


def test_contestants_are_sent_with_what_is_beside_them(station: Station, tmp_path: Path) -> None:
    """The module and what it names arrive, and the source without .git; the same again is not sent again."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "_driver.js").write_text("1;\n")
    (tmp_path / "modules" / "other.py").write_text("B = 1\n")
    source = tmp_path / "source"
    (source / ".git").mkdir(parents=True)
    (source / ".git" / "config").write_text("secret")
    (source / "bin").mkdir()
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o755)
    (source / "link").symlink_to("bin/run")
    one = entry(tmp_path / "modules", head=f'{HEAD}DRIVER = "_driver.js"\n', source=source)
    path, there = station.send(one)
    assert station.machine.get(path) == one.path.read_bytes()
    sent = station.machine.run(["ls", path.rpartition("/")[0]]).out.split()
    assert sent == [b"_driver.js", one.path.name.encode()]
    found = station.machine.run(["find", str(there), "-mindepth", "1", "-printf", "%P %m %l\n"]).out.decode()
    assert sorted(found.splitlines()) == ["bin 755 ", "bin/run 755 ", "link 777 bin/run"]
    assert station.send(one) == (path, there)
    (source / "bin" / "run").write_text("#!/bin/bash\n")
    assert station.send(one)[1] != there


def test_a_source_that_is_too_much_is_refused(station: Station, tmp_path: Path) -> None:
    """What would take long to send is refused before any of it is read."""
    source = tmp_path / "source"
    source.mkdir()
    with (source / "big").open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(UserError, match=r"more than 1 GiB; that is too much to be sent to good"):
        station.send(entry(tmp_path, source=source))


# Lived in.


def test_a_race_lives_there_and_leaves_the_machine_as_it_was(station: Station) -> None:
    """The link is shaped, hosts have folders in memory, commands run inside; afterwards nothing of it is left."""
    before = state(station.machine)
    station.move_in(order())
    host = station.host("client", rig().good.private_address, "python3")
    assert (host.name, host.address, host.folder) == ("client", rig().good.private_address, "/run/btgames/client")
    assert b"qdisc htb b7: dev ens5 root" in state(station.machine)
    assert station.ready["interface"] == "ens5"
    data = os.urandom(3 * MEGABYTE)
    host.put(data, f"{host.folder}/some/file")
    assert host.get(f"{host.folder}/some/file") == data
    assert host.run(["readlink", "/proc/self/ns/pid"]).out != station.machine.run(["readlink", "/proc/self/ns/pid"]).out
    with pytest.raises(HostError, match="No such file"):
        station.machine.get(f"{host.folder}/some/file")
    with pytest.raises(HostError, match="No space left"):
        host.put(bytes(5 * MEGABYTE), f"{host.folder}/more")
    host.run(["sh", "-c", "setsid sleep 1010 >/dev/null 2>&1 &"])
    station.move_out()
    assert state(station.machine) == before
    assert not running(station.machine, "sleep 1010")
    station.move_out()  # fine to do again


def test_agents_run_on_a_host(station: Station) -> None:
    """What is sent is what runs there: an agent answers, with its own environment and working directory."""
    station.move_in(order())
    host = station.host("client", rig().good.private_address, "python3")
    with Agent(host, "stream") as stream:
        assert stream.ask("listen")["port"] > 0
    found = host.run(["sh", "-c", "echo $HOME $TMPDIR $PYTHONPATH; pwd"]).out.decode().split()
    assert found == [host.folder, host.folder, host.within.project, "/"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"memory_bytes": 1 << 60}, "good: .*memory"),
        ({"peers": ["192.0.2.1"], "up": {"rate": 0, "burst": 1, "limit": 1}}, "good: tenant: tc class add dev ens5"),
    ],
)
def test_a_machine_that_cannot_hold_a_race_says_why(station: Station, more: dict[str, Any], words: str) -> None:
    """Nothing is left of it, and the machine can be moved into by a race that it can hold."""
    before = state(station.machine)
    with pytest.raises(TestbedError, match=words):
        station.move_in(order(**more))
    deadline = time.monotonic() + DEADLINE_S
    while state(station.machine) != before:
        assert time.monotonic() < deadline
    station.move_in(order())


def test_two_races_do_not_share_a_machine(station: Station) -> None:
    """The second harness is told so; the first is not disturbed, nor turned out when the second hangs up."""
    station.move_in(order())
    other = Station(rig().good)
    other.reach()
    with pytest.raises(TestbedError, match="good: tenant: another race is on this machine"):
        other.move_in(order(race="two"))
    other.move_out()
    other.close()
    assert not station.mend()


# Lost, and mended.


def test_a_host_that_is_there_needs_no_mending(station: Station) -> None:
    """Mending a machine whose tenant lives does nothing."""
    station.move_in(order())
    keeper = station.ready["keeper"]
    assert not station.mend()
    assert station.ready["keeper"] == keeper


@pytest.mark.parametrize("how", ["the connection breaks", "the keeper is killed", "everything of it is killed"])
def test_a_host_that_was_lost_comes_back(station: Station, how: str) -> None:
    """What ran there is gone, the host is there again under its name, and its link is shaped."""
    station.move_in(order())
    host = station.host("client", rig().good.private_address, "python3")
    process = host.start(["sleep", "1011"])
    assert process.wait(0.2) is None
    if "connection" in how:
        cut_off(station)
    elif "keeper" in how:
        station.machine.run(["kill", "-9", str(station.ready["keeper"])])
    else:
        station.machine.run(["pkill", "-9", "-f", "[b]tgames.agents.tenant"])
    assert station._tenant
    assert station._tenant._process
    station._tenant._process.wait(DEADLINE_S)
    assert station.mend()
    until_gone(station.machine, "sleep 1011")
    assert host.run(["ls", "/run/btgames"]).out == b"client\n"
    assert b"qdisc htb b7: dev ens5 root" in state(station.machine)
    process.stop(0)


def test_a_machine_that_hangs_up_gives_all_back(station: Station) -> None:
    """When the harness dies without a word, the machine notices, ends what ran inside, and restores its link."""
    before = state(station.machine)
    other = Station(rig().good)
    other.reach()
    other.move_in(order(race="two"))
    host = other.host("client", rig().good.private_address, "python3")
    host.run(["sh", "-c", "setsid sleep 1012 >/dev/null 2>&1 &"])
    cut_off(other)
    deadline = time.monotonic() + DEADLINE_S
    while state(station.machine) != before:
        assert time.monotonic() < deadline
    assert not running(station.machine, "sleep 1012")
    other.move_out()
    other.close()


# The workshop there.


def test_a_contestant_is_made_ready_over_ssh(station: Station, tmp_path: Path) -> None:
    """Installed there, asked there; when the connection breaks that is told, and the next question is answered."""
    one = entry(tmp_path, install="def install(host, version='1'): host.run('sh', '-c', 'echo $HOME >it')\n")
    notes: list[str] = []
    with FarWorkshop(station.machine, station.send, None) as workshop:
        racer = workshop.ready(one, notes.append)
        assert racer.installed.folder.startswith(f"{CACHE}/installed/mine-")
        assert racer.wrapper.download("t", "i").argv == ("get", "t", "i")
        cut_off(station)
        with pytest.raises(HostLostError):
            racer.wrapper.download("t", "i")
        assert racer.wrapper.download("t", "i").argv == ("get", "t", "i")
    assert [note.partition(" in ")[0] for note in notes] == ["mine: installing mine 1", "mine: installed"]


def test_a_broken_module_over_ssh_names_the_users_file(station: Station, tmp_path: Path) -> None:
    """Wherever it ran, the line to be mended is on this computer."""
    one = entry(tmp_path, download="def download(torrentfile, into): return 7\n")
    with FarWorkshop(station.machine, station.send, None) as workshop:
        racer = workshop.ready(one, lambda _: None)
        with pytest.raises(Exception, match=rf"^{tmp_path}/mine.py:5: TypeError|^{tmp_path}/mine.py:5: "):
            racer.wrapper.download("t", "i")


def test_a_line_is_what_a_station_is_reached_by() -> None:
    """A station that was closed can be asked again: its line opens when it is used."""
    made = Station(rig().good)
    made.reach()
    made.close()
    assert made.machine.run(["echo", "again"]).out == b"again\n"
    made.close()
    assert isinstance(made.line, Line)
