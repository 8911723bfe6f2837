"""Several client hosts far away: contestants are made ready on their own ones, all hosts at the same time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fakes import FakeHost
from modules import entry

from btgames.errors import Unsupported
from btgames.far_workshop import FarWorkshop
from btgames.spread_workshop import SpreadWorkshop

if TYPE_CHECKING:
    from pathlib import Path


def test_spread_contestants_are_made_ready_on_their_own_hosts(tmp_path: Path) -> None:
    """Each label has its workshop; notes say where; all are left at the end."""
    value = {"installed": {"folder": "/i", "read_only": [], "seconds": 1.0, "before": False}, "version": "1"}
    answers: list[dict[str, Any]] = [{"note": "installing"}, {"value": value}]
    hosts = [FakeHost(name, agents={"workshop_agent": lambda _: answers}) for name in ("client-1", "client-2")]
    shops = [FarWorkshop(host, lambda one: (str(one.path), None), None, " --spread", host.name) for host in hosts]
    notes: list[str] = []
    with SpreadWorkshop({"one": shops[0], "two": shops[1], "three": shops[1]}) as workshop:
        racers = [workshop.ready(entry(tmp_path, name=name), notes.append) for name in ("one", "two", "three")]
        assert workshop.options == " --spread"
    assert [racer.host for racer in racers] == ["client-1", "client-2", "client-2"]
    assert notes == ["client-1: installing", "client-2: installing", "client-2: installing"]
    assert [[process.status for process in host.processes] for host in hosts] == [[0], [0]]


def test_client_hosts_install_at_the_same_time(tmp_path: Path) -> None:
    """All hosts are at it together; racers and reasons come back in the order of the contestants."""
    together = threading.Barrier(2, timeout=20)
    installed = {"folder": "/i", "read_only": [], "seconds": 1.0, "bytes": 5, "before": False}

    def answer(request: dict[str, Any]) -> list[dict[str, Any]] | dict[str, Any]:
        if request["do"] == "ready":
            return {"value": {"installed": {**installed, "before": True}, "version": "1"}}
        together.wait()
        made = [
            {"unsupported": "no"} if one["label"] == "two" else {"value": installed} for one in request["contestants"]
        ]
        return [{"note": "installing"}, {"value": made}]

    hosts = [FakeHost(name, agents={"workshop_agent": answer}) for name in ("client-1", "client-2")]
    shops = [FarWorkshop(host, lambda one: (str(one.path), None), None, "", host.name) for host in hosts]
    notes: list[str] = []
    with SpreadWorkshop({"one": shops[0], "two": shops[1], "three": shops[1]}) as workshop:
        made = workshop.ready_all([entry(tmp_path, name=name) for name in ("one", "two", "three")], notes.append)
    assert [str(each) if isinstance(each, Unsupported) else each.host for each in made] == [
        "client-1",
        "no",
        "client-2",
    ]
    assert [each.installed.before for each in made if not isinstance(each, Unsupported)] == [False, False]
    assert sorted(notes) == ["client-1: installing", "client-2: installing"]
