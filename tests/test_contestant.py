"""Who races: the grammar of entries, and what is read of a module without running it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames import contestant, places
from btgames.errors import UserError

if TYPE_CHECKING:
    from btgames.contestant import Contestant

GOOD = '''"""mine: a client of my own. https://example.org"""
TITLE = "Mine"
def install(host, version="1.2"): ...
def torrentfile(host, torrent): ...
def download(torrentfile, into): ...
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def module(path: Path, text: str = GOOD) -> Path:
    """Write a module, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load(*specs: str) -> tuple[Contestant, ...]:
    """Load entries; names are those of the contestants that ship."""
    return contestant.load(specs, places.CONTESTANTS)


def problem(folder: Path, text: str) -> str:
    """Return what is wrong with a module of this text."""
    return contestant.read(module(folder / "odd.py", text), label="odd", spec="odd").problem


def refusal(*specs: str) -> str:
    """Return the lines with which entries are refused."""
    with pytest.raises(UserError) as caught:
        load(*specs)
    return str(caught.value)


# The grammar.


def test_a_name_stands_for_a_module_that_ships() -> None:
    """A bare name is looked up among the shipped contestants; its pin is install's default."""
    (one,) = load("aria2")
    assert (one.label, one.name, one.title, one.pin) == ("aria2", "aria2", "aria2", "1.36.0")
    assert one.asked_version is None
    assert one.problem == ""


def test_the_default_race_needs_nobody_named() -> None:
    """The four default contestants exist and can race."""
    assert [one.problem for one in load(*contestant.DEFAULT)] == [""] * 4


def test_an_entry_with_everything(here: Path) -> None:
    """LABEL=PATH@VERSION:SOURCE_DIR gives each part; paths are absolute."""
    module(here / "mine.py", GOOD.replace('version="1.2"', 'version="1.2", source=None'))
    (here / "build-a").mkdir()
    (one,) = load("new=./mine.py@2.0:build-a")
    assert (one.label, one.pin, one.asked_version) == ("new", "2.0", "2.0")
    assert one.path == here / "mine.py"
    assert one.source == here / "build-a"
    assert one.problem == ""


def test_two_versions_race_side_by_side() -> None:
    """One module races twice under two labels, and pins tell them apart."""
    assert [(one.label, one.pin) for one in load("new=aria2", "old=aria2@1.35.0")] == [
        ("new", "1.36.0"),
        ("old", "1.35.0"),
    ]


def test_a_pattern_of_paths_names_many(here: Path) -> None:
    """'students/*' is every module of the folder, but for what begins with an underscore or is no .py file."""
    for name in ("ann.py", "bob.py", "_helper.py", ".hidden.py", "notes.txt"):
        module(here / "students" / name)
    assert [one.label for one in load("students/*")] == ["ann", "bob"]


def test_equal_names_in_different_folders_get_the_folders_name(here: Path) -> None:
    """Modules of one name are told apart by their folders."""
    for name in ("ann", "bob"):
        module(here / "students" / name / "client.py")
    assert [one.label for one in load("students/*/client.py")] == ["ann.client", "bob.client"]


def test_odd_file_names_make_plain_labels(here: Path) -> None:
    """A label made of a file's name holds nothing that is odd in a table or in the name of a folder."""
    names = ["my client.py", "a[red]b.py", "-v.py", "søren.py", "x\n\x1b[31m.py", "y" * 200 + ".py"]
    for name in names:
        module(here / "odd" / name)
    labels = {one.path.name: one.label for one in load("odd/*")}
    assert [labels[name] for name in names] == ["my-client", "a-red-b", "v", "søren", "x---31m", "y" * 40]


def test_a_file_name_that_is_no_text_is_a_label_all_the_same(here: Path) -> None:
    """Bytes that are no UTF-8 in a file's name do not reach the label, which race cards compare as text."""
    path = Path(str(here), b"caf\xe9.py".decode("utf-8", "surrogateescape"))
    module(path)
    assert [one.label for one in load("./*.py")] == ["caf-"]


