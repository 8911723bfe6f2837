"""What there is to race, and on what, listed: at any width, whole in a pipe, broken files included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from modules import HEAD, INSTALL, entry

from btgames import contestant, install_log, installing, listing, places, scenario
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.contestant import Contestant

NEEDS = 'def install(host, version="1"): apt(host, "frob", "frob-utils", program="no-such-frob")\n'


def _shipped() -> list[Contestant]:
    files = contestant.contestant_files(places.CONTESTANTS)
    return [contestant.read(path, label=name, spec=name) for name, path in files.items()]


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")


def test_a_pipe_gets_each_contestant_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a row is one line with name, pin, language, year, licence, title and home; no terminal sequences."""
    assert listing.contestants() == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    rows = {line.split()[0]: line for line in out.splitlines()}
    for one in _shipped():
        assert one.name in rows
        names = ("LANGUAGE", "YEAR", "LICENCE", "HOME")
        for text in (one.pin[:12], one.title, *(str(one.constants[name]) for name in names)):
            assert text in rows[one.name]
        assert ("if named" in rows[one.name]) != (one.name in contestant.DEFAULT)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 300])
def test_a_terminal_gets_what_fits(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal no line of contestants is longer than it, and nothing is left out."""
    _on_a_terminal(monkeypatch, columns)
    listing.contestants()
    out = capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    widest = max(len(line.rstrip()) for line in out.splitlines())
    assert widest <= columns
    together = "".join(out.split())
    for one in _shipped():
        assert one.constants["HOME"] in together
        for text in (one.pin[:12], one.title, one.constants["LICENCE"]):
            assert "".join(text.split()) in together


def test_each_scenario_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """The row of a scenario has its name, size, links, limit, heats and description."""
    assert listing.scenarios() == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[1:-1]} == set(scenario.scenario_files(places.SCENARIOS))
    (small,) = [line for line in lines if line.startswith("small ")]
    for text in ("2 MB", "250 Mbit/s", "60 s", "2 MB from one seeder"):
        assert text in small


def test_broken_files_are_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module or scenario that is broken stands in the list with what is wrong and where; the others do, too."""
    entry(tmp_path, name="fine")
    (tmp_path / "torn.py").write_text("\n\ndef install(:\n", encoding="utf-8")
    (tmp_path / "bent.yaml").write_text("payload: 3\n", encoding="utf-8")
    monkeypatch.setattr(places, "CONTESTANTS", tmp_path)
    monkeypatch.setattr(places, "SCENARIOS", tmp_path)
    listing.contestants()
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "broken" in rows["torn"]
    assert "torn.py:3" in rows["torn"]
    assert "broken" not in rows["fine"]
    listing.scenarios()
    (bent,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bent ")]
    assert "payload" in bent


def test_missing_packages_are_read_from_the_module(tmp_path: Path) -> None:
    """A module whose apt() names a program that is missing needs these packages; one that is there needs nothing."""
    assert listing.missing_packages(entry(tmp_path, name="a", install=NEEDS).path) == ["frob", "frob-utils"]
    there = NEEDS.replace("no-such-frob", "sh")
    assert listing.missing_packages(entry(tmp_path, name="b", install=there).path) == []
    assert listing.missing_packages(entry(tmp_path, name="c").path) == []


def test_no_module_is_run(tmp_path: Path) -> None:
    """To be listed a module is read, not run."""
    path = tmp_path / "ran"
    one = entry(tmp_path, head=f"{HEAD}open({str(path)!r}, 'w').close()\n", install=NEEDS)
    assert listing.installed(one, tmp_path)[0] == "no"
    assert not path.exists()


def test_whether_it_is_installed(tmp_path: Path) -> None:
    """Installed is what is whole, with its size; what lacks a package says how to get it; the rest a race installs."""
    one = entry(tmp_path)
    assert listing.installed(one, tmp_path) == ("not yet", "", "a race installs it")
    log = install_log.log_of(installing.folder_of(one, tmp_path))
    log.touch()
    assert listing.installed(one, tmp_path) == ("not yet", "", f"a race installs it; an unfinished try: {log}")
    with Wrapper(one) as wrapper:
        installing.ensure(one, wrapper, tmp_path, lambda _: None)
    assert listing.installed(one, tmp_path) == ("yes", "0.0 MB", "")
    slow = entry(tmp_path, name="slow", install=f"SLOW = True\n{INSTALL}")
    assert "may take minutes" in listing.installed(slow, tmp_path)[2]
    lacking = entry(tmp_path, name="lacking", install=NEEDS)
    assert listing.installed(lacking, tmp_path) == (
        "no",
        "",
        "needs frob frob-utils: ./inv install --contestant ./lacking.py",
    )
