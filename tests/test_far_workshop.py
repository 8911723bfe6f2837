"""The workshop far away, here on this machine: contestants are made ready there, whatever becomes of it meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeHost
from games import Traces, wait_for
from modules import HEAD, entry
from test_wrapper import CELL, GONE, torrent

from btgames import workshop_agent
from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import HostError, HostLostError, Unsupported
from btgames.far_workshop import FarWorkshop
from btgames.hosts.here import Here
from btgames.workshop import Racer, Workshop
from btgames.wrapper import ModuleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from btgames.contestant import Contestant
    from btgames.hosts import Process
    from btgames.hosts.process import PipedProcess

PINNED = 'def install(host, version="1.2"): host.put("x", "it")\n'


@dataclass
class Far:
    """A machine far away that is this one: what is sent to it lies in a folder of its own."""

    folder: Path
    sent: list[str] = field(default_factory=list)  # labels
    started: list[PipedProcess] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    losing: list[Losing] = field(default_factory=list)  # the next processes to be started are lost as these say
    name: str = "client-1"
    python: str = Here.python

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start a command."""
        process = Here().start(argv, env=env)
        self.started.append(process)
        if not self.losing:
            return process
        lost = self.losing.pop(0)
        lost.process = process
        return lost

    def send(self, one: Contestant) -> tuple[str, str | None]:
        """Copy a module, and its source."""
        self.sent.append(one.label)
        there = self.folder / f"sent-{one.label}" / one.path.name
        there.parent.mkdir(exist_ok=True)
        shutil.copy(one.path, there)
        return str(there), None if one.source is None else str(one.source)

    def install_packages(self, packages: Sequence[str], notify: object) -> None:
        """Note what would be installed."""
        del notify
        self.packages += packages

    def workshop(self, *, apt: bool = False) -> FarWorkshop:
        """Return the workshop there."""
        return FarWorkshop(self, self.send, self.install_packages if apt else None)


