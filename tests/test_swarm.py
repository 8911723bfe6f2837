"""Tracker and seeders over recording fakes: started once, told of one heat at a time, ended however it goes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from fake_swarm import SEEDER, Calls, announce, fake_hosts, small, steps

from btgames import opentracker
from btgames.errors import HostError
from btgames.hosts import Finished
from btgames.swarm import Swarm

if TYPE_CHECKING:
    from fakes import FakeHost

    from btgames.scenario import Scenario
    from btgames.swarm import Prepared


def prepared(swarm: Swarm, scenario: Scenario) -> Prepared:
    """Return a payload that the swarm has made."""
    return swarm.prepare(scenario, bytes(16), random.Random(7))  # noqa: S311 - repeatable


def agent_process(host: FakeHost, number: int = 0) -> Any:
    """Return the process of an agent, in the order in which they were started."""
    return host.processes[number]


def test_the_processes_live_as_long_as_the_swarm() -> None:
    """Tracker, probe and seeders are started once, with their addresses, and ended in the other order."""
    calls: Calls = []
    hosts = fake_hosts(calls)
    with Swarm(hosts, small(transport="utp")) as swarm:
        assert swarm.alive
        assert steps(calls) == [
            "tracker start tracker",
            "tracker start probe",
            "seeder-1 mkdir",
            "seeder-1 start seeder",
        ]
        assert calls[0][2][3:] == ["--bind", "198.18.0.1", "--port", "6969"]
        where = ["--bind", SEEDER, "--port", "6881", "--folder", "/fake/seeder-1/seeded"]
        assert calls[3][2][3:] == [*where, "--transport", "utp"]
        calls.clear()
    assert steps(calls) == ["seeder-1 stop seeder", "tracker stop probe", "tracker stop tracker"]
    assert not swarm.alive


def test_deluge_is_started_with_debians_python() -> None:
    """A scenario's Deluge takes the same requests, is run by the interpreter that has it, and is told no transport."""
    calls: Calls = []
    hosts = fake_hosts(calls)
    hosts["seeder-1"].agents["deluge_seeder"] = hosts["seeder-1"].agents["seeder"]
    scenario = small(seeder="deluge")
    with Swarm(hosts, scenario) as swarm:
        where = ["--bind", SEEDER, "--port", "6881", "--folder", "/fake/seeder-1/seeded"]
        assert calls[3][2] == ["/usr/bin/python3", "-m", "btgames.agents.deluge_seeder", *where]
        made = prepared(swarm, scenario)
        calls.clear()
        with swarm.heat(made):
            assert steps(calls) == ["tracker tracker expect", "seeder-1 deluge_seeder seed", "tracker probe ready"]
        assert steps(calls)[-1] == "seeder-1 deluge_seeder forget"


def test_a_swarm_that_cannot_be_started_leaves_nothing() -> None:
    """When a seeder does not start, what was started before it is ended."""
    calls: Calls = []
    hosts = fake_hosts(calls)
    hosts["seeder-1"].silent = ("seeder",)
    with pytest.raises(HostError, match="seeder-1: seeder did not give its ready line in time"):
        Swarm(hosts, small()).__enter__()
    assert steps(calls)[-3:] == ["seeder-1 stop seeder", "tracker stop probe", "tracker stop tracker"]


def test_a_heat_begins_when_all_answer_and_is_forgotten_at_its_end() -> None:
    """The tracker expects the info hash before a seeder announces it; each seeder is probed over what it accepts."""
    calls: Calls = []
    scenario = small(transport="utp")
    with Swarm(fake_hosts(calls), scenario) as swarm:
        made = prepared(swarm, scenario)
        assert made.torrent.transport == "utp"  # what a contestant's module is told
        calls.clear()
        with swarm.heat(made):
            assert steps(calls) == ["tracker tracker expect", "seeder-1 seeder seed", "tracker probe ready"]
            assert calls[2][2]["transport"] == "utp"
            calls.clear()
        assert steps(calls) == ["seeder-1 seeder forget"]


