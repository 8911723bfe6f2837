"""
The keeper: first process of a race's private namespaces, started by testbeds/local.py through unshare.

It mounts the race's memory, wires the hosts, says so in one JSON line, and stays until its stdin ends. When it dies,
by whatever hand, the kernel ends every process in its PID namespace, and with them go mounts, files and links.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from btgames.agents.memory import FOLDER, mount_memory
from btgames.testbeds.wiring import NAMESPACES, WiringError, address, plan_from, wire


def main() -> None:
    """Set up what the JSON argument asks for; exit status 1, with the cause on stdout, when it cannot be."""
    order = json.loads(sys.argv[1])
    plan = plan_from(order["plan"])
    started = time.monotonic()
    try:
        mount_memory(order["memory_bytes"])
        NAMESPACES.mkdir()
        wire(plan)
        for host in plan:
            (FOLDER / host.name).mkdir()
    except (WiringError, OSError, subprocess.CalledProcessError) as error:
        _say({"error": _words(error)})
        sys.exit(1)
    # From here on the kernel itself reaps every orphan that falls to the first process.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    addresses = {host.name: address(index) for index, host in enumerate(plan)}
    wiring_s = time.monotonic() - started
    _say({"ready": True, "folder": str(FOLDER), "addresses": addresses, "wiring_s": wiring_s})
    sys.stdin.read()
    os._exit(0)  # at once: nothing of ours needs an orderly end, and the race waits for it


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"cannot mount memory: {error.stderr.decode(errors='replace').strip()}"
    return str(error)


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
