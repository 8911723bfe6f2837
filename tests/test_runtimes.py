"""Runtimes found where users have them: on PATH, under version managers, in the system's folders; else one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from noting_host import NotingHost

from btgames import bullseye, runtimes
from btgames.contract import python27, python_of
from btgames.errors import Unsupported
from btgames.runtimes import GO, NODE, RUST, Found, Runtime, find


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a machine with nothing on it: home, PATH and the system's folders are below."""
    for name in ("NVM_DIR", "FNM_DIR", "VOLTA_HOME", "ASDF_DATA_DIR", "RUSTUP_HOME", "PYENV_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}/first:{tmp_path}/second")
    monkeypatch.setenv("GOROOT", str(tmp_path / "goroot"))
    monkeypatch.setattr(runtimes, "SYSTEM_PATH", str(tmp_path / "system"))
    return tmp_path


def program(path: Path, answer: str = "", *, does: str = "") -> Path:
    """Make a program that prints an answer, or does what a line of sh says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does or f'echo {answer!r}'}\n")
    path.chmod(0o755)
    return path


def refusal(runtime: Runtime, least: tuple[int, ...]) -> str:
    """Return why there is no such runtime: one line."""
    with pytest.raises(Unsupported) as caught:
        find(runtime, least)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("runtime", "answer", "version"),
    [
        (NODE, "v20.20.2", (20, 20, 2)),
        (GO, "go version go1.26.8 linux/amd64", (1, 26, 8)),
        (RUST, "cargo 1.95.0 (f2d3ce0bd 2026-03-21)", (1, 95, 0)),
    ],
)
def test_what_each_says_of_itself_is_understood(
    machine: Path, runtime: Runtime, answer: str, version: tuple[int, ...]
) -> None:
    """The version is read from the answer that the real program gives."""
    path = program(machine / "second" / runtime.program, answer)
    assert find(runtime, (1,)) == Found(str(path), version)


def test_where_it_lives_is_told(machine: Path) -> None:
    """A symlink on PATH is followed: what a contestant needs is the tree that the program lies in."""
    real = program(machine / "lib" / "go-1.24" / "bin" / "go", "go version go1.24.1 linux/amd64")
    (machine / "first").mkdir()
    (machine / "first" / "go").symlink_to(real)
    found = find(GO, (1, 24))
    assert (found.path, found.folder, found.prefix) == (str(real), str(real.parent), str(real.parent.parent))


def test_path_comes_first(machine: Path) -> None:
    """The first on PATH that is new enough is taken, though a newer one lies elsewhere."""
    program(machine / "first" / "node", "v14.0.0")
    path = program(machine / "second" / "node", "v18.1.0")
    program(machine / "home/.nvm/versions/node/v22.1.0/bin/node", "v22.1.0")
    program(machine / "system" / "node", "v20.0.0")
    assert find(NODE, (18,)).path == str(path)


def test_the_system_comes_after_path(machine: Path) -> None:
    """Programs in the system's folders are found, whatever the user's PATH."""
    path = program(machine / "system" / "node", "v18.1.0")
    assert find(NODE, (18,)).path == str(path)


@pytest.mark.parametrize(
    ("runtime", "place"),
    [
        (NODE, ".nvm/versions/node/v20.1.0/bin"),
        (NODE, ".local/share/fnm/node-versions/v20.1.0/installation/bin"),
        (NODE, ".volta/tools/image/node/20.1.0/bin"),
        (NODE, ".asdf/installs/nodejs/20.1.0/bin"),
        (GO, "sdk/go1.24.0/bin"),
        (GO, ".asdf/installs/golang/1.24.0/go/bin"),
        (RUST, ".rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin"),
        (RUST, ".rustup/toolchains/1.95.0-x86_64-unknown-linux-gnu/bin"),
    ],
)
def test_version_managers_are_known(machine: Path, runtime: Runtime, place: str) -> None:
    """What they put under the user's home is found though it is not on PATH."""
    path = program(machine / "home" / place / runtime.program, "99.1.0")
    assert find(runtime, (2,)).path == str(path)


@pytest.mark.parametrize(
    ("runtime", "variable", "place"),
    [
        (NODE, "NVM_DIR", "versions/node/v20.1.0/bin"),
        (NODE, "VOLTA_HOME", "tools/image/node/20.1.0/bin"),
        (GO, "GOROOT", "bin"),
        (RUST, "RUSTUP_HOME", "toolchains/stable-x86_64-unknown-linux-gnu/bin"),
    ],
)
def test_version_managers_may_have_been_moved(
    machine: Path, monkeypatch: pytest.MonkeyPatch, runtime: Runtime, variable: str, place: str
) -> None:
    """Their own variables say where they are."""
    monkeypatch.setenv(variable, str(machine / "elsewhere"))
    path = program(machine / "elsewhere" / place / runtime.program, "99.1.0")
    assert find(runtime, (2,)).path == str(path)


def test_of_several_the_newest_is_taken(machine: Path) -> None:
    """Versions are numbers: 20 comes after 9."""
    for version in ("v9.9.9", "v20.1.0", "v18.0.0"):
        program(machine / f"home/.nvm/versions/node/{version}/bin/node", version)
    assert find(NODE, (8,)).version == (20, 1, 0)


