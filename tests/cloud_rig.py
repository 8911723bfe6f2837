"""The command line against the stand-in: a copy of the clone, an account of its own, the real Pulumi engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from standin import engine, image, plugin
from standin.machines import Region

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
UP_S = 240.0
RACE_S = 240.0
LOOK_S = 0.05


def why_not() -> str | None:
    """Return why none of this can run here; None where it can."""
    return image.why_not() or engine.why_not()


@dataclass(frozen=True)
class Said:
    """What came of a command."""

    status: int
    out: str
    err: str


class Cloud:
    """An account, a computer with a clone, and its user. The region ends with this process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for name in tracked.decode().split("\0"):
            if name and not name.startswith("tests/") and (ROOT / name).exists():
                target = self.clone / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        self.region = Region(folder / "aws").open(owner=os.getpid())
        own = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
        self.environment = {**os.environ, **plugin.environment(folder / "home", self.region.folder), **own}
        self.environment |= {"PYTHONPATH": str(self.clone), "PYTHONDONTWRITEBYTECODE": "1"}
        plugin.install(self.environment)

    @property
    def caller(self) -> str:
        """Where the user is seen to come from."""
        return str(self.region.facts["caller"])

    def make_stack(self, name: str, **settings: str) -> None:
        """Make a stack, which is selected from then on; nobody here tells this computer's address."""
        self.pulumi("stack", "init", name)
        for key, value in {"ssh_cidr": f"{self.caller}/32", **settings}.items():
            self.pulumi("config", "set", key, value)

    def pulumi(self, *words: str) -> str:
        """Run Pulumi's own command line in the clone."""
        argv = [str(Path(self.environment["PULUMI_HOME"]).parent / "bin" / "pulumi"), "--non-interactive", *words]
        done = subprocess.run(argv, cwd=self.clone, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of the project's command line."""
        argv = [sys.executable, "-P", "-m", "btgames", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, cwd=self.clone, env=self.environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def inv(self, *words: str, timeout_s: float = UP_S) -> Said:
        """Run a command of the project's command line to its end."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Said(process.returncode, out, err)

    def well(self, *words: str, timeout_s: float = UP_S) -> str:
        """Run a command that has to end well; return what it printed."""
        said = self.inv(*words, timeout_s=timeout_s)
        assert said.status == 0, f"{said.out}\n{said.err}"
        return said.out

    def outputs(self) -> dict[str, Any]:
        """Return the selected stack's outputs."""
        return dict(json.loads(self.pulumi("stack", "output", "--json")))

    def machine(self, name: str) -> dict[str, Any]:
        """Return what the outputs say of a machine."""
        return next(machine for machine in self.outputs()["machines"] if machine["name"] == name)

    def running(self) -> list[str]:
        """Return the ids of the machines that run."""
        return [machine["name"] for machine in self.region.list() if machine["state"] == "running"]

    def fail(self, **failures: str) -> None:
        """Have machines fail from now on: see tests/standin."""
        (self.region.folder / "failures.json").write_text(json.dumps(failures))

    def inventory(self, path: Path, **changes: Any) -> Path:
        """Write the fleet as an inventory; `changes` are made to the client."""
        outputs = self.outputs()
        machines = [
            {"key": outputs["key_file"], **{key: each[key] for key in _SAME}, **(changes if _is_client(each) else {})}
            for each in outputs["machines"]
        ]
        path.write_text(yaml.safe_dump({"machines": machines}))
        return path

    @cached_property
    def cards(self) -> Path:
        """Where races leave their cards."""
        return self.clone / "results"


_SAME = ("name", "role", "address", "private_address", "user", "host_key")


def _is_client(machine: dict[str, Any]) -> bool:
    return bool(machine["role"] == "client")


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_S)
