"""The machine itself, as far as starting our own programs goes: contestants' modules run here, not on race hosts."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import btgames
from btgames.errors import HostError
from btgames.hosts.process import PipedProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Here:
    """Starts programs that die with the harness; see `btgames.hosts.Starter`. From the main thread only."""

    name: str = "this machine"
    python: str = sys.executable

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> PipedProcess:
        """Start a command with the user's own environment."""
        project = str(Path(btgames.__file__).resolve().parent.parent)
        # Safe path: a random.py of the user's, in the folder that they race from, is not ours to import.
        own = {**os.environ, "PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
        try:
            return PipedProcess(["setpriv", "--pdeathsig", "KILL", *argv], {**own, **(env or {})}, waits=False)
        except OSError as error:
            raise HostError(f"{self.name}: {error}") from error
