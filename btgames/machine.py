"""Facts of this machine for the race card: what a time depends on, and nothing that tells whose machine it is."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("invoke", "libtorrent", "pydantic", "pyroute2", "pyyaml", "rich")
"""What the harness runs on: the dependencies in pyproject.toml."""


def facts(rights: str) -> dict[str, Any]:
    """Return CPU, memory, kernel, distribution and Python; `rights` as the testbed names them. No host name."""
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()}",
        "distribution": distribution(),
        "python": platform.python_version(),
        "rights": rights,
    }


def libraries() -> dict[str, str]:
    """Return name -> version of what the harness runs on; an empty version is not installed."""
    return {name: _version(name) for name in LIBRARIES}


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU's name as Linux has it, else what Python knows; ARM kernels give no name."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def distribution() -> str:
    """Return the operating system's name and version, as /etc/os-release has it."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.platform(terse=True)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":  # run on a machine far away
    from btgames.testbeds.precheck import available_bytes

    print(json.dumps({**facts("root"), "available_bytes": available_bytes()}))  # noqa: T201 - its only output
