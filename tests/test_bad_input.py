"""Mistakes of users, and machines that cannot hold a race: plain lines, and nothing started."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from games import BTGAMES, SCENARIOS, Games, fake, need_namespaces

if TYPE_CHECKING:
    from pathlib import Path

    from games import Ran

TINY = (SCENARIOS / "tiny.yaml").read_text()

# A file's content -> what its message says.
FILES = {
    "tabs": (TINY.replace("  size", "\tsize").encode(), "tab"),
    "duplicate": (TINY.encode() + b"time_limit_s: 9\n", "time_limit_s"),
    "wrong-type": (TINY.replace("256 KiB\n", "[1, 2]\n").encode(), "payload.size"),
    "negative": (TINY.replace("time_limit_s: 5", "time_limit_s: -5").encode(), "time_limit_s"),
    "absurd": (TINY.replace("up_mbit: 250", "up_mbit: 1e300").encode(), "up_mbit"),
    "nan": (TINY.replace("time_limit_s: 5", "time_limit_s: .nan").encode(), "time_limit_s"),
    "infinite": (TINY.replace("heats: 1", "heats: .inf").encode(), "heats"),
    "unknown-field": (TINY.replace("exit_grace_s", "exit_grase_s").encode(), "did you mean exit_grace_s?"),
    "empty": (b"", "empty"),
    "binary": (bytes(range(256)) * 16, "binary.yaml"),
    "big": (b"# much ado\n" * 4_766_255, "big.yaml"),  # 50 MB
    "list": (b"- a\n- b\n", "list.yaml"),
}
WORDS = {
    "race --scenario smal": "unknown scenario smal - did you mean small?",
    "race --scenario ./nowhere.yaml": "nowhere.yaml",
    "race --contestant libtorent": "unknown contestant 'libtorent' - did you mean libtorrent?",
    "race --contestant ./nowhere.py": "no such file",
    "race --contestant http --contestant http": "two contestants are labelled http",
    "race --contestant =http": "label",
    "race --heats 0": "--heats: found '0'; allowed is a whole number from 1 to 1000",
    "race --heats many": "--heats: found 'many'",
    "race --seed -1": "--seed: found '-1'",
    "race --card /proc/nowhere/card.jsonl": "/proc/nowhere",
    "race --card {folder}": "exists already",
    "race --keep /proc/nowhere": "/proc/nowhere",
    "race --keep {file}": "{file}",
    "rcae": "unknown task 'rcae' - did you mean race?",
    "race --secnario small": "unknown option '--secnario' - did you mean --scenario?",
    "race --scenario": "--scenario needs a value",
    "leaderboard --card /nowhere": "/nowhere: No such file or directory",
    "leaderboard --format tabel": "did you mean table?",
}


@pytest.fixture
def games(tmp_path: Path) -> Games:
    """Return a command line that has never installed anything."""
    folder = tmp_path / "games"
    folder.mkdir()
    return Games(folder, tmp_path / "cache")


def _is_a_plain_mistake(games: Games, ran: Ran, says: str) -> None:
    """Check that a command ended with status 2 and a few plain lines, and has left nothing."""
    assert ran.status == 2, ran
    assert says in ran.err
    assert 1 <= len(ran.err.splitlines()) <= 4
    assert "Traceback" not in ran.err
    assert max(len(line) for line in ran.err.splitlines()) < 300
    assert ran.out == ""
    assert not games.cache.exists(), "nothing was installed"
    assert sorted(path.name for path in games.folder.iterdir()) == ["err-1", "out-1", "tmp"], "no card, no folder"
    assert list(games.tmp.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_scenario_files(games: Games, tmp_path: Path, name: str) -> None:
    """A scenario file with a mistake in it is named, with the place, and nothing is started."""
    content, says = FILES[name]
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(content)
    _is_a_plain_mistake(games, games.run("race", "--scenario", str(path)), says)


@pytest.mark.parametrize("words", WORDS)
def test_command_lines(games: Games, tmp_path: Path, words: str) -> None:
    """What cannot be done as it was asked for is said in plain words, the nearest name offered."""
    (tmp_path / "file").touch()
    places = {"folder": str(tmp_path), "file": str(tmp_path / "file")}
    _is_a_plain_mistake(games, games.run(*words.format(**places).split()), WORDS[words].format(**places))


def test_a_scenario_directory(games: Games) -> None:
    """A directory is no scenario."""
    _is_a_plain_mistake(games, games.run("race", "--scenario", f"{games.tmp}/"), "is a folder; a YAML file is wanted")


def test_several_mistakes_are_told_at_once(games: Games, tmp_path: Path) -> None:
    """A file with three mistakes is told all three, each with its place."""
    text = TINY.replace("heats: 1", "heats: 0").replace("time_limit_s: 5", "time_limit_s: no")
    path = tmp_path / "three.yaml"
    path.write_text(text.replace("piece_size: 32", "piece_size: 33"))
    ran = games.run("race", "--scenario", str(path))
    assert ran.status == 2
    assert [field in ran.err for field in ("heats", "time_limit_s", "payload.piece_size")] == [True] * 3


@pytest.mark.testbed
def test_too_little_memory(games: Games) -> None:
    """A scenario that no machine can hold is refused with the two figures, before anything starts."""
    need_namespaces()
    ran = games.race(fake("perfect"), scenario="huge")
    assert ran.status == 1
    assert "too little memory" in ran.err
    assert len(ran.err.splitlines()) <= 3
    assert not ran.card.exists()
    assert not games.cache.exists()


@pytest.mark.testbed
def test_no_util_linux(games: Games, tmp_path: Path) -> None:
    """Where a tool is missing it is named, with the package that has it."""
    need_namespaces()
    empty = tmp_path / "bin"
    empty.mkdir()
    ran = games.run("race", "--card", "card.jsonl", PATH=str(empty))
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "needs setpriv, unshare, nsenter, mount: install util-linux" in ran.err
    assert not games.cache.exists()


@pytest.mark.testbed
@pytest.mark.parametrize("kind", ["net", "pid", "mnt"])
def test_no_namespaces(games: Games, kind: str) -> None:
    """Where the kernel gives no more namespaces, a few lines say so and name a way out; nothing is started."""
    need_namespaces()
    forbid = f'echo 0 > /proc/sys/user/max_{kind}_namespaces && exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            forbid,
            "sh",
            *BTGAMES,
            "race",
        ],
        cwd=games.folder,
        env=games.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("this machine gives you no private namespaces: unshare: ")
    assert "start it privileged, or race in a Linux virtual machine" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert list(games.folder.iterdir()) == [games.tmp]
    assert not games.cache.exists()


@pytest.mark.testbed
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_no_room_for_the_card(games: Games) -> None:
    """Where the disk has no room for the race card, that is said before anything starts."""
    need_namespaces()
    small = f'mount -t tmpfs -o size=4k small "{games.tmp}" && cat /dev/zero > "{games.tmp}/full"; exec "$@"'
    race = [
        *BTGAMES,
        "race",
        "--contestant",
        fake("perfect"),
        "--card",
        f"{games.tmp}/card",
    ]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, "sh", *race],
        cwd=games.folder,
        env={**games.environment, "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"{games.tmp}/card: No space left on device")
    assert "Traceback" not in done.stderr
    assert not games.cache.exists()