@dataclass
class Losing:
    """A process whose connection breaks at the line with that number."""

    line: int
    process: Any = None

    def receive(self, timeout_s: float) -> bytes | None:
        """Return a line, or break."""
        self.line -= 1
        if self.line < 0:
            self.process.stop(0)
            raise HostLostError("client-1: the connection broke")
        line: bytes | None = self.process.receive(timeout_s)
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.process, name)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    """Return a machine that has never installed anything."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Far(tmp_path)


def refusal(far: Far, one: Contestant) -> Exception:
    """Return why a contestant is not made ready."""
    with far.workshop() as workshop, pytest.raises(Unsupported) as caught:
        workshop.ready(one, far.notes.append)
    return caught.value


# What it does.


def test_a_contestant_is_made_ready_there(far: Far) -> None:
    """It is sent and installed; folder, version and host come back, and notes while that goes on."""
    one = entry(far.folder, install=PINNED + "def version(host): return 'mine 1.2.0'\n", version="1.2")
    with far.workshop() as workshop:
        racer = workshop.ready(one, far.notes.append)
    assert racer.contestant == one
    assert (racer.version, racer.host, racer.installed.before) == ("mine 1.2.0", "client", False)
    assert racer.installed.folder.startswith(f"{far.folder}/cache/btgames/installed/mine-")
    assert [note.partition(" in ")[0] for note in far.notes] == ["mine: installing mine 1.2", "mine: installed"]


def test_it_is_installed_and_sent_once(far: Far) -> None:
    """A second request, and a second workshop, find what is there; a label is sent once by each."""
    log = far.folder / "log"
    one = entry(far.folder, install=f"def install(host, version='1'): open({str(log)!r}, 'a').write('once ')\n")
    for _ in range(2):
        with far.workshop() as workshop:
            first, second = (workshop.ready(one, far.notes.append) for _ in range(2))
        assert first.installed == second.installed
    assert log.read_text() == "once "
    assert first.installed.before
    assert far.sent == ["mine", "mine"]
    assert len(far.started) == 2


def test_its_functions_run_there(far: Far) -> None:
    """torrentfile() and download() are called there, with what the module wants to see."""
    one = entry(
        far.folder,
        torrentfile="def torrentfile(host, torrent): return f'{host.folder}/{torrent.name}.torrent'\n",
        download="def download(torrentfile, into): return Command('get', torrentfile, env={'A': into}, cwd='/x')\n",
    )
    with far.workshop() as workshop:
        racer = workshop.ready(one, far.notes.append)
        path = racer.wrapper.torrentfile(GONE, CELL, "/desk", torrent())
        made = racer.wrapper.download(path, "/into")
    assert path == "/desk/payload.bin.torrent"
    assert (made.argv, made.env, made.cwd) == (("get", path), {"A": "/into"}, "/x")


def test_a_source_is_what_was_sent(far: Far) -> None:
    """install() gets the path that the source has there."""
    source = far.folder / "source"
    source.mkdir()
    install = "def install(host, version='1', source=None): host.put(source, 'it')\n"
    with far.workshop() as workshop:
        racer = workshop.ready(entry(far.folder, install=install, source=source), far.notes.append)
    assert racer.installed.read_only == (str(source),)


def test_several_contestants_share_one_workshop(far: Far) -> None:
    """One program serves all of them, and two labels of one module are two."""
    with far.workshop() as workshop:
        racers = [workshop.ready(entry(far.folder, name=name), far.notes.append) for name in ("one", "two")]
        assert [racer.wrapper.download("t", "i").argv for racer in racers] == [("get", "t", "i")] * 2
    assert len(far.started) == 1
    assert far.sent == ["one", "two"]


def test_nothing_runs_on_when_it_is_left(far: Far) -> None:
    """At the end of the context the workshop there is gone, with the modules' processes."""
    traces = Traces()
    with far.workshop() as workshop:
        workshop.ready(entry(far.folder), far.notes.append).wrapper.download("t", "i")
        assert len(traces.see(far.started[0].pid)) > 1
    wait_for(lambda: not traces.left(), "the workshop and its modules end")


# What goes wrong.


def test_a_contestant_that_cannot_race_says_why(far: Far) -> None:
    """The module's own word arrives as what it is."""
    one = entry(far.folder, install="def install(host, version='1'): raise Unsupported('no licence')\n")
    error = refusal(far, one)
    assert (type(error), str(error)) == (Unsupported, "no licence")


def test_a_command_that_fails_is_quoted(far: Far) -> None:
    """What an install ran and how that ended arrives in words."""
    one = entry(far.folder, install="def install(host, version='1'): host.run('sh', '-c', 'echo no luck; exit 3')\n")
    error = refusal(far, one)
    assert isinstance(error, CommandFailed)
    assert "ended with status 3: no luck" in str(error)


def test_another_version_is_told(far: Far) -> None:
    """A version that was asked for and not installed is no contestant."""
    one = entry(far.folder, install=PINNED + "def version(host): return '1.2.0'\n", version="1.3")
    assert str(refusal(far, one)) == "version 1.2.0 is installed, 1.3 was asked for"


def test_missing_packages_are_told_where_nobody_may_install_them(far: Far) -> None:
    """On somebody's own machines packages are named, not installed."""
    one = entry(far.folder, install="def install(host, version='1'): raise NeedsPackages('frob', 'nicate')\n")
    error = refusal(far, one)
    assert isinstance(error, NeedsPackages)
    assert error.packages == ("frob", "nicate")


def test_missing_packages_are_installed_on_machines_of_ours(far: Far) -> None:
    """On a fleet they are installed and the install is tried once more; still missing, they are told."""
    there = far.folder / "there"
    install = f"def install(host, version='1'):\n if not os.path.exists({str(there)!r}): raise NeedsPackages('frob')\n"
    one = entry(far.folder, install=install)
    with far.workshop(apt=True) as workshop:
        with pytest.raises(NeedsPackages):
            workshop.ready(one, far.notes.append)
        assert far.packages == ["frob"]
        there.touch()
        workshop.ready(one, far.notes.append)


