"""The doctor: each of the machine's checks judges rightly, and contestants of every kind are told what is wrong."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from games import Games, fake, need_namespaces
from modules import HEAD, INSTALL, entry
from rich.console import Console

from btgames import doctor_machine
from btgames.finding import Finding, Mark

if TYPE_CHECKING:
    from pathlib import Path

SECRET_SEQUENCE = "\x1b]0;title\x07"


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Games:
    """Return the command line, in a folder of its own."""
    need_namespaces()
    return Games.of(tmp_path_factory)


@pytest.mark.parametrize(
    ("version", "mark"),
    [((3, 10, 9), Mark.NOT_OK), ((3, 11, 0), Mark.OK), ((3, 13, 9), Mark.OK), ((3, 14, 0), Mark.NOT_OK)],
)
def test_pythons_that_can_have_libtorrent_are_ok(version: tuple[int, ...], mark: Mark) -> None:
    """3.11 to 3.13 are ok; others are told what is needed."""
    finding = doctor_machine.python(version)
    assert finding.mark is mark
    assert bool(finding.to_do) == (mark is Mark.NOT_OK)


def test_a_package_that_does_not_load_is_named() -> None:
    """What breaks while it is loaded is named with its own words; when all load, their versions are told."""

    def load(name: str) -> object:
        if name == "libtorrent":
            raise ImportError("no such library: libssl.so")
        return SimpleNamespace()

    finding = doctor_machine.packages(load)
    assert finding.mark is Mark.NOT_OK
    assert finding.words == "libtorrent: no such library: libssl.so"
    assert doctor_machine.packages(lambda _: None).mark is Mark.OK


@pytest.mark.parametrize(
    ("available", "mark", "said"),
    [(64 << 30, Mark.OK, "every scenario"), (500_000_000, Mark.NOTE, "large"), (100_000_000, Mark.NOT_OK, "small")],
)
def test_memory_is_judged_by_the_scenarios(available: int, mark: Mark, said: str) -> None:
    """Room for all is ok, for some a note that names the others, for none it is not."""
    finding = doctor_machine.memory(available)
    assert finding.mark is mark
    assert said in finding.words


@pytest.mark.parametrize(
    ("down", "up", "mark"),
    [(95.7, 95.6, Mark.OK), (95.7, 90.0, Mark.NOTE), (2000.0, 95.7, Mark.NOT_OK), (95.7, 10.0, Mark.NOT_OK)],
)
def test_a_link_is_judged_in_both_directions(down: float, up: float, mark: Mark) -> None:
    """The worse direction decides; both figures are told."""
    finding = doctor_machine.links(down, up)
    assert finding.mark is mark
    assert f"{down:.1f} down" in finding.words
    assert f"{up:.1f} up" in finding.words


def test_a_finding_fits_and_is_harmless() -> None:
    """Long words are folded to the console's width, and no terminal sequence of a stranger gets through."""
    out = io.StringIO()
    finding = Finding(Mark.NOT_OK, "subject", f"{SECRET_SEQUENCE}{'word ' * 40}{'x' * 200}", "do this")
    finding.tell(Console(file=out, width=80), indent=2)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("  not ok  subject")
    assert lines[-1].strip() == "do this"


@pytest.mark.testbed
def test_this_machine_can_race(games: Games) -> None:
    """Where there are namespaces every check of the machine runs for real, says ok, and the status is 0."""
    ran = games.run("check")
    subjects = {line[8:19].strip(): line[:8].strip() for line in ran.out.splitlines() if line[:8].strip()}
    assert ran.status == 0, ran.out + ran.err
    for subject in ("Python", "packages", "system", "namespaces", "testbed", "swarm", "containment", "installs"):
        assert subjects[subject] == "ok", ran.out
    assert subjects["links"] in {"ok", "note"}, "a note on a machine that is busy with other tests"
    assert "A race can run here" in ran.out


@pytest.mark.testbed
def test_a_place_that_cannot_be_written_to_is_told(games: Games) -> None:
    """A cache that cannot be made is not ok, names the place, and the status is 1."""
    ran = games.run("check", XDG_CACHE_HOME="/proc/nowhere")
    assert ran.status == 1
    assert "/proc/nowhere" in ran.out
    assert "A race cannot run here as it should: installs" in ran.out


@pytest.mark.testbed
def test_a_contestant_that_works(games: Games) -> None:
    """Each of its functions is ok, with what was done and how long it took; the status is 0."""
    ran = games.run("check", "--contestant", fake("perfect"))
    assert ran.status == 0, ran.out + ran.err
    lines = [line.strip() for line in ran.out.splitlines()]
    for function in ("install", "torrentfile", "download"):
        assert any(line.startswith(f"ok      {function}") for line in lines), ran.out
    assert "2000000 bytes right after" in " ".join(ran.out.split())
    assert "hint" not in ran.out


