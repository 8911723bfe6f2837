"""Why a machine cannot be a testbed: every reason in its words, judged from facts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from btgames.testbeds.precheck import RESERVE_BYTES, Facts, available_bytes, gather, no_room, why_not

if TYPE_CHECKING:
    from pathlib import Path

USER = Facts(system="Linux", root=False)
REFUSED = replace(USER, refusal="unshare: unshare failed: Operation not permitted")


def test_a_machine_that_gives_namespaces_is_fine() -> None:
    """No reason when the trial worked, whatever the sysctls say."""
    assert why_not(USER) == ""
    assert why_not(replace(USER, apparmor_restricts=1, unprivileged_clone=0)) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(system="Darwin", root=False), ["this is Darwin", "Linux virtual machine"]),
        (replace(USER, missing_tools=("setpriv", "nsenter")), ["setpriv, nsenter", "install util-linux"]),
        (replace(USER, hidden=("/run/media/stick/btgames",)), ["/run/media/stick/btgames", "move that out of /run"]),
        (replace(REFUSED, root=True), ["Operation not permitted", "locked-down container", "privileged"]),
        (replace(REFUSED, apparmor_restricts=1), ["AppArmor", "24.04", "sudo"]),
        (replace(REFUSED, unprivileged_clone=0), ["kernel.unprivileged_userns_clone is 0", "sudo"]),
        (replace(REFUSED, max_user_namespaces=0), ["user.max_user_namespaces is 0", "sudo"]),
        (REFUSED, ["Operation not permitted", "sudo", "Linux virtual machine"]),
    ],
)
def test_each_reason_is_told_with_a_way_out(facts: Facts, words: list[str]) -> None:
    """One to three lines that name what is wrong and what helps."""
    told = why_not(facts)
    assert all(word in told for word in words), told
    assert len(told.splitlines()) <= 3


def test_facts_are_gathered_from_this_machine() -> None:
    """The trial is a real one: it either works or leaves unshare's words."""
    facts = gather()
    assert facts.system
    assert facts.refusal == "" or "unshare" in facts.refusal or "mount" in facts.refusal


def test_folders_below_run_are_noticed(tmp_path: Path) -> None:
    """Symlinks are followed: what counts is where a folder really is."""
    (tmp_path / "link").symlink_to("/run/elsewhere")
    assert gather((tmp_path, tmp_path / "link")).hidden == (str(tmp_path / "link"),)


def test_room_counts_files_and_programs() -> None:
    """A race needs memory for its files and for its programs, and says both figures when there is too little."""
    assert no_room(100 << 20, (100 << 20) + RESERVE_BYTES) == ""
    told = no_room(800_000_000, 1_000_000_000)
    assert "needs 1068 MB" in told
    assert "1000 MB are available" in told
    assert "smaller scenario" in told


def _machine(tmp_path: Path, cgroup: str, limits: dict[str, tuple[str, str]]) -> int:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2000000 kB\n", encoding="ascii")
    (tmp_path / "proc/self/cgroup").write_text(cgroup, encoding="ascii")
    for group, (most, used) in limits.items():
        folder = tmp_path / "cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(most + "\n", encoding="ascii")
        (folder / "memory.current").write_text(used + "\n", encoding="ascii")
    return available_bytes(tmp_path / "proc", tmp_path / "cgroup")


def test_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    """Without a limit it is MemAvailable, in bytes."""
    assert _machine(tmp_path, "4:memory:/x\n", {}) == 2_048_000_000


def test_a_control_groups_limit_counts(tmp_path: Path) -> None:
    """The tightest of a group and those around it decides; "max" is no limit."""
    limits = {"a": ("1000000", "300000"), "a/b": ("max", "0")}
    assert _machine(tmp_path, "0::/a/b\n", limits) == 700_000
