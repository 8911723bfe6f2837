"""`install`: contestants ahead of a race, packages of the system only when the user says so; and its last lines."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from modules import HEAD, entry

from btgames import install_command
from btgames.errors import GamesError

PATIENCE_S = 20.0


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put fake apt-get and sudo first on PATH, enter a module that needs `frob`; return the fake's log."""
    log = tmp_path / "apt.log"
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, end in (
        ("apt-get", f'test "$FAKE_APT" = fail && exit 100; touch {tmp_path}/frob'),
        ("sudo", 'exec "$@"'),
    ):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {log}\n{end}\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    needs = f"def install(host, version='1'):\n if not os.path.exists('{tmp_path}/frob'): raise NeedsPackages('frob')\n"
    entry(tmp_path, name="needy", install=needs, head=HEAD)
    return log


def test_packages_are_installed_when_the_user_says_yes(apt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --yes apt-get runs once, with the packages shown, and then the contestant is installed."""
    assert install_command.command(["./needy.py"], yes=True) == 0
    line = "apt-get install --yes --no-install-recommends frob"
    assert line in apt.read_text()
    out = capsys.readouterr().out
    assert line in out
    assert "needy: ready in " in out


def test_nothing_is_installed_unasked(apt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can be asked, apt-get does not run; the line to run is shown, and the status is 2."""
    with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open() as nobody:
        patch.setattr(sys, "stdin", nobody)
        assert install_command.command(["./needy.py"], yes=False) == 2
    assert not apt.exists()
    said = capsys.readouterr()
    assert "install --yes --no-install-recommends frob" in said.out
    assert "Say --yes" in said.err
    assert "needy: not installed: needs packages of the system: frob" in said.err


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("\x04", 2)])
def test_the_user_is_asked_on_a_terminal(apt: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int) -> None:
    """On a terminal apt-get runs after a yes only; the end of input is a no."""
    controller, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(controller, answer.encode())
        assert install_command.command(["./needy.py"], yes=False) == status
    os.close(controller)
    assert apt.exists() == (status == 0)


def test_a_failing_apt_is_told(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When apt-get fails, its line and status are the error."""
    monkeypatch.setenv("FAKE_APT", "fail")
    with pytest.raises(GamesError, match=r"apt-get install .* frob ended with status 100"):
        install_command.command(["./needy.py"], yes=True)
    assert apt.exists()


def test_without_apt_the_packages_are_named(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without apt-get the user is told what to install."""
    monkeypatch.setattr(install_command, "apt_line", lambda packages: ["no-such-apt-here", *packages])
    with pytest.raises(GamesError, match="no-such-apt-here is not here: install frob the way this system does"):
        install_command.command(["./needy.py"], yes=True)
    assert not apt.exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # "still running" is what is wanted
def test_ctrl_c_leaves_apt_to_finish(apt: Path) -> None:
    """Ctrl-C while apt-get runs ends the waiting, not apt-get: a half configured system is worse than a late one."""
    tool = apt.parent / "tools" / "apt-get"
    begun, done = apt.parent / "begun", apt.parent / "done"
    tool.write_text(f"#!/bin/sh\ntouch {begun}\nsleep 1.5\ntouch {done}\n")

    def interrupt() -> None:
        wait_for(begun)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        install_command.command(["./needy.py"], yes=True)
    assert not done.exists()
    thread.join()
    wait_for(done)


def test_others_are_installed_when_one_cannot_be(apt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that fails does not keep the others from being installed; what it says is rendered harmless."""
    entry(Path.cwd(), name="bad", install="def install(host): raise Unsupported('no\\x1b[31m way')\n")
    assert install_command.command(["./bad.py", "./needy.py"], yes=True) == 2
    said = capsys.readouterr()
    assert "needy: ready in " in said.out
    assert said.err == "bad: not installed: no way\n"
    assert apt.exists()


def test_another_version_than_was_asked_for_is_told(apt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What tells of itself that it is another version is no success, as in a race."""
    versioned = "def install(host, version='1'): pass\ndef version(host): return '2.0'\n"
    entry(apt.parent, name="fixed", install=versioned)
    assert install_command.command(["./fixed.py@1.5"], yes=False) == 2
    assert "fixed: not installed: version 2.0 is installed, 1.5 was asked for" in capsys.readouterr().err
    assert install_command.command(["./fixed.py@2.0"], yes=False) == 0


def test_all_that_is_installed_is_added_up(apt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says how many are installed whole on this machine, what they take, and where."""
    put = "def install(host, version='1'): host.put(bytes(3_000_000), 'it')\n"
    for name in ("one", "two"):
        entry(Path.cwd(), name=name, install=put)
        assert install_command.command([f"./{name}.py"], yes=False) == 0
    base = apt.parent / "cache" / "btgames" / "installed"
    (base / "half-0123456789ab").mkdir()
    assert install_command.command(["./one.py"], yes=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Installed on this machine: 2, 6.0 MB in {base}"
