"""`inv`, the script that sets itself up. A fake Python records what it is asked; the last test builds a real venv."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = "sh dash bash busybox cat cp cut dirname flock getent id mkdir readlink rm setpriv tail test uname".split()  # noqa: SIM905 - a list of tools reads better in one line
STRANGER = 12345  # the id of a user and group that own nothing

# A Python 3.12 as far as inv can tell: it logs what it is asked, and its pip waits for or fails on request.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
"-c "*) echo 3.12.0; echo "$HERE/bin/python3.12" ;;
"-m venv") echo venv >> "$HERE/log"; mkdir -p "$3/bin"; cp "$HERE/bin/python3.12" "$3/bin/python"; : > "$3/bin/pip"; chmod +x "$3/bin/pip" ;;
"-m pip") echo "pip ${9##*/}" >> "$HERE/log"; [ ! -p "$HERE/gate" ] || read -r _ < "$HERE/gate"; [ ! -f "$HERE/broken" ] || { echo "no such package"; exit 1; } ;;
"-P -m") shift 3; echo "$PYTHONPATH"; printf '<%s>\\n' "$@" ;;
esac
"""  # noqa: E501 - one line of the script for each thing that it is asked
BROKEN_PYTHON = "#!/bin/sh\nexit 127\n"
OLD_PYTHON = "#!/bin/sh\necho 3.9.2\n"
VENVLESS_PYTHON = "#!/bin/sh\necho 3.11.2\necho no venv\n"
FAKE_UV = """#!/bin/sh
case "$1" in
venv) echo "uv venv" >> "$HERE/log"; mkdir -p "$5/bin"; cp "$HERE/bin/fake-python" "$5/bin/python" ;;
pip) echo "uv pip" >> "$HERE/log" ;;
esac
"""


@dataclass(frozen=True)
class Clone:
    """A folder with `inv` in it, and a PATH on which there is nothing but what the test put there."""

    here: Path

    @property
    def folder(self) -> Path:
        """Where inv is."""
        return self.here / "a clone"

    @property
    def log(self) -> list[str]:
        """What the fakes were asked so far."""
        path = self.here / "log"
        return path.read_text().splitlines() if path.exists() else []

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        path = self.here / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the only variables that inv sees."""
        return {"PATH": str(self.here / "bin"), "HERE": str(self.here), "HOME": str(self.here), **extra}

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start inv in a process group of its own."""
        return subprocess.Popen(
            [self.folder / "inv", *arguments],
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run inv to its end."""
        return subprocess.run(
            [self.folder / "inv", *arguments],
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def wait_for(self, line: str) -> None:
        """Wait until the fakes have logged `line`."""
        deadline = time.monotonic() + 20
        while line not in self.log:
            assert time.monotonic() < deadline, f"{line!r} is not in {self.log}"
            time.sleep(0.01)


@pytest.fixture
def clone(root: Path) -> Iterator[Clone]:
    """Give a clone below a folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="inv-") as name:
        clone = Clone(Path(name))
        clone.here.chmod(0o755)
        (clone.here / "bin").mkdir()
        clone.folder.mkdir()
        shutil.copy(root / "inv", clone.folder)
        (clone.folder / "requirements.txt").write_text("# base 1\n")
        (clone.folder / "requirements-cloud.txt").write_text("# cloud 1\n")
        (clone.folder / "requirements-test.txt").write_text("# test 1\n")
        for tool in ("chmod", *TOOLS):
            if found := shutil.which(tool, path="/usr/bin:/bin:/usr/sbin"):
                (clone.here / "bin" / tool).symlink_to(found)
        clone.program("python3.12", FAKE_PYTHON)
        yield clone


