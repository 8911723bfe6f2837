"""What a scenario needs of its hosts beside Python: programs of Debian's, that nobody else would install."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btgames.scenario import Scenario

DEBIAN_PYTHON = "/usr/bin/python3"
"""
The interpreter that Debian's Python packages are for, Deluge's among them.
"""


@dataclass(frozen=True)
class Need:
    """A program, the package that has it, and the service that Debian starts with it: all of one name."""

    role: str  # of the host: tracker or seeder
    title: str
    package: str

    @property
    def words(self) -> str:
        """What is said where it is missing, after who needs it."""
        return f"needs Debian's {self.title}: apt-get install {self.package}"

    @property
    def asking_version(self) -> tuple[str, ...]:
        """The command that prints its version; it fails where the program did not come from a package."""
        return ("dpkg-query", "--show", "--showformat=${Version}", self.package)

    def find(self) -> str | None:
        """Return the program's path on this machine, None where it is not installed: then say `words`."""
        return shutil.which(self.package, path="/usr/bin:/usr/sbin:/usr/local/bin")

    def version(self) -> str:
        """Return the version that is installed on this machine; empty where nobody knows."""
        try:
            return subprocess.run(self.asking_version, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""


OPENTRACKER = Need("tracker", "opentracker", "opentracker")
DELUGE = Need("seeder", "Deluge", "deluged")


def needs_of(scenario: Scenario) -> tuple[Need, ...]:
    """Return what a scenario needs; nothing, as a rule."""
    asked = ((scenario.tracker == "opentracker", OPENTRACKER), (scenario.seeder == "deluge", DELUGE))
    return tuple(need for wanted, need in asked if wanted)