def test_groups_stand_for_all_that_ship(tmp_path: Path) -> None:
    """`all` is every module of the folder, `quick` all but those that are SLOW."""
    module(tmp_path / "a.py")
    module(tmp_path / "b.py", "SLOW = True\n" + GOOD)
    assert [one.label for one in contestant.load(["all"], tmp_path)] == ["a", "b"]
    assert [one.label for one in contestant.load(["quick"], tmp_path)] == ["a"]


# What is refused, in words.


def test_a_misspelt_name_gets_the_nearest() -> None:
    """An unknown name is answered with the nearest known one, all known ones, and how to give a file."""
    words = refusal("aria")
    assert words.startswith("unknown contestant 'aria' - did you mean aria2?\n./inv contestants lists ")
    assert "./NAME.py" in words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "expected [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]"),
        ("aria2@", "expected [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]"),
        ("aria2:", "expected [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]"),
        ("a=", "expected [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]"),
        ("=aria2", "the label ''"),
        ("a b=aria2", "the label 'a b'"),
        ("../x=aria2", "the label '../x'"),
        (f"{'x' * 41}=aria2", "may have up to 40"),
        ("aria2@1 2", "'1 2' is not a version"),
        ("aria2@-e", "'-e' is not a version"),
        ("aria2:nowhere", "'nowhere' is not a directory"),
        ("aria2:~nobody-of-that-name/x", "home"),
        ("./nothing.py", "no such file"),
        ("/etc/passwd", "a contestant's module is a Python file, NAME.py"),
        ("./", "is a directory; write its files as 'DIR/*'"),
        ("./*.nothing", "no contestant's module (NAME.py) matches"),
        (f"./{'x' * 300}.py", "File name too long"),
        ("./a\0.py", "no such file"),
        ("all@1", "unknown contestant 'all'"),
        ("a=./*.py", "one label for 2 contestants"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_mistake_is_told_in_words(spec: str, words: str) -> None:
    """Each mistake in an entry is named, together with the entry, in at most three lines."""
    for name in ("one.py", "two.py"):
        module(Path(name))
    told = refusal(spec)
    assert words in told
    assert len(told.splitlines()) <= 3


def test_labels_must_differ() -> None:
    """Two contestants of one label are refused, and the way out is named."""
    assert refusal("aria2", "aria2@1.0") == (
        "two contestants are labelled aria2: write LABEL= before 'aria2@1.0' to tell them apart"
    )
    assert "before 'http'" in refusal("x=aria2", "x=http")


def test_a_file_that_cannot_be_read_is_a_mistake(here: Path) -> None:
    """A path that leads to itself is told in words."""
    (here / "loop.py").symlink_to("loop.py")
    assert "loop.py" in refusal("./loop.py")


WORDS = ["=", "@", ":", "/", "./", "./*", "?", "[", "~", "..", ".py", "aria2", "http", "one", "\0", "\n", " "]
parts = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=8).map("".join)


@settings(deadline=None)  # the machine may be busy
@given(specs=st.lists(parts | st.text(), max_size=3))
def test_any_entry_gives_contestants_or_a_few_words(specs: list[str]) -> None:
    """Whatever is written, the answer is contestants with different labels, or one to three plain lines."""
    with tempfile.TemporaryDirectory() as name:
        module(Path(name, "one.py"))
        said, labels = "one line", ["one"]
        try:
            labels = [one.label for one in contestant.load(specs, Path(name))]
        except UserError as error:
            said = str(error)
    assert 1 <= len(said.splitlines()) <= 3
    assert len(said) < 1000
    assert len(set(labels)) == len(labels)
    assert all(1 <= len(label) <= 40 for label in labels)


# What is read of a module.


def test_facts_are_read_without_running_the_module(here: Path) -> None:
    """A module that would do harm when imported is read all the same, and does none."""
    marker = here / "ran"
    text = f'{GOOD}\nopen({str(marker)!r}, "w")\nraise SystemExit(3)\nEXITS = False\n'
    one = contestant.read(module(here / "mine.py", text), label="x", spec="x")
    assert (one.title, one.pin, one.exits, one.yardstick, one.problem) == ("Mine", "1.2", False, False, "")
    assert not marker.exists()


