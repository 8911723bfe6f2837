"""
What stands beside a contestant's module and belongs to it: the files, and the folders' files, that it names.

A driver, or a student's whole client. A name counts where it stands in the module as text of its own:
``Path(__file__).with_name("driver.js")``, ``Path(__file__).parent / "src"``. Standard library only.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def companions(module: Path) -> list[Path]:
    """Return the files beside a module, and in folders beside it, that it names; none of a module that is broken."""
    try:
        tree = ast.parse(module.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = [path for path in sorted(module.parent.iterdir()) if path.name in texts and path.name != module.name]
    return [file for path in named for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]


def digest(module: Path) -> str:
    """Return a hash, in hex, of names and contents of a module's companions; empty where it has none."""
    found = companions(module)
    whole = hashlib.sha256()
    for path in found:
        whole.update(f"{path.relative_to(module.parent)}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                whole.update(chunk)
    return whole.hexdigest() if found else ""
