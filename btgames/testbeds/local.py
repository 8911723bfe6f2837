"""
The local testbed: all hosts of a race as namespaces of this machine, gone without a trace however the race ends.

The harness stays outside and starts one keeper (testbeds/keeper.py) within private PID, mount, network and IPC
namespaces, plus a user namespace for someone who is not root. Three things see to it that the keeper never outlives the
harness: ``setpriv --pdeathsig`` (harness -> unshare), ``unshare --kill-child`` (unshare -> keeper), and the keeper's
stdin, which ends with the harness, for the instant before those two are in force.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import btgames
from btgames import containment, machine
from btgames.errors import TestbedError
from btgames.hosts.namespace import PATH, NamespaceHost
from btgames.hosts.process import PipedProcess, processes
from btgames.testbeds.precheck import UNSHARE, USER_NAMESPACE, available_bytes, gather, no_room, why_not
from btgames.workshop import Workshop

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from btgames.containment import Bounds
    from btgames.needs import Need
    from btgames.testbeds import HostPlan

_PROJECT = Path(btgames.__file__).resolve().parent.parent


class LocalTestbed:
    """Hosts on this machine, as long as the context lasts; see `btgames.testbeds.Testbed`."""

    name: Final = "local"
    one_clock: Final = True

    def __init__(
        self,
        plan: Sequence[HostPlan],
        memory_bytes: int,
        *,
        needs: Sequence[Need] = (),
        python: str = sys.executable,
        start_timeout_s: float = 20.0,
    ) -> None:
        """`memory_bytes` is the most that all files of the race may take together; `needs` are the scenario's."""
        self.hosts: Mapping[str, NamespaceHost] = {}
        self.wiring_s = 0.0  # how long mounting and wiring took
        self._plan = tuple(plan)
        self._memory_bytes = memory_bytes
        self._needs = tuple(needs)
        self._python = python
        self._start_timeout_s = start_timeout_s
        self._root = os.geteuid() == 0
        self._process: PipedProcess | None = None

    @property
    def rights(self) -> str:
        """Under which the race runs: ``root`` or ``user namespace``."""
        return "root" if self._root else "user namespace"

    @property
    def links(self) -> dict[str, Any]:
        """The links for the race card, by host name: see `btgames.testbeds.HostPlan.link`."""
        return {host.name: host.link() for host in self._plan}

    @property
    def programs(self) -> dict[str, str]:
        """Package and version of what the scenario needs."""
        return {need.package: need.version() for need in self._needs}

    def interface(self, host: str) -> str:
        """Return the interface of any host."""
        del host
        return "eth0"

    def machine(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return facts of this machine."""
        del labels
        return machine.facts(self.rights)

    def workshop(self, labels: Sequence[str] = ()) -> Workshop:
        """Return this machine's workshop."""
        del labels
        return Workshop()

    def bounds(self, rng: random.Random, host: str) -> Bounds:
        """Return what this machine grants."""
        del host
        return containment.bounds_here(rng)

    @property
    def alive(self) -> bool:
        """Whether the hosts are there."""
        return self._process is not None and self._process.poll() is None

    def mend(self) -> None:
        """Raise a TestbedError where the hosts are gone: with their namespaces, all that was in them is."""
        if not self.alive:
            raise TestbedError("the testbed's namespaces are gone: somebody ended their first process")

    def check(self) -> None:
        """Raise a TestbedError that says in plain lines why this machine cannot hold the race, if it cannot."""
        folders = (_PROJECT, Path(self._python), Path(sys.prefix))
        trouble = why_not(gather(folders)) or no_room(self._memory_bytes, available_bytes())
        if trouble:
            raise TestbedError(trouble)

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the kernel ends the keeper when the thread that started it ends: use the main thread")
        self.check()
        # No bytecode files: under sudo they would be root's, in the user's checkout.
        flags = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}  # nor modules of the user's current folder
        environment = {"PATH": PATH, "PYTHONPATH": str(_PROJECT), "LANG": "C.UTF-8", **flags}
        self._process = PipedProcess(self._command(), environment)
        try:
            ready = self._ready(self._process)
            keeper = _child_of(self._process.pid)
        except BaseException:
            self._process.stop(grace_s=0)
            raise
        self.wiring_s = ready["wiring_s"]
        self.hosts = {
            name: NamespaceHost(
                name=name,
                address=address,
                folder=f"{ready['folder']}/{name}",
                python=self._python,
                project=str(_PROJECT),
                keeper=keeper,
                user_namespace=not self._root,
            )
            for name, address in ready["addresses"].items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            # unshare ends after the keeper, and the keeper after everything inside.
            self._process.stop(grace_s=5.0)

    def _command(self) -> list[str]:
        order = {"plan": [asdict(host) for host in self._plan], "memory_bytes": self._memory_bytes}
        user = () if self._root else USER_NAMESPACE
        keeper = (self._python, "-m", "btgames.testbeds.keeper", json.dumps(order))
        return ["setpriv", "--pdeathsig", "KILL", *UNSHARE, *user, "--", *keeper]

    def _ready(self, process: PipedProcess) -> dict[str, Any]:
        """Return the keeper's ready message, or raise a TestbedError with what went wrong."""
        line = process.receive(self._start_timeout_s)
        if line is None:
            raise TestbedError(f"the local testbed was not ready after {self._start_timeout_s:g} s")
        message = json.loads(line or b"{}")
        if "ready" in message:
            return dict(message)
        process.stop(grace_s=1.0)
        raise TestbedError(f"the local testbed could not be set up: {message.get('error') or process.last_words()}")


def _child_of(parent: int) -> int:
    """Return the process id of the only child of a process, as this machine sees it (inside, the keeper is 1)."""
    for process in processes():
        if process.parent == parent:
            return process.pid
    raise TestbedError("the local testbed ended as soon as it was ready")
