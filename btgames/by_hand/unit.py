"""A program of ours that outlives the command: a transient unit of systemd's, on a machine far away."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btgames.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.testbeds.station import Station

START_S = 60.0

_START = 'exec systemd-run "--setenv=PYTHONPATH=$PYTHONPATH" "$@"'  # units get nothing of our environment
_PROPERTIES = (
    "Type=notify",  # it has started when it says so: agents/notify.py
    "TimeoutStartSec=50",
    "TimeoutStopSec=10",
    "CapabilityBoundingSet=",  # root, but without root's rights: it talks to strangers
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
)


@dataclass(frozen=True)
class Unit:
    """A unit by its name; it runs or not."""

    station: Station
    name: str

    def runs(self, argv: Sequence[str] | None = None) -> bool:
        """Tell whether it runs, started with this very command where one is given."""
        asked = ["systemctl", "show", "--property=ActiveState", "--property=Description", self.name]
        out = self.station.machine.run(asked).out.decode(errors="replace")
        facts = dict(line.partition("=")[::2] for line in out.splitlines())
        active = facts.get("ActiveState") in {"active", "activating", "reloading"}
        return active and (argv is None or facts.get("Description") == shlex.join(argv))

    def start(self, argv: Sequence[str], *, writable: str | None = None) -> None:
        """
        Start it; returns when it has said that it is ready.

        Args:
            argv: its command.
            writable: the one folder that it may write to.

        Raises:
            UserError: it did not start; with its last words.

        """
        machine = self.station.machine
        if not self.station.has("systemd-run"):
            raise UserError(f"{machine.name}: has no systemd, which keeps a program running when nobody is logged in")
        machine.run(["systemctl", "reset-failed", self.name], check=False)
        properties = [
            *_PROPERTIES,
            "ProtectSystem=strict",
            *([] if writable is None else [f"ReadWritePaths={writable}"]),
        ]
        options = [f"--unit={self.name}", "--collect", "--quiet", f"--description={shlex.join(argv)}"]
        options += [f"--property={each}" for each in properties]
        options += ["--setenv=PYTHONDONTWRITEBYTECODE=1", "--setenv=PYTHONSAFEPATH=1"]
        started = machine.run(["sh", "-c", _START, "sh", *options, "--", *argv], check=False, timeout_s=START_S)
        if started.status:
            words = self._last_words() or started.err.decode(errors="replace").strip()
            raise UserError(f"{machine.name}: {self.name} did not start: {' '.join(words.split()) or started.status}")

    def stop(self) -> bool:
        """End it; return whether it ran."""
        ran = self.runs()
        self.station.machine.run(["systemctl", "stop", self.name], check=False)
        return ran

    def _last_words(self) -> str:
        """Return the last line that it printed itself."""
        self.station.machine.run(["journalctl", "--sync"], check=False)
        own = ["journalctl", "--no-pager", "--output=cat", "--lines=1", f"_SYSTEMD_UNIT={self.name}.service"]
        return self.station.machine.run(own, check=False).out.decode(errors="replace").strip()
