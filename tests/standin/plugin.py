"""Installs the stand-in's provider where an engine takes it for pulumi-resource-aws."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from standin.engine import engine
from standin.provider import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent


def environment(home: Path, standin: Path) -> dict[str, str]:
    """Return what a program under test needs in its environment: state and plugins beneath `home`, no downloads."""
    (home / "state").mkdir(parents=True, exist_ok=True)
    bin_ = home / "bin"
    bin_.mkdir(exist_ok=True)
    if not (bin_ / "pulumi").exists():
        (bin_ / "pulumi").symlink_to(engine())
    return {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_HOME": str(home / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "no secret",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "STANDIN_DIR": str(standin),
    }


def install(variables: Mapping[str, str]) -> None:
    """Install the provider into PULUMI_HOME of an environment."""
    archive = Path(variables["PULUMI_HOME"]).parent / "aws.tgz"
    words = shlex.join([sys.executable, "-m", "standin.provider"])
    script = f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {words}\n".encode()
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("pulumi-resource-aws")
        entry.mode, entry.size = 0o755, len(script)
        tar.addfile(entry, io.BytesIO(script))
    argv = [str(engine()), "plugin", "install", "resource", "aws", VERSION, "--file", str(archive)]
    subprocess.run(argv, env={**os.environ, **variables}, check=True, capture_output=True)
