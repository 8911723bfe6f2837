"""What stands beside a module and belongs to it: found by name, and part of what an install depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from modules import HEAD, INSTALL, entry

from btgames import companions, installing

if TYPE_CHECKING:
    from pathlib import Path

NAMES = 'HERE = __file__\nFILES = ("driver.js", "src")\n'


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Return a module that names a file and a folder, with those and more beside it."""
    (tmp_path / "driver.js").write_text("1")
    (tmp_path / "src" / "deeper").mkdir(parents=True)
    (tmp_path / "src" / "deeper" / "main.go").write_text("2")
    (tmp_path / "other.py").write_text("3")
    return entry(tmp_path, head=HEAD + NAMES).path


def test_what_a_module_names_is_found(module: Path) -> None:
    """Named files, and all files of named folders; nothing else, and not the module itself."""
    found = [str(path.relative_to(module.parent)) for path in companions.companions(module)]
    assert found == ["driver.js", "src/deeper/main.go"]


def test_a_name_within_other_text_does_not_count(tmp_path: Path) -> None:
    """A folder called `bin` is not meant by a path into what is installed."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "big").write_text("x")
    module = entry(tmp_path, install=INSTALL.replace("pass", 'host.put("", "bin/mine")')).path
    assert companions.companions(module) == []
    assert companions.digest(module) == ""


def test_a_broken_module_has_none(tmp_path: Path) -> None:
    """What cannot be read as Python names nothing."""
    torn = tmp_path / "torn.py"
    torn.write_text('def install(: "torn.txt"')
    (tmp_path / "torn.txt").touch()
    assert companions.companions(torn) == []
    assert companions.companions(tmp_path / "missing.py") == []


def test_equal_modules_with_different_clients_are_different_installs(tmp_path: Path) -> None:
    """Ann's and Bob's module are the same text, and each brings a client of its own along: each races their own."""
    folders = []
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "driver.js").write_text(name)
        one = entry(tmp_path / name, head=HEAD + NAMES)
        folders.append(installing.folder_of(one, tmp_path))
    assert folders[0] != folders[1]


def test_a_change_of_a_companion_is_another_install(module: Path, tmp_path: Path) -> None:
    """Contents and names count; the same again is the same."""
    one = entry(module.parent, head=HEAD + NAMES)
    before = installing.folder_of(one, tmp_path)
    (module.parent / "src" / "deeper" / "main.go").write_text("4")
    changed = installing.folder_of(one, tmp_path)
    (module.parent / "other.py").write_text("5")
    assert before != changed == installing.folder_of(one, tmp_path)