def test_shims_and_proxies_do_not_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks a version manager, with settings that a contestant does not see, is passed over for the real one."""
    program(machine / "first" / "shims" / "node", "v22.0.0")
    (machine / "second").mkdir()
    (machine / "second" / "node").symlink_to(program(machine / "home/.volta/bin/volta-shim", "v22.0.0"))
    monkeypatch.setenv("PATH", f"{machine}/first/shims:{machine}/second")
    assert "no node on PATH" in refusal(NODE, (18,))
    path = program(machine / "home/.volta/tools/image/node/20.1.0/bin/node", "v20.1.0")
    assert find(NODE, (18,)).path == str(path)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_rustups_proxies_do_not_count(machine: Path, link: object) -> None:
    """Where rustup manages them, cargo is rustup itself under another name: a symlink or a hard link."""
    rustup = program(machine / "first" / "rustup", "cargo 1.95.0")
    assert callable(link)
    link(machine / "first" / "cargo", rustup)
    assert "no cargo on PATH" in refusal(RUST, (1, 75))
    path = program(machine / "home/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin/cargo", "cargo 1.95.0")
    assert find(RUST, (1, 75)).path == str(path)


def test_what_is_missing_is_one_line(machine: Path) -> None:
    """It says what is needed, that there is none, and how to get it."""
    assert machine.is_dir()
    assert refusal(NODE, (18,)) == (
        "needs Node.js 18 or later: no node on PATH or where it usually is (on Debian: apt-get install nodejs npm)"
    )


def test_what_is_too_old_is_one_line(machine: Path) -> None:
    """It says what was found, all of it, with versions."""
    first = program(machine / "first" / "node", "v14.21.3")
    second = program(machine / "home/.nvm/versions/node/v22.3.9/bin/node", "v22.3.9")
    why = refusal(NODE, (22, 4))
    assert why.startswith(f"needs Node.js 22.4 or later: {first} is 14.21.3; {second} is 22.3.9 (on Debian: ")


@pytest.mark.parametrize("does", ["exit 3", "echo no such thing as a version", "exec sleep 60", "kill -SEGV $$"])
def test_a_program_that_does_not_answer(machine: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """One that fails, talks nonsense, hangs or crashes is named and passed over."""
    monkeypatch.setattr(runtimes, "ANSWER_S", 0.5)
    broken = program(machine / "first" / "node", does=does)
    assert f"{broken} does not tell its version" in refusal(NODE, (18,))
    path = program(machine / "second" / "node", "v18.0.0")
    monkeypatch.setattr(runtimes, "ANSWER_S", 20.0)
    if "sleep" not in does:
        assert find(NODE, (18,)).path == str(path)


def test_a_program_that_cannot_be_run(machine: Path) -> None:
    """A file without the right to be run is none; one of another machine's kind is named."""
    program(machine / "first" / "node", "v20.0.0").chmod(0o644)
    alien = program(machine / "second" / "node")
    alien.write_bytes(b"\x7fELF of another kind")
    why = refusal(NODE, (18,))
    assert f"{alien} does not tell its version" in why
    assert "/first/" not in why


def test_an_interpreter_is_found_on_path_or_under_pyenv(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH comes first, pyenv's shims do not count, and of pyenv's versions the newest is taken."""
    program(machine / "shims" / "python2.7")
    monkeypatch.setenv("PATH", f"{machine}/shims::{machine}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(machine / "pyenv"))
    with pytest.raises(Unsupported, match=r"needs CPython 2\.7: no python2.7 on PATH or under pyenv"):
        python_of("2.7")
    program(machine / "pyenv" / "versions" / "2.7.9" / "bin" / "python2.7")
    built = program(machine / "pyenv" / "versions" / "2.7.18" / "bin" / "python2.7")
    assert python_of("2.7") == str(built)
    (machine / "bin").mkdir()
    (machine / "bin" / "python2.7").symlink_to(built)
    assert python_of("2.7") == str(built)
    (machine / "bin" / "python2.7").unlink()
    own = program(machine / "bin" / "python2.7")
    assert python_of("2.7") == str(own)


def test_a_file_that_cannot_be_run_is_no_interpreter(machine: Path) -> None:
    """Only what can be executed counts."""
    program(machine / "first" / "python2.7").chmod(0o644)
    with pytest.raises(Unsupported):
        python_of("2.7")


def test_cpython_27_is_unpacked_where_there_is_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is there is taken as it is; else Debian 11's is unpacked."""
    host = NotingHost()
    monkeypatch.setattr(bullseye, "unpack", lambda given: f"unpacked on {given.installed}")
    for name in ("apt-get", "dpkg-deb"):
        program(machine / "system" / name)
    assert python27(host) == "unpacked on /installed"
    own = program(machine / "first" / "python2.7")
    assert python27(host) == str(own)
    assert host.ran == []


def test_cpython_27_is_not_to_be_had_on_other_systems() -> None:
    """Without apt the contestant is unsupported, and told where an interpreter would be found."""
    with pytest.raises(Unsupported, match=r"needs CPython 2\.7: no python2\.7 on PATH or under pyenv"):
        python27(NotingHost())
