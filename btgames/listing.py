"""``contestants`` and ``scenarios``: what there is to race, and on what. Modules are read here, not run."""

from __future__ import annotations

import ast
import re
import shutil
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from btgames import contestant, install_folder, install_log, installing, places, scenario
from btgames.contract import SYSTEM_PATH
from btgames.report.figures import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from btgames.contestant import Contestant

Row = tuple[list[str], list[str]]
"""
The cells of a row: those of any table, and the longer ones, which stand beneath where a terminal is narrow.
"""

_COMMIT = re.compile(r"[0-9a-f]{40}")  # of git, which knows it by its first digits, too


def contestants() -> int:
    """List the contestants that ship; return 0."""
    files = contestant.contestant_files(places.CONTESTANTS)
    rows = [_contestant(contestant.read(path, label=name, spec=name)) for name, path in files.items()]
    names = ["name", "language", "year", "pin", "raced", "installed", "disk", "licence"], ["what", "home", "to do"]
    _print(names, rows, "`default` ones race when nobody is named. A file of your own: --contestant ./NAME.py")
    return 0


def scenarios() -> int:
    """List the scenarios that ship; return 0."""
    names = ["name", "size", "seeders", "links", "limit", "heats"], ["description", ""]
    rows = [
        ([row.name, row.size, row.seeders, row.links, row.time_limit, row.heats], [row.description, row.mistake])
        for row in scenario.scenarios_table(places.SCENARIOS)
    ]
    _print(names, rows, "A file of your own: --scenario ./NAME.yaml")
    return 0


def _contestant(one: Contestant) -> Row:
    if one.problem:
        return [one.name, "", "", "", "", "broken", "", ""], ["", "", one.problem]
    facts = one.constants
    here, disk, to_do = installed(one, places.installed())
    raced = "default" if one.name in contestant.DEFAULT else "if named"
    pin = one.pin[:12] if _COMMIT.fullmatch(one.pin) else one.pin
    cells = [one.name, facts["LANGUAGE"], str(facts["YEAR"] or ""), pin, raced, here, disk, facts["LICENCE"]]
    return cells, [one.title, facts["HOME"], to_do]


def installed(one: Contestant, base: Path) -> tuple[str, str, str]:
    """Return whether a contestant is installed beneath `base`, in a word or two, its disk, and if not, what to do."""
    missing = missing_packages(one.path)
    if missing:
        return "no", "", f"needs {' '.join(missing)}: {places.COMMAND} install --contestant {one.spec}"
    folder = installing.folder_of(one, base)
    if (there := installing.recorded(folder)) is not None:
        return "yes", install_folder.megabytes(there.bytes), ""
    slow = ", which may take minutes" if one.constants["SLOW"] else ""
    log = install_log.log_of(folder)
    tried = f"; an unfinished try: {log}" if log.exists() else ""
    return "not yet", "", f"a race installs it{slow}{tried}"


def missing_packages(module: Path) -> list[str]:
    """Return the packages of the system that a module's calls of `contract.apt` name and whose program is missing."""
    missing: list[str] = []
    for call in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "apt":
            programs = [text for word in call.keywords if word.arg == "program" for text in _texts(word.value)]
            if any(shutil.which(program, path=SYSTEM_PATH) is None for program in programs):
                missing += _texts(*call.args)
    return missing


def _texts(*nodes: ast.expr) -> list[str]:
    """Return those expressions that are literal text."""
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _print(names: Row, rows: Sequence[Row], foot: str) -> None:
    """
    Print rows, each on one line where there is room for it; a pipe gets them so, too, that grep sees them whole.

    Where the terminal is narrower, the longer cells of a row, and as many of the last others as do not fit either,
    stand on a line of their own beneath.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    whole = [names[0] + names[1], *(cells + longer for cells, longer in rows)]
    counts = [len(whole[0]), *range(len(names[0]), 1, -1)]
    tables = ((count, _aligned([row[:count] for row in whole])) for count in counts)
    fits = (each for each in tables if not console.is_terminal or max(map(cell_len, each[1])) <= console.width)
    count, (head, *lines) = next(fits, (1, [row[0] for row in whole]))
    beneath = [row[count:] for row in whole[1:]]
    console.print(head, style="bold")
    for line, longer in zip(lines, beneath, strict=True):
        console.print(line)
        if longer:
            text = Text("; ".join(filter(None, map(plain, longer))), style="dim", overflow="fold")
            console.print(Padding(text, (0, 0, 0, 4)), soft_wrap=False)
    console.print(Text(foot, style="dim"), soft_wrap=False)


def _aligned(rows: Sequence[list[str]]) -> list[str]:
    """Return rows, the first one headings, as lines with aligned columns; what has nothing beneath is left out."""
    columns = [[plain(cell) for cell in column] for column in zip(*rows, strict=True) if any(column[1:])]
    padded = [[set_cell_size(cell, max(map(cell_len, column))) for cell in column] for column in columns]
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