def test_several_are_installed_side_by_side_there(far: Far) -> None:
    """Their installs go on together; who cannot be is told why, in its place; packages are fetched once, for all."""
    there = far.folder / "there"
    meet = (
        "def install(host, version='1'):\n open({own!r}, 'w')\n while not os.path.exists({other!r}): time.sleep(0.01)\n"
    )
    files = [str(far.folder / name) for name in ("a.met", "b.met")]
    needs = f"def install(host, version='1'):\n if not os.path.exists({str(there)!r}): raise NeedsPackages('frob')\n"
    everyone = [
        entry(far.folder, name="a", install=meet.format(own=files[0], other=files[1])),
        entry(far.folder, name="torn", install="def install(:\n"),
        entry(far.folder, name="needy", install=needs),
        entry(far.folder, name="bad", install="def install(host, version='1'): 1 / 0\n"),
        entry(far.folder, name="b", install=meet.format(own=files[1], other=files[0])),
    ]
    with far.workshop(apt=True) as workshop:
        made = workshop.ready_all(everyone, far.notes.append)
        assert far.packages == ["frob"]
        there.touch()
        (again,) = workshop.ready_all([everyone[2]], far.notes.append)
    assert [isinstance(each, Racer) for each in (*made, again)] == [True, False, False, False, True, True]
    assert [each.installed.before for each in made if isinstance(each, Racer)] == [False, False]
    assert "torn.py:3" in str(made[1])
    assert isinstance(made[2], NeedsPackages)
    assert str(made[3]) == f"{far.folder}/bad.py:3: ZeroDivisionError: division by zero"


def test_a_broken_module_is_told_with_the_users_own_path(far: Far) -> None:
    """File and line are those of the module that the user has, not of its copy."""
    error = refusal(far, entry(far.folder, install="def install(host, version='1'): 1 / 0\n"))
    assert isinstance(error, ModuleError)
    assert str(error) == f"{far.folder}/mine.py:3: ZeroDivisionError: division by zero"
    error = refusal(far, entry(far.folder, head=HEAD + "import nowhere_at_all\n"))
    assert str(error).startswith(f"{far.folder}/mine.py:3: ModuleNotFoundError")


def test_a_module_with_a_known_problem_is_not_sent(far: Far) -> None:
    """What was found when the module was read needs no machine."""
    one = entry(far.folder, download="def dwonload(torrentfile, into): pass\n")
    assert "download" in str(refusal(far, one))
    assert (far.sent, far.started) == ([], [])


def test_a_function_that_hangs_or_dies_is_a_module_error(far: Far) -> None:
    """What becomes of a module's own process is told, and the next contestant is not touched by it."""
    one = entry(far.folder, download="def download(torrentfile, into): os._exit(3)\n")
    with far.workshop() as workshop:
        racer = workshop.ready(one, far.notes.append)
        with pytest.raises(ModuleError, match=r"mine.py: download\(\) did not return"):
            racer.wrapper.download("t", "i")
        other = workshop.ready(entry(far.folder, name="other"), far.notes.append)
        assert other.wrapper.download("t", "i").argv == ("get", "t", "i")
    assert len(far.started) == 1


def test_a_host_that_failed_is_the_hosts_failure(far: Far) -> None:
    """A file that cannot be put on the race host is not the contestant's fault."""
    with far.workshop() as workshop:
        racer = workshop.ready(entry(far.folder), far.notes.append)
        with pytest.raises(HostError, match=r"client: install .* did not run, the host is gone"):
            racer.wrapper.torrentfile(GONE, CELL, "/desk", torrent())


# What breaks.