def test_the_title_falls_back_to_the_docstring_and_the_name(here: Path) -> None:
    """Without TITLE the docstring's first word before the colon is the title, without docstring the file's name."""
    bare = GOOD.replace('TITLE = "Mine"\n', "")
    assert contestant.read(module(here / "x.py", bare), label="x", spec="x").title == "mine"
    bare = bare.partition("\n")[2]
    assert contestant.read(module(here / "x.py", bare), label="x", spec="x").title == "x"


def test_annotated_constants_count(here: Path) -> None:
    """`EXITS: bool = False` says as much as `EXITS = False`."""
    one = contestant.read(module(here / "x.py", GOOD + "EXITS: bool = False\nHOME: str\n"), label="x", spec="x")
    assert not one.exits
    assert one.problem == ""


@pytest.mark.parametrize("pinned", ['host, version="3"', 'host, *, version="3"', 'host, /, version="3"'])
def test_the_pin_is_the_default_of_version(here: Path, pinned: str) -> None:
    """The pin is found however install's parameters are written."""
    text = GOOD.replace('host, version="1.2"', pinned)
    assert contestant.read(module(here / "x.py", text), label="x", spec="x").pin == "3"


def test_a_default_that_is_no_text_is_no_pin(here: Path) -> None:
    """What cannot be read without running it is no pin."""
    text = GOOD.replace('version="1.2"', "version=newest()")
    assert contestant.read(module(here / "x.py", text), label="x", spec="x").pin == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def install(:\n", "odd.py:1: invalid syntax"),
        ("\n\n  x = 1\n", "odd.py:3: unexpected indent"),
        ("x = '\0'", "odd.py:1: source code"),
        ("# coding: klingon\n", "odd.py:1: unknown encoding"),
        ("(" * 5000, "odd.py:1: "),
        ("", "odd.py:1: it has no function install(host, version)"),
        ("def install(host): ...\n", "odd.py:1: it has no function torrentfile(host, torrent)"),
        (GOOD.replace("torrentfile, into", "torrentfile"), "odd.py:5: download() has no parameter into"),
        (GOOD.replace("def download", "async def download"), "odd.py:1: it has no function download"),
        (GOOD + 'EXITS = "no"\n', "odd.py:6: EXITS is str; allowed is a literal bool"),
        (GOOD + "EXITS = bool(0)\n", "odd.py:6: EXITS is no literal; allowed is a literal bool"),
        (GOOD + "YEAR = True\n", "odd.py:6: YEAR is bool; allowed is a literal int"),
        (GOOD + "HOME = {[]: 1}\n", "odd.py:6: HOME is no literal; allowed is a literal str"),
        (GOOD + "#" * (1 << 20), "odd.py: over 1 MB"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_wrong_is_told_with_file_and_line(text: str, words: str) -> None:
    """A module that cannot race is an entry with a problem, which names file and line; it is no error yet."""
    told = problem(Path.cwd(), text)
    assert told.startswith(words)
    assert "\n" not in told


def test_binary_garbage_is_no_module(here: Path) -> None:
    """A file of random bytes is told to be no Python."""
    (here / "odd.py").write_bytes(bytes(range(128, 256)))
    one = contestant.read(here / "odd.py", label="odd", spec="odd")
    assert one.problem.startswith("odd.py:1: ")


@pytest.mark.parametrize(("spec", "words"), [(":.", "source, so takes no :SOURCE_DIR"), ("@2", "version, so takes no")])
def test_install_without_the_parameter_takes_no_such_part(here: Path, spec: str, words: str) -> None:
    """A version or source that install() could not be told is a problem of the entry."""
    module(here / "mine.py", GOOD.replace('host, version="1.2"', "host"))
    (one,) = load(f"./mine.py{spec}")
    assert one.problem.startswith("mine.py:3: install() has no parameter ")
    assert words in one.problem


@settings(deadline=None)  # the machine may be busy
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (GOOD + text).encode("utf-8", "replace")))
def test_any_file_can_be_read(data: bytes) -> None:
    """Whatever a file holds, reading it gives an entry with or without a problem of one line."""
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        Path(file.name).write_bytes(data)
        assert "\n" not in contestant.read(Path(file.name), label="x", spec="x").problem
