"""
What a race has on a machine of somebody's: memory, private namespaces, a shaped link. All given back at its end.

``python -m btgames.agents.tenant ORDER`` (JSON: `Order`) runs as root. It says in one JSON line that all is there
(``ready``, with the process id of the namespaces' first process) or why not (``error``), and stays until its stdin
ends, which is also how it learns that the harness, or the connection to it, is gone.

    tenant (guard) -> tenant -> unshare -> keeper (PID 1 of the race's PID, mount and IPC namespace)

When the keeper dies, the kernel ends all that ran inside and takes the memory back. The link is restored by the tenant
or, should somebody kill that, by its guard.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, TextIO

from btgames.agents import shaping
from btgames.agents.memory import FOLDER, mount_memory
from btgames.agents.talk import say

LOCK = Path("/run/btgames.lock")
TAKE_OVER_S = 10.0
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--mount-proc", "--")


@dataclass(frozen=True)
class Order:
    """What a race wants of a machine."""

    race: str  # its own name: a tenant of the same race that the harness has lost is turned out
    memory_bytes: int  # of all files of the race here
    folders: List[str]  # one for each race host that this machine is
    peers: List[str]  # IPv4 addresses of the machines of the other race hosts
    up: Dict[str, int] | None = None  # tbf's parameters; None: not shaped
    down: Dict[str, int] | None = None
    ssh_port: int = 22
    uids: List[int] | None = None  # of contestants, who may reach the peers and nothing else


def main() -> int:
    """Be the guard: wait for the tenant to end, by whatever hand, and see that the link is as it was."""
    if sys.argv[1] == "keeper":
        return _keep(int(sys.argv[2]), sys.argv[3:])
    order = Order(**json.loads(sys.argv[1]))
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # whoever kills the group that started us leaves us to clear up: stdin has ended then
    with LOCK.open("a+") as lock:
        if not _alone(lock, order.race):
            say({"error": "another race is on this machine: wait for its end, or interrupt it"})
            return 1
        try:
            interface = shaping.interface_to(order.peers[0])
        except shaping.ShapingError as error:
            say({"error": str(error)})
            return 1
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # what ends a race is the end of stdin
        alive_out, alive_in = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(alive_in)
            os._exit(_tenant(order, interface, alive_out))
        lock.write(f"{order.race} {child}\n")
        lock.flush()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        shaping.restore(interface)
        return status if status >= 0 else 1


def _alone(lock: TextIO, race: str) -> bool:
    """Take the lock; whoever holds it for the same race has lost its harness, and is ended."""
    deadline = time.monotonic() + TAKE_OVER_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder, _, tenant = lock.read().strip().partition(" ")
            if (holder and holder != race) or time.monotonic() > deadline:
                return False
            if tenant:  # else it is moving in at the moment
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(tenant), signal.SIGKILL)
            time.sleep(0.05)
        else:
            lock.truncate(0)  # what an earlier race has left in it is nobody's process any more
            return True


def _tenant(order: Order, interface: str, guard: int) -> int:
    """Move in, say so, and stay until stdin ends, or the guard or the keeper; then move out."""
    argv = [*UNSHARE, sys.executable, "-m", "btgames.agents.tenant", "keeper", str(order.memory_bytes), *order.folders]
    keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said = _first_line(keeper)
        if "ready" not in said:
            say({"error": said.get("error", "no private namespaces")})
            return 1
        link = shaping.Link(interface, order.peers, order.up, order.down, order.ssh_port, order.uids)
        shaping.shape(link)
        say({"ready": True, "folder": str(FOLDER), "keeper": _child_of(keeper.pid), "interface": interface})
        while not _ended(guard, keeper):
            pass
    except shaping.ShapingError as error:
        say({"error": str(error)})
        return 1
    except BrokenPipeError:
        return 1
    finally:
        if keeper.stdin:
            with contextlib.suppress(BrokenPipeError):
                keeper.stdin.close()  # the keeper ends, and with it all inside
        keeper.wait()
        shaping.restore(interface)
    return 0


def _ended(guard: int, keeper: subprocess.Popen[bytes]) -> bool:
    """Wait for something to happen; return whether it was the end of stdin, guard or keeper."""
    ends = [guard] if keeper.stdout is None else [guard, keeper.stdout.fileno()]
    ready, _, _ = select.select([0, *ends], [], [])
    return ready != [0] or not os.read(0, 4096)


def _first_line(keeper: subprocess.Popen[bytes]) -> Dict[str, Any]:
    line = keeper.stdout.readline() if keeper.stdout else b""
    if not line:
        words = keeper.stderr.read().decode(errors="replace") if keeper.stderr else ""
        return {"error": " ".join(words.split()) or "the first process of the race's namespaces ended"}
    return dict(json.loads(line))


def _child_of(parent: int) -> int:
    """Return the process id of the only child of a process."""
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()[0])


def _keep(memory_bytes: int, folders: List[str]) -> int:
    """Be the keeper: mount memory, make the hosts' folders, stay until stdin ends."""
    try:
        mount_memory(memory_bytes)
        for folder in folders:
            (FOLDER / folder).mkdir()
    except (OSError, subprocess.CalledProcessError) as error:
        stderr = getattr(error, "stderr", None) or str(error).encode()
        say({"error": f"cannot mount memory: {' '.join(stderr.decode(errors='replace').split())}"})
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps every orphan that falls to the first process
    say({"ready": True})
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
