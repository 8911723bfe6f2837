"""Reading YAML strictly: what is data, what is refused, and in what words."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames.errors import UserError
from btgames.strict_yaml import LIMIT_BYTES, Document, dotted, parse, read_text, shown

FILE = Path("a.yaml")


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ("250", 250),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("2.5e-3", 0.0025),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("two words", "two words"),
        ("'250'", "250"),
        ('"null"', "null"),
        ("[1, [a]]", (1, ("a",))),
        ("{b: [], c: {}}", {"b": (), "c": {}}),
    ],
)
def test_values(written: str, data: object) -> None:
    """A value is what it looks like; quoted it is text; lists are tuples."""
    found = parse(FILE, f"a: {written}\n").data["a"]

    assert (found, type(found)) == (data, type(data))


@pytest.mark.parametrize(
    "written",
    [
        *("yes", "No", "on", "OFF", "True", "NULL", "=", "2013-01-01"),
        *("1_000", "0o17", "017", "0x10", "0b1", "12:30", "12:30.5", "+5", ".5", "5."),
        *(".nan", ".inf", "-.inf", "1e9999", "9" * 19, "9" * 5000),
    ],
)
def test_surprises_stay_text(written: str) -> None:
    """What YAML 1.1 converts behind the writer's back stays the text that was written, however long."""
    assert parse(FILE, f"a: {written}\n").data == {"a": written}


def test_places() -> None:
    """Each value's place is known: its key's line, and how it is written."""
    document = parse(FILE, "# words\na:\n  - b: yes\n\n    c:\n      'x'\n")

    assert document.places["a", 0, "b"] == (3, "yes")
    assert document.places["a", 0, "c"] == (5, '"x"')
    assert document.places["a",] == (2, "a list")
    assert document.places["a", 0] == (3, "a group of fields")


def test_keys_are_text() -> None:
    """A key is the text that is written, whatever it looks like."""
    assert parse(FILE, "1: a\nyes: b\nnull: c\n").data == {"1": "a", "yes": "b", "null": "c"}


