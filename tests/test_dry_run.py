"""``race --dry-run``: what would be done, in words."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from modules import entry

from btgames import places, scenario
from btgames.dry_run import describe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from btgames.contestant import Contestant


def described(name: str, *everyone: Contestant, heats: int = 3) -> list[str]:
    """Return the lines of a dry run of a scenario that ships."""
    out = io.StringIO()
    assert describe(scenario.load(name, places.SCENARIOS), everyone, heats, out) == 0
    return out.getvalue().splitlines()


def test_a_dry_run_tells_all(tmp_path: Path) -> None:
    """Scenario, payload, hosts with their links, heats and commands are told."""
    lines = described("small", entry(tmp_path))
    assert lines == [
        "scenario    small: 2 MB from one seeder, as in the contest of 2013",
        "payload     2000000 bytes, 62 pieces, at least 0.064 s for the links",
        "hosts       tracker    referee, link not shaped",
        "            seeder-1   libtorrent, up 250 Mbit/s, down 250 Mbit/s",
        "            client     up 250 Mbit/s, down 250 Mbit/s",
        "heats       3 of each contestant, 60 s at most each",
        "commands",
        "            mine: get DESK/test.torrent INTO",
    ]


def test_links_that_are_not_shaped(tmp_path: Path) -> None:
    """Of `drag`, whose links are not shaped, no least time is told."""
    lines = described("drag", entry(tmp_path))
    assert "            client     up not shaped, down not shaped" in lines
    assert "at least" not in "".join(lines)


def test_every_scenario_that_ships_can_be_told(tmp_path: Path) -> None:
    """Each seeder is a host; the dry run of each scenario names them all."""
    one = entry(tmp_path)
    for name, path in scenario.scenario_files(places.SCENARIOS).items():
        hosts = scenario.load(str(path), places.SCENARIOS).scenario.seeder_hosts
        text = "\n".join(described(name, one))
        assert all(host.name in text for host in hosts)


def test_who_cannot_race_is_told_beside_the_others(tmp_path: Path) -> None:
    """A module that is broken, or says Unsupported, is a line; nobody's text is obeyed by the terminal."""
    broken = entry(tmp_path, name="broken", download="def download(torrentfile, into): return 3\n")
    gone = entry(tmp_path, name="gone", download="")
    rude = entry(tmp_path, name="rude", download="def download(t, into): raise Unsupported('\\x1b[31mno\\n')\n")
    odd = entry(
        tmp_path, name="odd", download="def download(torrentfile, into): return Command('a b', '\\x1b[2J\\n', '')\n"
    )
    lines = described("small", broken, gone, rude, odd)[-4:]
    assert lines[0].startswith(f"            broken: unsupported: {tmp_path}/broken.py:5: ")
    assert "gone.py:1: it has no function download" in lines[1]
    assert "rude.py:5: download() has no parameter torrentfile" in lines[2]
    assert lines[3] == "            odd: 'a b' ' ' ''"


def test_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only download() is called: neither install() nor torrentfile(), and no cache is made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fail = "def {}: raise SystemExit('called')\n"
    one = entry(
        tmp_path,
        install=fail.format("install(host, version='1')"),
        torrentfile=fail.format("torrentfile(host, torrent)"),
    )
    assert described("small", one)[-1].endswith("mine: get DESK/test.torrent INTO")
    assert not (tmp_path / "cache").exists()


def test_a_terminal_that_cannot_write_a_label_gets_it_spelt_out(tmp_path: Path) -> None:
    """Where the output takes ASCII only, other letters come as escapes; that is no reason to fail."""
    entry(tmp_path)
    argv = [sys.executable, "-m", "btgames", "race", "--dry-run", "--contestant", f"süd={tmp_path}/mine.py"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(argv, capture_output=True, env=environment, check=False, cwd=places.PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    assert rb"s\xfcd: get DESK/test.torrent INTO" in done.stdout
