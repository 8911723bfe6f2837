"""Where things are: what ships with the project, and what it keeps for the user."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent

# In a clone they stand beside the package; in an installed wheel they are packed inside it.
_SHIPPED = PACKAGE / "packed" if (PACKAGE / "packed").is_dir() else PACKAGE.parent

TASKS = _SHIPPED / "tasks.py"
COMMAND = "./inv" if (_SHIPPED / "inv").exists() else "btgames"
"""
What the user types to get here, for messages that tell what to do next.
"""

CONTESTANTS = _SHIPPED / "contestants"
SCENARIOS = _SHIPPED / "scenarios"


def state() -> Path:
    """Return the folder of what is kept about the user's fleets: their keys, above all; infra/keys.py has the same."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "btgames"


def installed(home: Path | None = None) -> Path:
    """Return the folder under which each contestant has its own directory of installed things."""
    base = os.environ.get("XDG_CACHE_HOME") or (home or Path.home()) / ".cache"
    return Path(base) / "btgames" / "installed"
