"""What makes an install() read as a recipe: which commands it comes to, and what is needed for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from noting_host import NotingHost

from btgames import recipes, runtimes
from btgames.contract import NeedsPackages, apt, cargo, go, npm, pip
from btgames.errors import Unsupported
from btgames.runtimes import Found, Runtime

FOUND = {"node": (20, 1), "go": (1, 24, 1), "cargo": (1, 95)}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have each runtime found below a folder: PROGRAM/bin/PROGRAM, with npm beside node; no other is asked for."""

    def find(runtime: Runtime, least: tuple[int, ...]) -> Found:
        version = FOUND[runtime.program]
        if version < least:
            raise Unsupported(f"{runtime.program} is too old")
        return Found(str(tmp_path / runtime.program / "bin" / runtime.program), version)

    monkeypatch.setattr(runtimes, "find", find)
    monkeypatch.setattr(runtimes, "SYSTEM_PATH", str(tmp_path / "system"))
    monkeypatch.setenv("PATH", str(tmp_path / "users"))
    script = tmp_path / "node/lib/node_modules/npm/bin/npm-cli.js"
    script.parent.mkdir(parents=True)
    script.write_text("")
    (tmp_path / "node" / "bin").mkdir()
    (tmp_path / "node" / "bin" / "npm").symlink_to(script)
    return tmp_path


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


def test_npm_installs_beside_the_node_that_runs_it(there: Path) -> None:
    """Programs land in bin, where node is linked; no install script runs, and no cache is left behind."""
    host = NotingHost()
    npm(host, "client@1.2", least=(18,))
    node, script = str(there / "node/bin/node"), str(there / "node/lib/node_modules/npm/bin/npm-cli.js")
    make, link, install, clean = host.ran
    assert make == ("mkdir", "-p", "/installed/bin")
    assert link == ("ln", "-s", node, "/installed/bin/node")
    assert install[:5] == (node, script, "install", "--global", "--prefix=/installed")
    assert install[-2:] == ("--ignore-scripts", "client@1.2")
    assert clean == ("rm", "-rf", "build")
    assert host.envs[2] == {"NPM_CONFIG_CACHE": "/installed/build"}
    assert host.limits_s[2] == recipes.BUILD_S
    assert host.needed == [str(there / "node"), str(there / "node/lib/node_modules/npm")]


def test_npm_runs_install_scripts_when_asked_to(there: Path) -> None:
    """Some packages are built by theirs."""
    assert there.is_dir()
    host = NotingHost()
    npm(host, "client@1.2", scripts=True)
    assert "--ignore-scripts" not in host.ran[2]


def test_npm_is_found_where_debian_has_it(there: Path) -> None:
    """It may lie elsewhere than node: the first on PATH or of the system, but no script of a version manager's."""
    (there / "node/bin/npm").unlink()
    (there / "users").mkdir()
    (there / "users" / "npm").write_text("#!/bin/sh\nexec manager npm\n")
    script = there / "share/nodejs/npm/bin/npm-cli.js"
    script.parent.mkdir(parents=True)
    script.write_text("")
    (there / "system").mkdir()
    (there / "system" / "npm").symlink_to(script)
    host = NotingHost()
    npm(host, "client@1.2")
    assert host.ran[2][1] == str(script)
    assert host.needed[1] == str(there / "share/nodejs/npm")


def test_node_without_npm_is_one_line(there: Path) -> None:
    """It says that npm is missing, beside which node, and how to get it."""
    (there / "node/bin/npm").unlink()
    host = NotingHost()
    with pytest.raises(Unsupported) as caught:
        npm(host, "client@1.2")
    assert str(caught.value) == (
        f"needs npm: none beside {there}/node/bin/node or on PATH (on Debian: apt-get install nodejs npm)"
    )
    assert host.ran == []


def test_go_builds_into_bin_and_leaves_nothing_else(there: Path) -> None:
    """Modules and caches go when the programs are built; Go itself is not replaced by one that it would fetch."""
    host = NotingHost()
    go(host, "install", "example.org/client@v1.2.3", least=(1, 24))
    assert host.ran[1] == (str(there / "go/bin/go"), "install", "example.org/client@v1.2.3")
    assert host.envs[1] == {
        "GOBIN": "/installed/bin",
        "GOPATH": "/installed/build/go",
        "GOCACHE": "/installed/build/cache",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    assert host.limits_s[1] == recipes.BUILD_S
    assert host.ran[2:] == [("chmod", "-R", "u+w", "build"), ("rm", "-rf", "build")]
    assert host.needed == [str(there / "go")]


def test_go_builds_parts_in_c_when_asked_to(there: Path) -> None:
    """Only then is a C compiler needed."""
    assert there.is_dir()
    host = NotingHost()
    go(host, "-C", "src", "install", ".", cgo=True)
    assert host.envs[1]["CGO_ENABLED"] == "1"


def test_cargo_builds_the_locked_versions_into_bin(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly the version, with its own lock file; rustc is the one beside cargo; nothing else is left."""
    monkeypatch.setattr(recipes, "apt", lambda *_, **__: None)
    host = NotingHost()
    cargo(host, "client", "9.1.0", "--features=x")
    build, clean = host.ran
    exact = ("install", "--locked", "--root", "/installed", "--version", "=9.1.0")
    assert build == (str(there / "cargo/bin/cargo"), *exact, "--features=x", "client")
    assert clean == ("rm", "-rf", "build")
    assert host.envs[0]["PATH"].startswith(f"{there}/cargo/bin:")
    assert host.envs[0]["CARGO_HOME"] == "/installed/build/cargo"
    assert host.envs[0]["CARGO_TARGET_DIR"] == "/installed/build/target"
    assert host.limits_s[0] == recipes.BUILD_S
    assert host.needed == [str(there / "cargo")]


def test_cargo_needs_a_linker(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C compiler a build of minutes would fail at its end: so it is asked for first."""
    monkeypatch.setattr(recipes, "SYSTEM_PATH", str(there / "system"))
    host = NotingHost()
    with pytest.raises(NeedsPackages) as caught:
        cargo(host, "client", "9.1.0")
    assert caught.value.packages == ("gcc", "libc6-dev")
    assert host.ran == []


@pytest.mark.parametrize("program", ["node", "go", "cargo"])
def test_a_runtime_that_is_too_old_runs_nothing(there: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The contestant is unsupported before anything is installed."""
    assert there.is_dir()
    monkeypatch.setattr(recipes, "apt", lambda *_, **__: None)
    host = NotingHost()
    with pytest.raises(Unsupported, match=f"{program} is too old"):
        {
            "node": lambda: npm(host, "client@1", least=(99,)),
            "go": lambda: go(host, "install", "x@v1", least=(99,)),
            "cargo": lambda: cargo(host, "client", "1", least=(99,)),
        }[program]()
    assert host.ran == []
