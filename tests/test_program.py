"""The command line: what is accepted, what is said about the rest, and with which exit status."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.collection import Collection

from btgames import __version__, places
from btgames.errors import TestbedError, UserError
from btgames.program import Program, command, load_tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from invoke.context import Context


class Recorder:
    """Tasks that record how they were called, and end as they are told to."""

    def __init__(self, ending: Callable[[], int] = lambda: 0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.ending = ending

    def tasks(self) -> Collection:
        """Return two tasks, `race` and `leaderboard`."""

        @command(iterable=["contestant"], help={"contestant": "who races"})
        def race(
            _: Context,
            *,
            scenario: str = "small",
            contestant: list[str] | None = None,
            dry_run: bool = False,
            retire: bool = True,
        ) -> int:
            """Race."""
            self.calls.append(
                {"scenario": scenario, "contestant": contestant, "dry_run": dry_run, "retire": retire},
            )
            return self.ending()

        @command()
        def leaderboard(_: Context, *, format: str = "table") -> int:  # noqa: A002 - the option's name
            """Rank."""
            self.calls.append({"format": format})
            return self.ending()

        return Collection(race, leaderboard)

    def run(self, *words: str) -> int:
        """Run a command line and return its exit status."""
        program = Program(self.tasks(), version="1.2", name="btgames", binary="./inv")
        try:
            program.run(["inv", *words])
        except SystemExit as end:
            return int(end.code or 0)
        return 0


def test_values() -> None:
    """Options reach the task: repeated, negated, after = or a space, values that look like tasks or options."""
    recorder = Recorder()
    assert recorder.run("race", "--contestant", "a", "--contestant=race", "--no-retire", "--scenario", "-1") == 0
    assert recorder.calls == [{"scenario": "-1", "contestant": ["a", "race"], "dry_run": False, "retire": False}]


def test_several_tasks() -> None:
    """Several tasks of one command line run one after another."""
    recorder = Recorder()
    assert recorder.run("race", "--dry-run", "leaderboard", "--format", "csv") == 0
    assert [call.get("format") for call in recorder.calls] == [None, "csv"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("rcae", "unknown task 'rcae' - did you mean race?"),
        ("race --secnario small", "race: unknown option '--secnario' - did you mean --scenario?"),
        ("race --dry", "race: unknown option '--dry' - did you mean --dry-run?"),
        ("race --no-retir", "race: unknown option '--no-retir' - did you mean --no-retire?"),
        ("race --contestant", "race: --contestant needs a value"),
        ("race --contestant --dry-run", "race: --contestant needs a value"),
        ("race --scenario=--dry-run", "race: --scenario needs a value"),
        ("race --scenario a --scenario b", "race: --scenario is given twice"),
        ("race --dry-run=yes", "race: --dry-run takes no value"),
        ("race --no-retire=yes", "race: --no-retire takes no value"),
        ("leaderboard --scenario small", "leaderboard: unknown option '--scenario'"),
        ("race xyzzy", "unknown task 'xyzzy'"),
        ("--scenario small race", "unknown option '--scenario'"),
        ("--echo race", "unknown option '--echo'"),
        ("--list=race", "--list takes no value"),
        ("--help rcae", "unknown task 'rcae' - did you mean race?"),
        ("-", "unknown option '-'"),
    ],
)
def test_mistakes(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is answered by one line that names it and the nearest name, with status 2; nothing runs."""
    recorder = Recorder()
    assert recorder.run(*words.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(says)
    assert recorder.calls == []


def test_long_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """A very long or many-lined word is shown shortened, on one line."""
    assert Recorder().run("x\n" * 10_000) == 2
    err = capsys.readouterr().err
    assert len(err) < 150
    assert err.count("\n") == 1


LINE = """
race leaderboard --scenario --scenario=x --scenario= --contestant --contestant=-- --dry-run --dry-run=1 --no-retire
--retire --format --help --help=race -h -l --list --list=x --version -V -Vl --echo small -1 -- - --=
"""


@given(st.lists(st.one_of(st.sampled_from(LINE.split()), st.text(max_size=4)), max_size=6))
def test_any_line(words: list[str]) -> None:
    """Whatever is typed either runs or is a mistake with status 2: nothing raises, nothing else comes out."""
    recorder = Recorder()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        status = recorder.run(*words)
    assert status in {0, 2}
    assert bool(err.getvalue()) is (status == 2)
    if status == 2:
        assert recorder.calls == []
        assert err.getvalue().count("\n") == 1


@pytest.mark.parametrize("words", [(), ("--help",), ("--list",), ("-l",)])
def test_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing, --help and --list show the tasks, with status 0."""
    assert Recorder().run(*words) == 0
    out = capsys.readouterr().out
    assert "race          Race." in out
    assert "leaderboard   Rank." in out


@pytest.mark.parametrize("words", [("race", "--help"), ("race", "-h"), ("--help", "race"), ("--help=race",)])
def test_task_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A task's help shows its options with their help, and runs nothing."""
    recorder = Recorder()
    assert recorder.run(*words) == 0
    assert "--contestant        who races" in capsys.readouterr().out
    assert recorder.calls == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names program and version."""
    assert Recorder().run("--version") == 0
    assert capsys.readouterr().out == "btgames 1.2\n"


def _user_error() -> int:
    raise UserError("a.yaml: heats: found 0\nallowed is 1 to 1000")


def _testbed_error() -> int:
    raise TestbedError("no namespaces here")


def _interrupt() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ending", "status", "says"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (_user_error, 2, "a.yaml: heats: found 0\nallowed is 1 to 1000\n"),
        (_testbed_error, 1, "no namespaces here\n"),
        (_interrupt, 130, ""),
    ],
)
def test_endings(ending: Callable[[], int], status: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A task's number, plain error or Ctrl-C becomes lines on stderr and an exit status; later tasks do not run."""
    recorder = Recorder(ending)
    assert recorder.run("race", "leaderboard") == status
    assert capsys.readouterr() == ("", says)
    assert len(recorder.calls) == (2 if status == 0 else 1)


def test_defects_keep_their_traceback() -> None:
    """An exception that no user caused is not hidden."""

    def divide() -> int:
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        Recorder(divide).run("race")


def run(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the real program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(places.PACKAGE.parent)}
    return subprocess.run(
        [sys.executable, "-P", *words],
        cwd=cwd,
        env=environment,
        text=True,
        timeout=60,
        check=False,
        **{"capture_output": True, **options},
    )


def test_real_tasks(tmp_path: Path) -> None:
    """The real program lists every task, from any folder, and each option of each has its help."""
    ran = run("-m", "btgames", "--list", cwd=tmp_path)
    assert ran.returncode == 0
    tasks = (
        "bench board check contestants down download hosts install leaderboard leftovers lint race replace scenarios"
    )
    tasks += " seed shell ssh terminate test tracker uninstall up"
    listed = [line.split()[0] for line in ran.stdout.splitlines() if line.startswith("  ") and line[2] != " "]
    assert listed == tasks.split()
    for context in load_tasks().to_contexts():
        assert all(argument.help for argument in context.args.values())


@pytest.mark.parametrize(
    "program", [["btgames"], ["invoke", "--search-root", str(places.TASKS.parent)]], ids=["btgames", "invoke"]
)
@pytest.mark.parametrize("heats", ["abc", "0", "-1"])
def test_heats(program: list[str], heats: str, tmp_path: Path) -> None:
    """Heats that are no number are answered by a line and status 2, under plain invoke as well."""
    ran = run("-m", *program, "race", "--heats", heats, cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == f"--heats: found '{heats}'; allowed is a whole number from 1 to 1000\n"


def test_version_is_one(tmp_path: Path) -> None:
    """The program's version is the package's."""
    assert run("-m", "btgames", "--version", cwd=tmp_path).stdout == f"btgames {__version__}\n"


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_reader_gone(buffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the reader of the output goes away, as `head` does, the program ends without a traceback."""
    monkeypatch.setenv("PYTHONUNBUFFERED", buffered)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = run("-m", "btgames", "--list", cwd=tmp_path, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, "")


def test_light(tmp_path: Path) -> None:
    """Listing the tasks imports none of the heavy libraries."""
    code = "import sys; from btgames.program import load_tasks; load_tasks(); print(*sys.modules)"
    loaded = set(run("-c", code, cwd=tmp_path).stdout.split())
    assert "invoke" in loaded
    assert loaded.isdisjoint({"pydantic", "pyroute2", "rich", "libtorrent", "btgames.race"})
