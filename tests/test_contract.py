"""What a contestant's module may use: commands as data, and the helpers of install()."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btgames import bullseye, contract, runtimes
from btgames.contract import Command, CommandFailed, NeedsPackages, apt, pip, python27, python_of
from btgames.errors import GamesError, Unsupported


class NotingHost:
    """A host as a module sees it, which only notes."""

    installed = folder = "/installed"

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.needed: list[str] = []

    def run(self, *argv: object, env: object = None, timeout_s: float = 600) -> str:  # noqa: ARG002 - the protocol's signature
        """Note a command."""
        self.ran.append(tuple(map(str, argv)))
        return ""

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:  # noqa: ARG002 - the protocol's signature
        """Return where it would be."""
        return f"{self.folder}/{name}"

    def needs(self, path: str) -> None:
        """Note a path."""
        self.needed.append(path)


words = st.text() | st.integers() | st.builds(Path, st.just("a"))


@given(argv=st.lists(words, min_size=1), env=st.dictionaries(st.text(), st.integers()), cwd=st.none() | words)
def test_a_command_is_text(argv: list[object], env: dict[str, int], cwd: object) -> None:
    """Whatever its parts are, they become text once, word for word; equal commands are equal."""
    made = Command(*argv, env=env, cwd=cwd)  # type: ignore[arg-type] # modules are not type-checked
    assert made.argv == tuple(map(str, argv))
    assert made.env == {name: str(value) for name, value in env.items()}
    assert made.cwd == (None if cwd is None else str(cwd))
    assert made == Command(*argv, env=env, cwd=cwd)  # type: ignore[arg-type] # the same


def test_a_command_names_a_program() -> None:
    """Nothing is no command, and a command does not change."""
    with pytest.raises(TypeError, match="a Command needs at least a program"):
        Command()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Command("a").cwd = "/x"  # type: ignore[misc] # on purpose


def test_several_steps_are_the_shells() -> None:
    """Command.shell hands the text to sh as it is, with environment and directory."""
    made = Command.shell("a && b; $x", env={"x": "1"}, cwd="/y")
    assert made == Command("/bin/sh", "-c", "a && b; $x", env={"x": "1"}, cwd="/y")


def test_outcomes_that_a_module_may_raise() -> None:
    """What is missing and what failed are both Unsupported, and told in words."""
    assert issubclass(CommandFailed, Unsupported)
    assert issubclass(NeedsPackages, GamesError)
    assert str(NeedsPackages("a", "b")) == "needs packages of the system: a b"


def test_apt_asks_for_what_is_missing_and_runs_nothing() -> None:
    """A program that is there needs nothing; another needs its packages. No command is run either way."""
    host = NotingHost()
    apt(host, "dash", program="sh")
    with pytest.raises(NeedsPackages) as caught:
        apt(host, "frob", "frob-data", program="no-such-program-here")
    assert caught.value.packages == ("frob", "frob-data")
    assert host.ran == []


def test_programs_of_the_users_own_path_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A race finds programs in the system's folders only, so apt looks there only."""
    (tmp_path / "my-own-program").write_text("#!/bin/sh\n")
    (tmp_path / "my-own-program").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NeedsPackages):
        apt(NotingHost(), "frob", program="my-own-program")


def test_pip_installs_into_an_environment_of_its_own() -> None:
    """The interpreter that runs the race makes an environment in the installed folder, and is shown in the race."""
    host = NotingHost()
    pip(host, "a==1", "b==2")
    (python, *make), install = host.ran
    assert Path(python).resolve() == Path(sys.executable).resolve()
    assert make == ["-m", "venv", "/installed/venv"]
    assert install == ("/installed/venv/bin/pip", "install", "--quiet", "--no-input", "a==1", "b==2")
    assert host.needed == [str(Path(python).resolve().parent.parent)]


def test_pip_for_another_python_goes_through_virtualenv() -> None:
    """For an interpreter too old for venv an environment is made by virtualenv; both interpreters are needed."""
    host = NotingHost()
    pip(host, "a==1", python="/opt/old/bin/python2.7")
    assert [argv[0].rpartition("/")[2] for argv in host.ran[1:]] == ["pip", "virtualenv", "pip"]
    assert host.ran[2][-3:] == ("--python", "/opt/old/bin/python2.7", "/installed/venv")
    assert host.ran[3][0] == "/installed/venv/bin/pip"
    assert host.needed[0] == "/opt/old"
    assert len(host.needed) == 2


def interpreter(folder: Path, name: str) -> Path:
    """Make something that looks like an interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_an_interpreter_is_found_on_path_or_under_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH comes first, pyenv's shims do not count, and of pyenv's versions any that fits is fine."""
    interpreter(tmp_path / "shims", "python2.7")
    monkeypatch.setenv("PATH", f"{tmp_path}/shims::{tmp_path}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    with pytest.raises(Unsupported, match=r"needs CPython 2\.7: no python2.7 on PATH or under pyenv"):
        python_of("2.7")
    built = interpreter(tmp_path / "pyenv" / "versions" / "2.7.18" / "bin", "python2.7")
    assert python_of("2.7") == str(built)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python2.7").symlink_to(built)
    assert python_of("2.7") == str(built)
    (tmp_path / "bin" / "python2.7").unlink()
    own = interpreter(tmp_path / "bin", "python2.7")
    assert python_of("2.7") == str(own)


def test_a_file_that_cannot_be_run_is_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what can be executed counts."""
    interpreter(tmp_path, "python2.7").chmod(0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    with pytest.raises(Unsupported):
        python_of("2.7")


def test_cpython_27_is_unpacked_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is there is taken as it is; else Debian 11's is unpacked."""
    host = NotingHost()
    monkeypatch.setattr(bullseye, "unpack", lambda given: f"unpacked on {given.installed}")
    monkeypatch.setattr(runtimes, "SYSTEM_PATH", str(tmp_path / "system"))
    for program in ("apt-get", "dpkg-deb"):
        interpreter(tmp_path / "system", program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert python27(host) == "unpacked on /installed"
    own = interpreter(tmp_path, "python2.7")
    assert python27(host) == str(own)
    assert host.ran == []


def test_cpython_27_is_not_to_be_had_on_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt the contestant is unsupported, and told where an interpreter would be found."""
    monkeypatch.setattr(runtimes, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    with pytest.raises(Unsupported, match=r"needs CPython 2\.7: no python2\.7 on PATH or under pyenv"):
        python27(NotingHost())


def test_a_module_needs_one_import_only() -> None:
    """Everything that modules use is named in __all__, and is there."""
    assert {"Command", "Host", "Torrent", "Unsupported", "apt", "pip", "python27"} <= set(contract.__all__)
    assert all(hasattr(contract, name) for name in contract.__all__)