def test_first_use(clone: Clone) -> None:
    """The first use says one line, sets up and runs; the second only runs. Arguments pass as they are."""
    first = clone.run("race", "--keep", "a b", "*")
    assert first.returncode == 0
    assert first.stdout.splitlines() == [str(clone.folder), "<race>", "<--keep>", "<a b>", "<*>"]
    assert first.stderr == f"inv: setting up {clone.folder}/.venv (once)\n"
    second = clone.run("race")
    assert (second.returncode, second.stderr) == (0, "")
    assert clone.log == ["venv", "pip requirements.txt"]


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]], ids=lambda shell: shell[0])
def test_shells(clone: Clone, shell: list[str]) -> None:
    """It is plain POSIX: any sh runs it."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    ran = subprocess.run(
        [*shell, "./inv", "race"],
        cwd=clone.folder,
        env=clone.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.stdout.splitlines() == [str(clone.folder), "<race>"]
    assert ran.stderr == f"inv: setting up {clone.folder}/.venv (once)\n"


def test_symlinks(clone: Clone) -> None:
    """It finds its folder through symlinks, absolute and relative, from any folder."""
    (clone.here / "absolute").symlink_to(clone.folder / "inv")
    (clone.here / "bin" / "relative").symlink_to("../absolute")
    ran = subprocess.run(["relative"], cwd="/", env=clone.environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[0] == str(clone.folder)


def test_changed_requirements(clone: Clone) -> None:
    """A changed requirements.txt is installed into the same .venv at the next use."""
    clone.run("race")
    (clone.folder / "requirements.txt").write_text("# base 2\n")
    assert "setting up" in clone.run("race").stderr
    assert clone.run("race").stderr == ""
    assert clone.log == ["venv", "pip requirements.txt", "pip requirements.txt"]


@pytest.mark.parametrize("task", ["test", "lint"])
def test_test_tools(clone: Clone, task: str) -> None:
    """The test tools are installed by the first task that needs them, and stay."""
    clone.run("race")
    assert "setting up" in clone.run(task).stderr
    assert clone.run(task).stderr == ""
    assert clone.run("race").stderr == ""
    assert clone.log == ["venv", "pip requirements.txt", "pip requirements-test.txt"]


def test_a_testbed_that_is_none_needs_nothing(clone: Clone) -> None:
    """A misspelt testbed is refused without minutes of setting up for machines far away."""
    clone.run("race", "--testbed", "lokal")
    assert clone.log == ["venv", "pip requirements.txt"]


@pytest.mark.parametrize(
    "words",
    [
        "up",
        "hosts --stack mine",
        "race --testbed cloud",
        "race --testbed=/dev/null",  # a file that is there, wherever it is run
        "race --host client=me@there",
        "check --stack=x",
        "install --contestant jeff --stack x",
    ],
)
def test_far(clone: Clone, words: str) -> None:
    """What machines far away need is installed by the first command that reaches for them, and stays."""
    clone.run("race", "--scenario", "small")
    assert "setting up" in clone.run(*words.split()).stderr
    assert clone.run(*words.split()).stderr == ""
    assert clone.run("race").stderr == ""
    assert clone.log == ["venv", "pip requirements.txt", "pip requirements-cloud.txt"]


@pytest.mark.parametrize("words", ["race", "race --testbed local", "race --testbed=auto", "race -- --stack", "list up"])
def test_near(clone: Clone, words: str) -> None:
    """A local race needs none of it."""
    clone.run(*words.split())
    assert clone.log == ["venv", "pip requirements.txt"]


def test_fleet(clone: Clone) -> None:
    """Once there is the key of a fleet, a race that names no testbed may be on it; a local one is not."""
    keys = clone.here / "state" / "btgames" / "keys"
    keys.mkdir(parents=True)
    clone.run("race", XDG_STATE_HOME=str(clone.here / "state"))
    (keys / "me-btgames-dev").touch()
    clone.run("race", "--testbed", "local", XDG_STATE_HOME=str(clone.here / "state"))
    assert clone.log == ["venv", "pip requirements.txt"]
    clone.run("race", XDG_STATE_HOME=str(clone.here / "state"))
    assert clone.log[2:] == ["pip requirements-cloud.txt"]


def test_tests_cover_the_cloud(clone: Clone) -> None:
    """What the tests need holds all that the cloud needs."""
    clone.run("test")
    assert clone.run("up").stderr == ""
    assert clone.log == ["venv", "pip requirements-test.txt"]


def test_interrupted(clone: Clone) -> None:
    """A set-up that is killed midway is begun anew by the next use."""
    os.mkfifo(clone.here / "gate")
    victim = clone.start("race")
    clone.wait_for("pip requirements.txt")
    os.killpg(victim.pid, signal.SIGKILL)
    victim.communicate(timeout=20)
    (clone.here / "gate").unlink()
    ran = clone.run("race")
    assert (ran.returncode, ran.stdout.splitlines()[1:]) == (0, ["<race>"])
    assert clone.log == ["venv", "pip requirements.txt"] * 2


def test_orphaned(clone: Clone) -> None:
    """When only the script itself is killed, the next use waits for the pip that lives on."""
    os.mkfifo(clone.here / "gate")
    victim = clone.start("race")
    clone.wait_for("pip requirements.txt")
    victim.kill()
    heir = clone.start("race")
    with pytest.raises(subprocess.TimeoutExpired):
        heir.wait(0.5)
    with (clone.here / "gate").open("w") as gate:
        gate.write("go\n")
    assert heir.communicate(timeout=20)[0].splitlines()[1:] == ["<race>"]
    victim.communicate(timeout=20)
    assert clone.log == ["venv", "pip requirements.txt"]


def test_two_at_once(clone: Clone) -> None:
    """Of two first uses at a time one sets up, the other waits for it; both run."""
    os.mkfifo(clone.here / "gate")
    first = clone.start("one")
    clone.wait_for("pip requirements.txt")
    second = clone.start("two")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    with (clone.here / "gate").open("w") as gate:
        gate.write("go\n")
    assert first.communicate(timeout=20)[0].splitlines()[1:] == ["<one>"]
    out, err = second.communicate(timeout=20)
    assert (out.splitlines()[1:], err) == (["<two>"], "")
    assert clone.log == ["venv", "pip requirements.txt"]


def test_failing_install(clone: Clone) -> None:
    """When pip fails its last lines are shown, the status is 1, and the next use tries again."""
    (clone.here / "broken").touch()
    ran = clone.run("race")
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.splitlines()[1] == "no such package"
    (clone.here / "broken").unlink()
    assert clone.run("race").returncode == 0


@pytest.mark.parametrize(
    ("python", "says"),
    [
        (OLD_PYTHON, "needs Python 3.11, 3.12 or 3.13 (found 3.9.2);"),
        (VENVLESS_PYTHON, "python3 (3.11.2) has no venv; on Debian and Ubuntu: apt-get install python3-venv"),
        (BROKEN_PYTHON, "needs Python 3.11, 3.12 or 3.13; on Debian 12: apt-get install python3 python3-venv"),
    ],
    ids=["old", "venvless", "broken"],
)
def test_unfit_python(clone: Clone, python: str, says: str) -> None:
    """Without a fitting Python one line says what to install, and nothing is made."""
    (clone.here / "bin" / "python3.12").unlink()
    clone.program("python3", python)
    ran = clone.run("race")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert says in ran.stderr
    assert not (clone.folder / ".venv").exists()


def test_unfit_is_passed_over(clone: Clone) -> None:
    """A Python that does not fit is passed over for one that does."""
    clone.program("python3.13", VENVLESS_PYTHON)
    clone.program("python3", OLD_PYTHON)
    assert clone.run("race").returncode == 0
    assert clone.log[0] == "venv"


def test_uv(clone: Clone) -> None:
    """Where no Python of PATH fits, uv makes the environment."""
    clone.program("fake-python", FAKE_PYTHON)
    clone.program("python3.12", VENVLESS_PYTHON)
    clone.program("uv", FAKE_UV)
    ran = clone.run("race")
    assert ran.stdout.splitlines()[1:] == ["<race>"]
    assert clone.log == ["uv venv", "uv pip"]


def as_stranger(clone: Clone, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run inv as a user without rights; needs root."""
    switch = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--"]
    return subprocess.run(
        [*switch, clone.folder / "inv", "race"],
        env=clone.environment(**extra),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_foreign_folder(clone: Clone) -> None:
    """In a folder that the user cannot write to, one line says so; once it is set up they may use it."""
    ran = as_stranger(clone)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert f"cannot write to {clone.folder}" in ran.stderr
    clone.run("race")
    assert as_stranger(clone).stdout.splitlines()[1:] == ["<race>"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as sudo gives it")
def test_sudo(clone: Clone) -> None:
    """Under sudo .venv belongs to the invoking user when the clone does, and to root when it does not."""
    (clone.here / "log").touch()
    os.chown(clone.here / "log", STRANGER, STRANGER)
    os.chown(clone.folder, STRANGER, STRANGER)
    sudo = {"SUDO_UID": str(STRANGER), "SUDO_GID": str(STRANGER)}
    assert clone.run("race", **sudo).stdout.splitlines()[1:] == ["<race>"]
    made = [clone.folder / ".venv", *(clone.folder / ".venv").rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(STRANGER, STRANGER)}
    assert len(made) > 3
    shutil.rmtree(clone.folder / ".venv")
    os.chown(clone.folder, 0, 0)
    clone.run("race", **sudo)
    assert (clone.folder / ".venv").stat().st_uid == 0


def pins(path: Path) -> set[tuple[str, str]]:
    """Return name and version of each entry of a requirements file."""
    return set(re.findall(r"^([\w.-]+)==([^ ;]+)", path.read_text(), re.MULTILINE))


def test_requirements(root: Path) -> None:
    """Each file pins what pyproject.toml wants with hashes, and all of the one before, and holds no address."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted: list[str] = []
    before: set[tuple[str, str]] = set()
    for name, more in {"": project["dependencies"], "-cloud": extras["cloud"], "-test": extras["test"]}.items():
        path = root / f"requirements{name}.txt"
        wanted += [each for each in more if each != "btgames[cloud]"]
        names = {re.split(r"[<>=!~ ]", requirement)[0].lower() for requirement in wanted}
        assert names <= {pinned for pinned, _ in pins(path)}
        assert "://" not in path.read_text()
        entries = re.split(r"^(?=[\w.-]+==)", path.read_text(), flags=re.MULTILINE)[1:]
        assert len(entries) == len(pins(path))
        assert all("--hash=sha256:" in entry for entry in entries)
        assert before <= pins(path)
        before = pins(path)


def test_pulumis_requirements(root: Path) -> None:
    """`pulumi install` finds the same pins, beside the program."""
    lines = (root / "infra" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r ../requirements-cloud.txt"]


def test_real_python(clone: Clone) -> None:
    """A real Python makes a real .venv, in which the project is found and the current folder is not."""
    (clone.here / "bin" / "python3.13").symlink_to(sys.executable)
    (clone.folder / "btgames").mkdir()
    (clone.folder / "btgames" / "__main__.py").write_text("import sys; print(sys.prefix, sys.argv[1:], '' in sys.path)")
    ran = clone.run("race")
    assert ran.stderr == f"inv: setting up {clone.folder}/.venv (once)\n"
    assert ran.stdout == f"{clone.folder}/.venv ['race'] False\n"
