"""The real Pulumi engine: `pulumi` as found on PATH, or built by Go, once, and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "3.259.0"
PKG = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
MODULE = """\
module engine
go 1.25.11
replace github.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-20241001131231-d02d263e614e
"""
FLAGS = [
    "-trimpath",
    "-tags",
    "osusergo,grpcnotrace",
    "-ldflags",
    f"-w -s -X {SDK}/go/common/version.Version=v{VERSION}",
]
BUILD_S = 900.0


def kept() -> Path:
    """Return where the engine that Go has built is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "btgames" / "engine" / f"pulumi-{VERSION}"


def why_not() -> str:
    """Return why there can be no engine here; empty when there can."""
    if shutil.which("pulumi") or kept().exists():
        return ""
    missing = [tool for tool in ("go", "gcc") if not shutil.which(tool)]
    return f"no pulumi, and to build it needs {' and '.join(missing)}" if missing else ""


def engine() -> Path:
    """Return the engine's path; build it first where there is none: some minutes."""
    if found := shutil.which("pulumi"):
        return Path(found)
    made = kept()
    made.parent.mkdir(parents=True, exist_ok=True)
    with (made.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory() as folder:
                _build(Path(folder), made)
    return made


def _build(folder: Path, made: Path) -> None:
    # A module of its own with the engine as its tool: the engine's own go.mod has replacements that `install` refuses.
    (folder / "go.mod").write_text(MODULE)
    built = folder / "pulumi"
    for words in (
        ["get", "-tool", f"{PKG}@v{VERSION}"],
        ["get", f"{SDK}@v{VERSION}"],
        ["build", *FLAGS, "-o", str(built), PKG],
    ):
        subprocess.run(["go", *words], cwd=folder, check=True, timeout=BUILD_S)
    aside = made.with_suffix(".part")
    shutil.copy(built, aside)
    aside.rename(made)


if __name__ == "__main__":
    print(engine())  # noqa: T201 - the command line speaks
