"""The log of an install: bounded, readable while it grows, harmless when a line of it is shown; and what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from btgames import install_log
from btgames.install_log import KEEP_BYTES, InstallLog, complaint, last_line, log_of, unreached

if TYPE_CHECKING:
    from pathlib import Path


def test_it_can_be_read_while_it_grows(tmp_path: Path) -> None:
    """A line is there as soon as it was added; a new log begins anew."""
    path = log_of(tmp_path / "mine-0123")
    path.write_text("of the last try\n")
    log = InstallLog(str(path))
    log.command(["pip", "install", "a b"])
    log.add(b"Collecting\n")
    assert path.read_text() == "$ pip install 'a b'\nCollecting\n"
    assert path == tmp_path / "mine-0123.log"


def test_a_flood_is_cut(tmp_path: Path) -> None:
    """Of a build that prints for ever the beginning and the end are kept, and how much was left out."""
    path = tmp_path / "log"
    log = InstallLog(str(path))
    log.command(["flood"])
    for _ in range(40):
        log.add(b"x" * (1 << 20))
    log.add(b"the end\n")
    log.close()
    assert path.stat().st_size < 2 * KEEP_BYTES + 100 < 11e6
    text = path.read_text()
    assert text.startswith("$ flood\nxxx")
    assert text.endswith("xxxthe end\n")
    assert "bytes left out" in text


def test_a_disk_that_is_full_does_not_end_the_install() -> None:
    """Where the log cannot be opened or written, its lines are lost and nothing is raised."""
    for path in ("/dev/full", "/no/such/folder/log"):
        log = InstallLog(path)
        log.command(["true"])
        log.close()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n\n", ""),
        ("one\n  two  words\n\n", "two words"),
        ("10 %\r20 %\r", "20 %"),
        ("a\x07b\u202ec\x1b\n", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}"),
        ("x" * 9000, "x" * 97 + "..."),
    ],
)
def test_the_last_line_is_harmless(tmp_path: Path, text: str, line: str) -> None:
    """The last line that is not empty, also of a progress bar; short, and no terminal obeys it."""
    (tmp_path / "log").write_text(text)
    assert last_line(tmp_path / "log") == line


def test_the_last_line_is_one_that_says_something(tmp_path: Path) -> None:
    """Colours are left out, and a line that was nothing but colours is none."""
    (tmp_path / "log").write_text("\x1b[1mbuilding\x1b[m\n\x1b[0m\x1b[0m\n")
    assert last_line(tmp_path / "log") == "building"


def test_the_last_line_leaves_out_what_is_clear(tmp_path: Path) -> None:
    """The path of the contestant's own folder would leave no room for what is done there."""
    log = log_of(tmp_path / "mine-0123")
    log.write_text(f"$ {tmp_path}/mine-0123/venv/bin/pip install x\n")
    assert last_line(log) == "$ venv/bin/pip install x"


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("one\n\n two \nthree\nfour\n", "two | three | four"),
        ("", ""),
        (
            "Looking\nERROR: Could not find it (from versions: 1, 2)\nERROR: No matching distribution\n[notice] new\n",
            "ERROR: Could not find it (from versions: 1, 2) | ERROR: No matching distribution | [notice] new",
        ),
        (
            "npm error code ETARGET\nnpm error notarget No match\nnpm error notarget In most\nnpm error A log\n",
            "npm error code ETARGET | npm error notarget No match | npm error notarget In most",
        ),
        ("Get:1\nE: Unable to locate package x\n", "E: Unable to locate package x"),
        ("Cloning\nfatal: unable to access\n", "fatal: unable to access"),
        ("cc\nx.c:3:5: error: no y\n  y\n  ^\nmake: failed\n", "x.c:3:5: error: no y | y | ^"),
        ("errors are none\nerrorless\nEve\nlast\n", "errorless | Eve | last"),
    ],
)
def test_what_a_command_complains_of(printed: str, words: str) -> None:
    """Three lines from the first on that names an error, as package tools and compilers write it; else the last."""
    assert complaint(printed) == words


@pytest.mark.parametrize(
    ("printed", "so"),
    [
        ("[Errno 111] Connection refused", True),
        ("curl: (6) Could not resolve host: x", True),
        ("npm error code ECONNREFUSED", True),
        ("dial tcp: lookup x: no such host", True),
        ("(from versions: none)", True),
        ("(from versions: 1.0)", False),
        ("", False),
    ],
)
def test_whether_nobody_answered(tmp_path: Path, printed: str, *, so: bool) -> None:
    """A network on which nobody answers is told by the words that all tools pass on."""
    (tmp_path / "log").write_text(f"{printed}\n")
    assert unreached(tmp_path / "log") is so


def test_only_the_end_is_looked_at(tmp_path: Path) -> None:
    """A mirror that did not answer, long before another one did, is not the reason."""
    (tmp_path / "log").write_text("Connection refused\n" + "fine\n" * 2000)
    assert not install_log.unreached(tmp_path / "log")