def test_key_given_twice() -> None:
    """A key that comes again is a mistake with both lines; its first value stands, and reading goes on."""
    document = parse(FILE, "a: 1\nb:\n  c: 2\n  c: {c: 3, d: [4]}\na: 5\ne: 6\n")

    assert document.data == {"a": 1, "b": {"c": 2}, "e": 6}
    assert document.mistakes == (
        (4, "b.c: given twice, first in line 3"),
        (5, "a: given twice, first in line 1"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file is empty"),
        ("# nothing\n---\n", "line 1: the file is empty"),
        ("null\n", "line 1: the file is empty"),
        ("\nhello\n", "line 2: found hello; fields are wanted, one a line"),
        ("- a\n", "line 1: found a list; fields are wanted, one a line"),
        ("a: 1\n\tb: 2\n", "line 2: a tab; YAML wants spaces there"),
        ("a:\n\t- b\n", "line 2: a tab; YAML wants spaces there"),
        ("a:\t1\n", "line 1: a tab; YAML wants spaces there"),
        ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases (& and *) are not allowed; write the value out"),
        ("a: 1\nb: *a\n", "line 2: anchors and aliases (& and *) are not allowed; write the value out"),
        (
            "a: !!python/name:os.system\n",
            "line 1: tags such as tag:yaml.org,2002:python/name:os.system are not allowed",
        ),
        ("a: ! 1\n", "line 1: tags such as ! are not allowed"),
        ("? [a]\n: 1\n", "line 1: a field's name must be a plain word"),
        ("&x a: 1\n", "line 1: a field's name must be a plain word"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins; one is allowed"),
        ("a: b: c\n", "line 1: not YAML: mapping values are not allowed here"),
        ("a: 'b\n", "line 2: not YAML: found unexpected end of stream"),
        ("a: @\n", "line 1: not YAML: found character '@' that cannot start any token"),
        ("%YAML 9.9\n---\na: 1\n", "line 1: not YAML: found incompatible YAML document (version 1.* is required)"),
        ("a: b\n\0", "line 2: not text: it holds a control character"),
        ('a: "\\ud800"\n', "line 1: not text: half of a surrogate pair"),
        ('"\\ud800": 1\n', "line 1: not text: half of a surrogate pair"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """What is not read is refused in one line that says where and why."""
    with pytest.raises(UserError) as refused:
        parse(FILE, text)

    assert str(refused.value) == f"a.yaml, {message}"


@pytest.mark.parametrize(
    "text", ['a: "\\UFFFFFFFF"\n', 'a: "\\U00110000"\n', "%YAML 1." + "1" * 5000 + "\n---\na: 1\n"]
)
def test_out_of_range(text: str) -> None:
    """Escapes and versions that PyYAML itself trips over are one line like the rest."""
    with pytest.raises(UserError, match=r"^a\.yaml: not YAML: .* out of range$"):
        parse(FILE, text)


@pytest.mark.parametrize("unit", ["[", "[\n", "{a: ", "? ", "- ", "a: {", "[[],"])
def test_deep_nesting(unit: str) -> None:
    """Deep nesting is refused at once: neither a RecursionError nor minutes of work."""
    before = time.process_time()
    with pytest.raises(UserError):
        parse(FILE, "a: \n  " + unit * (LIMIT_BYTES // len(unit)))

    assert time.process_time() - before < 5


def test_deep_block() -> None:
    """Nesting by indentation ends at the same depth."""
    with pytest.raises(UserError, match=r"line 10: nested deeper than 8 levels"):
        parse(FILE, "".join(" " * depth + "a:\n" for depth in range(300)))


def test_text_is_kept(tmp_path: Path) -> None:
    """The text of a file comes back untouched: line ends, comments, a byte order mark."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: caf\xc3\xa9 # word\r\nb: 2\r\n")

    text = read_text(path)

    assert text == "\ufeffa: café # word\r\nb: 2\r\n"
    assert parse(path, text).data == {"a": "café", "b": 2}


@pytest.mark.timeout(5)
def test_no_regular_file(tmp_path: Path) -> None:
    """A folder, a FIFO and a device are named as what they are not; none is opened or waited for."""
    os.mkfifo(tmp_path / "fifo")

    for path, words in [
        (tmp_path, "is a folder; a YAML file is wanted"),
        (tmp_path / "fifo", "is not a regular file; a YAML file is wanted"),
        (Path("/dev/zero"), "is not a regular file; a YAML file is wanted"),
    ]:
        with pytest.raises(UserError) as refused:
            read_text(path)
        assert str(refused.value) == f"{path}: {words}"


@pytest.mark.timeout(5)
def test_huge_file(tmp_path: Path) -> None:
    """A file above the limit is refused by its size: a terabyte as fast as 65537 bytes."""
    path = tmp_path / "huge.yaml"
    for size in (LIMIT_BYTES + 1, 50_000_000, 10**12):
        with path.open("wb") as file:
            file.truncate(size)
        with pytest.raises(UserError, match=f"has {size} bytes; at most 65536 are allowed"):
            read_text(path)


def test_growing_file() -> None:
    """A file that says it is small and is not is refused too: those of the kernel claim 0 bytes."""
    path = Path("/proc/kallsyms")
    if not path.exists():
        pytest.skip("no /proc/kallsyms here")

    with pytest.raises(UserError, match="has more than 65536 bytes"):
        read_text(path)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said so, with the nearest beside it; so are names that no file can have."""
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")

    for name, words in [
        ("mime.yaml", r"no such file - did you mean mine\.yaml\?"),
        ("zz/q.yaml", "no such file$"),
        ("loop.yaml", "symbolic links"),
        ("x" * 5000, "too long"),
        ("a\0b", r"a\\x00b: not a file name"),
    ]:
        with pytest.raises(UserError, match=words):
            read_text(tmp_path / name)


def test_no_permission(tmp_path: Path) -> None:
    """A file that may not be read is one line with the system's reason, for root's own files too."""
    path = tmp_path / "secret.yaml"
    path.write_text("a: 1\n")
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
    except OSError:
        pytest.skip("the only user of this user namespace is root, who may read all")
    try:
        with pytest.raises(UserError, match="Permission denied"):
            read_text(path)
    finally:
        if root:
            os.seteuid(0)


def test_binary(tmp_path: Path) -> None:
    """What is no UTF-8 is refused with the line and byte where it stops being text."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")

    with pytest.raises(UserError, match=r"a\.yaml, line 2: not text: byte 8 is not UTF-8"):
        read_text(path)


def test_shown() -> None:
    """A value in a message is short and cannot drive a terminal."""
    assert shown("café") == "café"
    assert shown("\x1b[2J") == r"\x1b[2J"
    assert shown("a" * 100) == "a" * 45 + "..."


def test_dotted() -> None:
    """A place reads as people write it."""
    assert dotted(("seeders", 0, "up_mbit")) == "seeders[0].up_mbit"
    assert dotted(()) == ""
    assert dotted(("a", "")) == "a.(empty)"


def parsed(text: str) -> Document | None:
    """Parse `text`; a refusal must be one printable line."""
    try:
        return parse(FILE, text)
    except UserError as refused:
        message = str(refused)
    assert message.isprintable()
    return None


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    """Any text gives fields or one printable line."""
    document = parsed(text)

    assert document is None or isinstance(document.data, dict)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"abe10._-:?#&*!|>%@`'\"[]{},\\ \t\n~<=", "\n  ", "- ", ": ", "\\u", "--- ", "..."])))
def test_any_yaml_like_text(fragments: list[str]) -> None:
    """So does any text made of YAML's own signs."""
    document = parsed("".join(fragments))

    assert document is None or all(place.line >= 1 for place in document.places.values())
