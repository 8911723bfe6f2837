"""Whether this machine can be a testbed, said before anything starts: facts are gathered, then judged in words."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("setpriv", "unshare", "nsenter", "mount")
"""All of util-linux."""

RESERVE_BYTES = 256 << 20
"""Memory that the race's programs need beside its files: harness, tracker, seeders, contestant."""

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--ipc", "--mount-proc")
"""The private namespaces of a race; mount propagation is private by unshare's default."""

USER_NAMESPACE = ("--user", "--map-root-user")
"""What someone who is not root adds."""

_ELSEWHERE = "race in a Linux virtual machine, or on a Linux machine where you have sudo"


@dataclass(frozen=True)
class Facts:
    """What decides whether namespaces can be had here."""

    system: str  # as platform.system() says: Linux, Darwin, ...
    root: bool
    missing_tools: tuple[str, ...] = ()
    max_user_namespaces: int | None = None  # sysctl user.max_user_namespaces; None where there is none
    unprivileged_clone: int | None = None  # sysctl kernel.unprivileged_userns_clone, of Debian's older kernels
    apparmor_restricts: int | None = None  # sysctl kernel.apparmor_restrict_unprivileged_userns, Ubuntu's
    refusal: str = ""  # what unshare said when it was tried; empty when it worked
    hidden: tuple[str, ...] = ()  # folders that the race needs and its own /run would cover


def gather(folders: tuple[Path, ...] = ()) -> Facts:
    """Look at this machine, and try the namespaces for real (5 ms). `folders` must stay readable in a race."""
    linux = platform.system() == "Linux"
    root = linux and os.geteuid() == 0
    missing = tuple(tool for tool in TOOLS if shutil.which(tool) is None)
    return Facts(
        system=platform.system(),
        root=root,
        missing_tools=missing,
        max_user_namespaces=_sysctl("user/max_user_namespaces"),
        unprivileged_clone=_sysctl("kernel/unprivileged_userns_clone"),
        apparmor_restricts=_sysctl("kernel/apparmor_restrict_unprivileged_userns"),
        refusal=_try(root=root) if linux and not missing else "",
        hidden=tuple(str(folder) for folder in folders if folder.resolve().is_relative_to("/run")),
    )


def why_not(facts: Facts) -> str:
    """Return, in one to three lines, why this machine cannot be a testbed and what to do; empty when it can."""
    if facts.system != "Linux":
        return f"the local testbed needs Linux's namespaces, and this is {facts.system}: {_ELSEWHERE}"
    if facts.missing_tools:
        return f"the local testbed needs {', '.join(facts.missing_tools)}: install util-linux"
    if facts.hidden:
        return f"a race has a /run of its own, which hides {', '.join(facts.hidden)}: move that out of /run"
    return _refused(facts) if facts.refusal else ""


def _refused(facts: Facts) -> str:
    refused = f"this machine gives you no private namespaces: {facts.refusal}"
    if facts.root:
        return f"{refused}\nThis looks like a locked-down container: start it privileged, or {_ELSEWHERE}"
    if facts.apparmor_restricts:
        return (
            f"{refused}\nAppArmor keeps user namespaces from unprivileged users here, as Ubuntu does since 24.04: "
            f"run the same command with sudo,\n"
            "or allow them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    for name, value in (
        ("kernel.unprivileged_userns_clone", facts.unprivileged_clone),
        ("user.max_user_namespaces", facts.max_user_namespaces),
    ):
        if value == 0:
            raised = 1 if name.startswith("kernel") else 10_000
            return f"{refused}\n{name} is 0 here: run the same command with sudo, or: sudo sysctl {name}={raised}"
    return f"{refused}\nRun the same command with sudo; in a locked-down container, {_ELSEWHERE}"


def no_room(memory_bytes: int, available_bytes: int) -> str:
    """Return why a race whose files take `memory_bytes` has too little memory here; empty when it has enough."""
    needed = memory_bytes + RESERVE_BYTES
    if needed <= available_bytes:
        return ""
    return (
        f"too little memory: this race needs {_megabytes(needed)} (its files live in memory), "
        f"and {_megabytes(available_bytes)} are available: free some, or choose a smaller scenario"
    )


def available_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory that can be had here: the kernel's MemAvailable, or less in a control group with a limit."""
    lines = dict(line.split(":", 1) for line in (proc / "meminfo").read_text(encoding="ascii").splitlines())
    available = [int(lines["MemAvailable"].split()[0]) * 1024]
    for line in (proc / "self/cgroup").read_text(encoding="utf-8").splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            inner = cgroups / path.lstrip("/")
            groups = [inner, *inner.parents]
            available += [room for group in groups if (room := _group_room(group)) is not None]
    return max(0, min(available))


def _group_room(group: Path) -> int | None:
    try:
        most = (group / "memory.max").read_text(encoding="ascii").strip()
        used = (group / "memory.current").read_text(encoding="ascii")
    except OSError:
        return None
    return None if most == "max" else int(most) - int(used)


def _try(*, root: bool) -> str:
    trial = subprocess.run(
        [*UNSHARE, *(() if root else USER_NAMESPACE), "--", "true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        start_new_session=True,
    )
    words = trial.stderr.strip().splitlines()
    return (words[-1] if words else f"unshare ended with status {trial.returncode}") if trial.returncode else ""


def _sysctl(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