def test_a_payload_that_is_never_made_is_the_seeders_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeder that does not answer in time is named."""
    monkeypatch.setattr("btgames.swarm.MAKE_S", 0.5)
    hosts = fake_hosts([])
    hosts["seeder-1"].agents["seeder"] = lambda _: None
    with Swarm(hosts, small()) as swarm, pytest.raises(HostError, match=r"seeder-1: .*not made within 0.5 s"):
        prepared(swarm, small())


def test_a_seeder_that_cannot_be_reached_is_no_heat() -> None:
    """What the probe says of a swarm that does not answer ends the heat before it began; seeders forget it."""
    calls: Calls = []
    hosts = fake_hosts(calls)
    hosts["tracker"].agents["probe"] = lambda _: {"error": "TimeoutError: knows 0 of 1"}
    with Swarm(hosts, small()) as swarm:
        made = prepared(swarm, small())
        with pytest.raises(HostError, match="tracker: probe: TimeoutError: knows 0 of 1"), swarm.heat(made):
            pytest.fail("the heat must not begin")
        assert steps(calls)[-1] == "seeder-1 seeder forget"
        assert swarm.alive


@pytest.mark.parametrize("answer", [{"error": "OSError: busy"}, None])
def test_a_seeder_that_cannot_forget_is_ended(answer: dict[str, Any] | None) -> None:
    """A seeder that does not forget a heat must not take part in the next one: the swarm is dead from then on."""
    hosts = fake_hosts([])
    replies: dict[str, Any] = {"forget": answer}
    hosts["seeder-1"].agents["seeder"] = lambda request: replies.get(request["do"], {"ok": True, "folder": "/f"})
    with Swarm(hosts, small()) as swarm:
        with swarm.heat(prepared(swarm, small())):
            assert swarm.alive
        assert not swarm.alive


@pytest.mark.parametrize(
    ("host", "number", "words"),
    [
        ("tracker", 0, "the tracker died"),
        ("tracker", 1, ""),
        ("seeder-1", 0, "seeder-1 failed: seeder-1: seeder took no request 'state' (status -9)"),
        ("seeder-1", 1, "an HTTP server died"),
    ],
)
def test_who_died_is_named(host: str, number: int, words: str) -> None:
    """Every process of the swarm counts when it is asked whether it lives; complaints say whose end voids a heat."""
    hosts = fake_hosts([])
    with Swarm(hosts, small()) as swarm:
        made = prepared(swarm, small())
        with swarm.served(made):
            assert (swarm.alive, swarm.complaints()) == (True, "")
            agent_process(hosts[host], number).status = -9
            assert not swarm.alive
            assert swarm.complaints() == words


def test_the_referees_log_is_handed_on() -> None:
    """Announces are the referee's; a dead referee has none."""
    hosts = fake_hosts([], seen=[announce(1)])
    with Swarm(hosts, small()) as swarm:
        assert swarm.announces() == [announce(1)]
        agent_process(hosts["tracker"]).status = 1
        assert swarm.announces() == []


def test_the_web_server_starts_with_the_first_yardstick() -> None:
    """Nothing serves HTTP before a yardstick races; then one server lives on, and serves one heat at a time."""
    calls: Calls = []
    with Swarm(fake_hosts(calls), small()) as swarm:
        made = prepared(swarm, small())
        assert not any("web" in step for step in steps(calls))
        for _ in range(2):
            with swarm.served(made) as torrent:
                assert torrent.url == f"http://{SEEDER}:8080/payload.bin"
        words = [step for step in steps(calls) if "web" in step]
        assert words == ["seeder-1 start web", *["seeder-1 web serve", "seeder-1 web forget"] * 2]
        assert "seeder-1 stop web" not in steps(calls)
    assert "seeder-1 stop web" in steps(calls)


def with_opentracker(calls: Calls, uid_map: str = "0 0 4294967295\n") -> dict[str, FakeHost]:
    """Return hosts of which the tracker's can run opentracker."""
    hosts = fake_hosts(calls)
    hosts["tracker"].files["/proc/self/uid_map"] = uid_map.encode()
    hosts["tracker"].results["cat"] = Finished(0, uid_map.encode(), b"")
    return hosts


def test_opentracker_is_started_for_each_heat() -> None:
    """It is told of one info hash, answers before a seeder announces, and is ended with the heat; no log of its own."""
    calls: Calls = []
    scenario = small(tracker="opentracker")
    hosts = with_opentracker(calls)
    with Swarm(hosts, scenario) as swarm:
        assert "tracker start tracker" not in steps(calls)
        for _ in range(2):
            made = prepared(swarm, scenario)
            calls.clear()
            with swarm.heat(made):
                words = [step for step in steps(calls) if step not in {"tracker get", "tracker put"}]
                started = words.pop(0)
                assert words == ["tracker probe accepted", "seeder-1 seeder seed", "tracker probe ready"]
                assert swarm.alive
                assert swarm.announces() == []
            words = steps(calls)
            assert words[-2] == "seeder-1 seeder forget"
            assert words[-1] == started.replace("start", "stop")
            assert (
                hosts["tracker"].files["/fake/tracker/opentracker/whitelist"] == f"{made.torrent.info_hash}\n".encode()
            )


def test_an_opentracker_that_dies_is_a_complaint() -> None:
    """Its end makes the swarm dead, and its last words are told."""
    hosts = with_opentracker([])
    scenario = small(tracker="opentracker")
    with Swarm(hosts, scenario) as swarm, swarm.heat(prepared(swarm, scenario)):
        process = agent_process(hosts["tracker"], -1)
        process.status, process.words = 1, "cannot bind"
        assert not swarm.alive
        assert swarm.complaints() == "opentracker died: cannot bind"


def test_where_only_root_exists_opentracker_is_started_as_nobody() -> None:
    """In a user namespace with nobody to become, opentracker's plan is the one for that."""
    calls: Calls = []
    scenario = small(tracker="opentracker")
    with Swarm(with_opentracker(calls, "0 1000 1\n"), scenario) as swarm, swarm.heat(prepared(swarm, scenario)):
        argv = next(call[2] for call in calls if call[1] == "start" and "opentracker" in call[2])
    assert f"--map-user={opentracker.USER_ID}" in argv