def test_racers_survive_a_restart(far: Far) -> None:
    """When the workshop there is killed, a racer that was made ready before works on with the next one."""
    with far.workshop() as workshop:
        racer = workshop.ready(entry(far.folder), far.notes.append)
        os.kill(far.started[0].pid, signal.SIGKILL)
        far.started[0].wait(10)
        assert racer.wrapper.download("t", "i").argv == ("get", "t", "i")
    assert len(far.started) == 2
    assert far.sent == ["mine"], "what was sent is still there"


def test_a_workshop_that_dies_meanwhile_is_a_host_error(far: Far) -> None:
    """Nobody waits for an answer that will not come; the next request starts another."""
    # Its parent's parent: the module's process is the workshop's child.
    body = (
        "def download(torrentfile, into):\n if torrentfile == 'die': os.kill(os.getppid(), 9)\n return Command('get')\n"
    )
    with far.workshop() as workshop:
        racer = workshop.ready(entry(far.folder, download=body), far.notes.append)
        with pytest.raises(HostError, match=r"client-1: workshop_agent ended \(status -9\)"):
            racer.wrapper.download("die", "i")
        assert racer.wrapper.download("t", "i").argv == ("get",)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_connection_that_breaks_is_tried_once_more(far: Far, line: int) -> None:
    """Broken before the ready line, or while something is installed: done again, from the start where it must."""
    far.losing = [Losing(line)]
    with far.workshop() as workshop:
        racer = workshop.ready(entry(far.folder), far.notes.append)
        assert racer.wrapper.download("t", "i").argv == ("get", "t", "i")
    assert len(far.started) == 2


def test_a_connection_that_breaks_again_is_lost(far: Far) -> None:
    """It is tried once more, not for ever; and the workshop can be asked again later."""
    far.losing = [Losing(1), Losing(1)]
    with far.workshop() as workshop:
        with pytest.raises(HostLostError):
            workshop.ready(entry(far.folder), far.notes.append)
        assert workshop.ready(entry(far.folder), far.notes.append).version == "1"


def test_a_machine_that_is_gone_is_told_in_its_own_words(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no workshop can be started, the reason is the machine's; leaving the context is no second failure."""

    def gone(*_: object, **__: object) -> Process:
        raise HostError("client-1 does not answer at 192.0.2.1 port 22: no connection")

    monkeypatch.setattr(far, "start", gone, raising=False)
    with far.workshop() as workshop, pytest.raises(HostError, match="does not answer"):
        workshop.ready(entry(far.folder), far.notes.append)


def test_a_workshop_that_is_late_is_ended(tmp_path: Path) -> None:
    """An answer that does not come in time is a HostError that says what was not done."""
    host = FakeHost(agents={"workshop_agent": lambda _: None})
    with FarWorkshop(host, lambda one: (str(one.path), None), None) as workshop:
        with pytest.raises(HostError, match="client: ready of mine was not done in time"):
            workshop.ready(entry(tmp_path), lambda _: None)
        assert host.processes[0].status == 0


# The agent's own words.


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (NeedsPackages("a", "b"), {"needs": ["a", "b"]}),
        (CommandFailed("it failed"), {"failed": "it failed"}),
        (ModuleError("x.py:1: it"), {"problem": "x.py:1: it"}),
        (Unsupported("why"), {"unsupported": "why"}),
        (HostError("client: gone"), {"host": "client: gone"}),
    ],
)
def test_the_contracts_exceptions_become_answers(error: Exception, answer: dict[str, Any]) -> None:
    """Each kind of failure has an answer of its own; the most special one is told."""

    def fails(_: dict[str, Any]) -> dict[str, Any]:
        raise error

    assert workshop_agent.told(fails, {}) == answer


def test_a_defect_of_ours_is_not_dressed_up() -> None:
    """Any other exception is not the contestant's."""
    handlers = workshop_agent.Handlers(Workshop())
    with pytest.raises(KeyError):
        workshop_agent.told(handlers.ready, {})
