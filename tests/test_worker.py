"""The child process in which a module runs, from the inside: time limits, and the host that a module sees."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from fake_swarm import fake_hosts
from modules import HEAD, INSTALL

from btgames import containment
from btgames.containment import Cell
from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.install_log import InstallLog
from btgames.worker import ModuleHost, guarded, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Ran = list[tuple[Cell, list[str], dict[str, str], str, float]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Have commands only noted: cell, words, environment, folder, limit. `fail` fails, `hang` takes too long."""
    noted: Ran = []

    def run(
        cell: Cell,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        timeout_s: float,
        also: Callable[[bytes], None],
    ) -> tuple[int, str]:
        also(b"printed\n")
        noted.append((cell, argv, env, cwd, timeout_s))
        statuses = {"fail": (3, "one\n\n two \nthree\nfour\n"), "hang": (-9, ""), "say": (0, "said\n")}
        return statuses.get(argv[0], (0, ""))

    monkeypatch.setattr(containment, "run", run)
    return noted


@pytest.fixture
def alarm() -> Iterator[None]:
    """Leave the alarm's handler as it was."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.signal(signal.SIGALRM, before)


def host_here(folder: Path, uid: int | None = None, environment: dict[str, str] | None = None) -> ModuleHost:
    """Return the host of an install."""
    return ModuleHost(Cell(("cell",), uid, str(folder)), str(folder), environment or {}, None)


def test_a_command_runs_in_the_cell(tmp_path: Path, ran: Ran) -> None:
    """It sees what the module needs so far, and the environment with its own additions; its output comes back."""
    host = host_here(tmp_path, environment={"PIP_INDEX_URL": "x"})
    host.needs("/opt/tool/1")
    assert host.run("say", 3, tmp_path, env={"A": "b"}, timeout_s=7) == "said\n"
    ((cell, argv, env, cwd, timeout_s),) = ran
    assert cell.read_only == ("/opt/tool/1",)
    assert argv == ["say", "3", str(tmp_path)]
    assert env == {"PIP_INDEX_URL": "x", "A": "b"}
    assert (cwd, timeout_s) == (str(tmp_path), 7)


@pytest.mark.parametrize(
    ("program", "words"),
    [("fail", "fail x ended with status 3: two | three | four"), ("hang", "hang x was killed, after 9 s at most")],
)
@pytest.mark.usefixtures("ran")
def test_a_command_that_fails_is_told_with_its_last_lines(tmp_path: Path, program: str, words: str) -> None:
    """Command, how it ended, and the last lines that it printed."""
    with pytest.raises(CommandFailed) as caught:
        host_here(tmp_path).run(program, "x", timeout_s=9)
    assert str(caught.value) == words


def test_an_installs_commands_are_logged(tmp_path: Path, ran: Ran) -> None:
    """Each command is a line of its own, whatever its words hold, and what it prints comes beneath it."""
    path = tmp_path / "log"
    log = InstallLog(str(path))
    host = ModuleHost(Cell(("cell",), None, str(tmp_path)), str(tmp_path), {}, None, log)
    host.run("sh", "-c", "echo\necho")
    host.run("say")
    log.close()
    assert path.read_text() == "$ sh -c 'echo echo'\nprinted\n$ say\nprinted\n"
    assert len(ran) == 2


def test_what_is_put_is_there_with_its_mode(tmp_path: Path) -> None:
    """Text or bytes, in folders that are made; a file of that name is replaced, a symlink not followed."""
    host = host_here(tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    (tmp_path / "secret").write_text("secret")
    assert host.put("é", "a/b") == f"{tmp_path}/installed/a/b"
    assert (tmp_path / "installed" / "a" / "b").read_bytes() == "é".encode()
    (tmp_path / "installed" / "link").symlink_to(tmp_path / "secret")
    host.put(b"new", "link", mode=0o755)
    assert (tmp_path / "installed" / "link").read_bytes() == b"new"
    assert (tmp_path / "installed" / "link").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "secret").read_text() == "secret"


def test_on_a_heats_host_files_are_put_there(tmp_path: Path) -> None:
    """The files of torrentfile go to the client host, beneath the desk."""
    remote = fake_hosts([])["client"]
    host = ModuleHost(Cell(("cell",), None, "/x"), "/desk", {}, remote)  # type: ignore[arg-type] # a fake
    assert host.put("x", "./a/../b") == "/desk/b"
    assert remote.files == {"/desk/b": b"x"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/../x", "a/../../x", "", ".", ".."])
def test_nothing_is_put_elsewhere(tmp_path: Path, name: str) -> None:
    """A name that leads out of the folder, or is none, is refused."""
    (tmp_path / "desk").mkdir()
    with pytest.raises(ValueError, match="lies outside the folder"):
        host_here(tmp_path / "desk").put("x", name)
    assert [path.name for path in tmp_path.iterdir()] == ["desk"]


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (NeedsPackages("a", "b"), {"needs": ["a", "b"]}),
        (CommandFailed("x failed"), {"failed": "x failed"}),
        (Unsupported("why"), {"unsupported": "why"}),
        (HostError("client: gone"), {"host": "client: gone"}),
    ],
)
@pytest.mark.usefixtures("alarm")
def test_what_a_module_may_raise_has_an_answer_of_its_own(
    tmp_path: Path, error: Exception, answer: dict[str, Any]
) -> None:
    """The harness learns which it was; whose fault depends on it."""

    def call() -> dict[str, Any]:
        raise error

    assert guarded(tmp_path, 20.0, call) == answer


def hang() -> dict[str, Any]:
    """Never return."""
    while True:
        time.sleep(20)


@pytest.mark.usefixtures("alarm")
def test_the_time_limit_ends_with_the_call(tmp_path: Path) -> None:
    """A call that returned in time is not disturbed later; one that is late is told so."""
    assert guarded(tmp_path, 60.0, lambda: {"value": 1}) == {"value": 1}
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    late = guarded(tmp_path, 0.05, hang)
    assert late["problem"].endswith("TimeoutError: did not return within 0.05 s")


def test_modules_may_be_called_like_packages(tmp_path: Path) -> None:
    """A contestant named as a package does not stand in for it."""
    path = tmp_path / "json.py"
    path.write_text(f"{HEAD}{INSTALL}X = 1\n")
    loaded: Any = load(path)
    assert loaded.X == 1
    assert sys.modules["json"].__name__ == "json"
    assert not hasattr(sys.modules["json"], "X")


def test_what_is_no_module_is_told(tmp_path: Path) -> None:
    """A file without the suffix of Python is no module."""
    (tmp_path / "client.txt").write_text("")
    with pytest.raises(ImportError, match="is no Python module"):
        load(tmp_path / "client.txt")
