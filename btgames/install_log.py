"""
The log of an install: each of its commands on a line, what that printed beneath it, as it is printed, and no flood.

It lies beside the folder of what is installed, is kept when the install fails as well, and begins anew with the next
try. What stands in it was written by strangers.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from typing import TYPE_CHECKING

from btgames.agents.cell_log import Log
from btgames.hosts import last_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEEP_BYTES = 5 << 20
"""Kept of the beginning, and as much of the end: a hostile build may print for ever."""

_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # and what else a terminal is told (ECMA-48, CSI)
_TAIL_BYTES = 4096  # in which the last line is looked for
_LINE_LENGTH = 100  # of it, as it is shown

# How pip, npm, cargo, git, apt and compilers begin the line that says what is wrong; a word may stand before it.
_ERROR = re.compile(r"\s*(?:\S+ )?(?:(?:error|fatal|err!)(?!\w)|E: )", re.IGNORECASE)

# Words of the C library, Node and Go, which the tools pass on; the last is pip's, whose index gave it nothing at all.
_UNREACHED = re.compile(
    "connection refused|ECONNREFUSED|network is unreachable|name resolution|temporary failure resolving|EAI_AGAIN"
    "|ENOTFOUND|could not resolve|no such host|from versions: none",
    re.IGNORECASE,
)


class InstallLog:
    """The log, being written. A disk that is full costs its lines, not the install."""

    def __init__(self, path: str | None) -> None:
        """Begin it anew; None: keep nothing."""
        try:
            self._log = Log(path, KEEP_BYTES)
        except OSError:
            self._log = Log(None, KEEP_BYTES)

    def command(self, words: Sequence[str]) -> None:
        """Add the line of a command that begins."""
        self.add(f"$ {' '.join(shlex.join(words).split())}\n".encode())

    def add(self, data: bytes) -> None:
        """Add what a command printed."""
        with contextlib.suppress(OSError):
            self._log.add(data)

    def close(self) -> None:
        """Write what of the end was held back."""
        with contextlib.suppress(OSError):
            self._log.close()


def log_of(folder: Path) -> Path:
    """Return the log of what is, or was to be, installed in a folder."""
    return folder.with_name(f"{folder.name}.log")


def last_line(log: Path) -> str:
    """
    Return the last line that there is, "" where there is none.

    It is cut, has nothing in it that a terminal obeys, and leaves out the path of the folder that the log is of.
    """
    text = _COLOURS.sub("", _tail(log)).replace(f"{log.with_suffix('')}/", "")
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    line = " ".join(lines[-1].split()) if lines else ""
    line = line if len(line) <= _LINE_LENGTH else f"{line[: _LINE_LENGTH - 3]}..."
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def unreached(log: Path) -> bool:
    """Tell whether a command ended by complaining of a network on which nobody answers."""
    return _UNREACHED.search(_tail(log)) is not None


def complaint(printed: str) -> str:
    """
    Return on one line what a command that failed complained of: three lines.

    They begin with the first that says error or the like; where none does they are the last ones.
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if _ERROR.match(line)), -3)
    return last_lines("\n".join(lines[first:][:3]).encode())


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
        return file.read().decode(errors="replace")
