"""How single things are written: seconds, percent, sizes, and text that strangers wrote."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = "-"

# Terminal sequences: CSI (colours, cursor), OSC (titles, links) and the two-character ones. ECMA-48, section 5.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?|\x1b[ -~]"
)
_UNSEEN = {"Cc", "Cf", "Cs"}  # control, format (also what turns text around), lone surrogates


def plain(text: str, longest: int | None = None) -> str:
    """Return strangers' text as one line that no terminal obeys, cut to `longest` characters with an ellipsis."""
    line = " ".join(_SEQUENCE.sub("", text).split())
    line = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _UNSEEN else char for char in line)
    return f"{line[: longest - 3]}..." if longest is not None and len(line) > longest else line


def seconds(value: float | None) -> str:
    """Return three significant digits, but nothing finer than the millisecond that a stopwatch can mean."""
    if value is None:
        return NOTHING
    for decimals in (3, 2, 1):
        # The text decides, as 9.996 is one that rounding moves to the next power of ten.
        text = f"{value:.{decimals}f}"
        if len(text.replace(".", "").lstrip("0")) <= 3:  # noqa: PLR2004 - the three digits
            return text
    return f"{value:.0f}"


def past_seconds(value: float) -> str:
    """Return seconds as they were written down in 2013, no digit added."""
    return f"{value:.4g}"


def percent(value: float | None) -> str:
    """Return whole percent, and ``<1 %`` for what would look like nothing."""
    if value is None:
        return NOTHING
    return "<1 %" if 0 < value < 1 else f"{value:.0f} %" if value < 1e4 else f"{value:.0e} %"  # noqa: PLR2004 - five digits


def size(count: int) -> str:
    """Return bytes as MB or GB, 10^6 or 10^9 bytes, with three significant digits."""
    unit, scale = ("GB", 10**9) if count >= 10**9 else ("MB", 10**6)
    return f"{float(f'{count / scale:.3g}'):g} {unit}"


def aligned(cells: Sequence[str]) -> list[str]:
    """Pad to equal width, flush right but so that decimal points meet; at least one cell. Nothing has no point."""
    tails = [len(cell.partition(".")[2]) + ("." in cell) for cell in cells]
    pads = [0 if cell == NOTHING else max(tails) - tail for cell, tail in zip(cells, tails, strict=True)]
    return flush_right([cell + " " * pad for cell, pad in zip(cells, pads, strict=True)])


def flush_right(cells: Sequence[str]) -> list[str]:
    """Pad on the left to equal width; at least one cell."""
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]
