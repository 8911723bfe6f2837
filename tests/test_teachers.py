"""docs/teachers.md: its module and its loop race the folders of a class as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from games import BTGAMES, CONTESTANTS, SCENARIOS, Games, need_namespaces

from btgames.result import Outcome, RaceCard

if TYPE_CHECKING:
    from pathlib import Path

FINE = (
    "import sys\nfrom _client import Torrent, fetch, save\nt = Torrent(sys.argv[1])\nsave(t, sys.argv[2], fetch(t))\n"
)
CLIENTS = {"ann": FINE, "bob": "raise SystemExit('not handed in')\n", "cem": "def client(:\n"}
RACE_S = 200.0


def block(root: Path, language: str) -> str:
    """Return the page's only block of code in a language."""
    text = (root / "docs" / "teachers.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.mark.testbed
def test_a_class_races(root: Path, tmp_path: Path) -> None:
    """The loop enters each folder under its name; the clients are their own, and who fails stops nobody."""
    need_namespaces()
    games = Games(tmp_path, tmp_path / "cache")
    (tmp_path / "course.py").write_text(block(root, "python"), encoding="utf-8")
    for name, client in CLIENTS.items():
        folder = tmp_path / "students" / name
        folder.mkdir(parents=True)
        shutil.copy(CONTESTANTS / "_client.py", folder)
        (folder / "client.py").write_text(client, encoding="utf-8")
    inv = tmp_path / "inv"
    inv.write_text(f'#!/bin/sh\nexec {shlex.join(BTGAMES)} "$@"\n', encoding="utf-8")
    inv.chmod(0o755)
    tiny = f"--scenario {shlex.quote(str(SCENARIOS / 'tiny.yaml'))} --card card.jsonl"
    loop = block(root, "sh").replace("--scenario small", tiny)
    assert tiny in loop
    ran = subprocess.run(
        ["sh", "-euc", loop],
        cwd=tmp_path,
        env=games.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RACE_S,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    heats = RaceCard.read(tmp_path / "card.jsonl").heats
    outcomes = {name: [heat.outcome for heat in heats if heat.contestant == name] for name in (*CLIENTS, "http")}
    failed = [Outcome.CRASHED, Outcome.CRASHED, Outcome.NOT_RUN]
    assert outcomes == {"ann": [Outcome.FINISHED] * 3, "bob": failed, "cem": failed, "http": [Outcome.FINISHED] * 3}


@pytest.mark.testbed
def test_course_wants_a_folder(root: Path, tmp_path: Path) -> None:
    """Without a student's folder the module says how it is meant to be raced."""
    need_namespaces()
    (tmp_path / "course.py").write_text(block(root, "python"), encoding="utf-8")
    ran = Games(tmp_path, tmp_path / "cache").race("./course.py")
    assert ran.status == 2
    assert "race a student's folder: --contestant ann=./course.py:students/ann" in ran.out