@pytest.mark.testbed
def test_it_goes_on_after_failures(games: Games, tmp_path: Path) -> None:
    """Contestants of every kind are each told what is wrong; one that fails makes the status 1, the table has all."""
    division = "def torrentfile(host, torrent): return 1 / 0\n"
    raises = entry(tmp_path, name="raises", torrentfile=division).path
    nowhere = entry(tmp_path, name="nowhere", torrentfile="def torrentfile(host, torrent): return '/nowhere'\n").path
    torn = tmp_path / "torn.py"
    torn.write_text("def install(:\n", encoding="utf-8")
    kinds = [fake(name) for name in ("other_name", "exits_early", "stays", "status_1", "crashes")]
    who = [f"--contestant={each}" for each in (*kinds, raises, nowhere, torn)]
    ran = games.run("check", *who)
    assert ran.status == 1, ran.out + ran.err
    said = "".join(ran.out.split())  # as lines are folded anywhere, in a path for example
    for words in (
        "does it rename the file",
        "it wrote nothing into the download directory",
        "EXITS = False in",
        f"raises.py:{raises.read_text(encoding='utf-8').splitlines().index(division.strip()) + 1}: ZeroDivisionError",
        "returned '/nowhere', where nothing is",
        "torn.py:1: invalid syntax",
        "its log",
    ):
        assert "".join(words.split()) in said, ran.out
    table = {
        line.split()[0]: line.split()[1:] for line in ran.out.partition("verdict")[2].splitlines() if line[:1] > " "
    }
    assert table["other_name"][:3] == ["ok", "ok", "not"]
    assert table["stays"][:3] == ["ok", "ok", "ok"]
    assert table["raises"][:3] == ["ok", "not", "ok"]
    assert table["torn"][:3] == ["-", "-", "-"]


@pytest.mark.testbed
def test_what_cannot_be_here_is_told_and_no_failure(games: Games, tmp_path: Path) -> None:
    """A missing package comes with the line that installs it, an Unsupported with its reason; the status stays 0."""
    needs = INSTALL.replace("pass", 'apt(host, "frob-utils", program="no-such-frob")')
    lacking = entry(tmp_path, name="lacking", install=needs).path
    cray = entry(tmp_path, name="cray", install=INSTALL.replace("pass", 'raise Unsupported("needs a Cray")')).path
    ran = games.run("check", "--contestant", str(lacking), "--contestant", str(cray))
    assert ran.status == 0, ran.out + ran.err
    said = " ".join(ran.out.split())
    assert "needs packages of the system: frob-utils" in said
    assert "./inv install --contestant" in said
    assert "needs a Cray" in said
    assert said.count("not judged") == 2


@pytest.mark.testbed
def test_a_known_defect_of_a_client_is_no_failure(games: Games, tmp_path: Path) -> None:
    """Who fails as its module says of it gets a note that quotes it, and the status stays 0; its log is shown."""
    words = "never asks for the last piece"
    shell = "def download(torrentfile, into): return Command.shell('echo out of pieces; exit 3')\n"
    one = entry(tmp_path, name="known", head=f'{HEAD}DEFECT = "{words}"\n', download=shell).path
    ran = games.run("check", "--contestant", str(one), "--contestant", fake("perfect"))
    assert ran.status == 0, ran.out + ran.err
    said = " ".join(ran.out.split())
    assert f"a known defect of the client: {words}" in said
    assert "out of pieces" in said
    assert "crashed, as known" in said


@pytest.mark.testbed
def test_a_command_of_an_install_that_fails_is_a_failure(games: Games, tmp_path: Path) -> None:
    """An install whose command fails is quoted with the command's last words; the status is 1."""
    body = "host.run('sh', '-c', 'echo out of luck; exit 4')"
    one = entry(tmp_path, name="luckless", install=INSTALL.replace("pass", body)).path
    ran = games.run("check", "--contestant", str(one))
    assert ran.status == 1
    said = " ".join(ran.out.split())
    assert "ended with status 4: out of luck" in said
    assert "not ok install" in said


def test_an_unknown_contestant_is_told_before_anything_starts(games: Games) -> None:
    """A misspelt name gets the nearest one, and status 2."""
    ran = games.run("check", "--contestant", "libtorent")
    assert (ran.status, ran.out) == (2, "")
    assert "did you mean libtorrent" in ran.err
