"""The whole story against the stand-in: a fleet made, raced on, mended and ended, as a user would, and bad luck."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pulumi", reason="needs pulumi and pulumi-aws, the project's extra `cloud`")

from cloud_rig import RACE_S, Cloud, until, why_not

from btgames.result import Outcome, RaceCard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHY_NOT = why_not()
pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "able"),
]

TRACKER_PORT = 6969


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return an account and a clone."""
    made = Cloud(tmp_path_factory.mktemp("c"))
    yield made
    made.region.close()


@pytest.fixture(scope="module")
def fleet(cloud: Cloud) -> Cloud:
    """Return an account with a fleet that is up."""
    cloud.make_stack("story")
    out = cloud.well("up", "--yes")
    assert out.index("an hour") < out.index("made ")  # what it costs is said before anything is made
    return cloud


def connects(address: str, port: int, source: str) -> bool:
    """Tell whether a TCP connection can be made."""
    try:
        with socket.create_connection((address, port), 2.0, source_address=(source, 0)):
            return True
    except OSError:
        return False


def test_the_whole_story(fleet: Cloud) -> None:
    """up, hosts, a race of three over real SSH, its leaderboard; jeff brings his own Python."""
    hosts = fleet.well("hosts")
    assert all(name in hosts for name in ("tracker", "seeder-1", "client-1", "c7a.large", "cost so far"))
    who = ("--contestant", "jeff", "--contestant", "aria2", "--contestant", "http")
    out = fleet.well("race", "--scenario", "small", *who, "--heats", "2", timeout_s=RACE_S)
    assert out.startswith("Testbed: cloud, stack story, 3 machines in ")
    (path,) = fleet.cards.glob("*.jsonl")
    card = RaceCard.read(path)
    of = {
        label: [heat.outcome for heat in card.heats if heat.contestant == label] for label in ("jeff", "aria2", "http")
    }
    assert of["aria2"] == of["http"] == [Outcome.FINISHED] * 2
    assert set(of["jeff"]) <= {Outcome.FINISHED, Outcome.TIMED_OUT}  # he hangs now and then
    assert card.header.testbed == "cloud"
    assert card.header.machine["instance_type"] == "c7a.large"
    assert str(card.header.machine["image_id"]).startswith("ami-")
    assert "small: 2 MB, cloud testbed" in fleet.well("leaderboard")


def test_links_are_restored(fleet: Cloud) -> None:
    """After a race neither shapers nor rules nor processes of ours are on a machine."""
    for name in ("tracker", "seeder-1", "client-1"):
        left = fleet.well(
            "ssh", name, "--", "sudo tc qdisc show; ip rule; ip -br link; pgrep -fa btgames.agents || true"
        )
        assert not any(word in left for word in ("htb", "tbf", "ingress", "ifb", "uidrange 61184", "btgames.agents."))


def test_a_second_up_changes_nothing(fleet: Cloud) -> None:
    """Moment of expiry, images, keys and user data stay as they are: no machine is touched."""
    before = (fleet.running(), fleet.outputs())
    out = fleet.well("up", "--yes")
    assert (fleet.running(), fleet.outputs()) == before
    assert "made " not in out


def test_who_reaches_what(fleet: Cloud) -> None:
    """SSH is open to the caller only, the tracker to the machines of the fleet only."""
    client, tracker = fleet.machine("client-1"), fleet.machine("tracker")
    assert connects(client["address"], 22, fleet.caller)
    assert not connects(client["address"], 22, str(fleet.region.facts["stranger"]))
    fleet.well("ssh", "tracker", "--", f"sudo systemd-run --unit=listens python3 -m http.server {TRACKER_PORT}")
    ask = f"curl -s -o /dev/null -m 5 --retry 5 --retry-connrefused http://{tracker['private_address']}:{TRACKER_PORT}"
    fleet.well("ssh", "client-1", "--", ask)
    assert not connects(tracker["address"], TRACKER_PORT, fleet.caller)
    fleet.well("ssh", "tracker", "--", "sudo systemctl stop listens")


def test_another_host_key_is_refused(fleet: Cloud, tmp_path: Path) -> None:
    """A machine that shows another host key than the pinned one is not spoken to: two lines, status 2."""
    wrong = fleet.inventory(tmp_path / "wrong.yaml", host_key=fleet.machine("tracker")["host_key"])
    said = fleet.inv("race", "--scenario", "small", "--contestant", "http", "--testbed", str(wrong))
    assert said.status == 2
    assert "shows another host key" in said.err
    assert len(said.err.splitlines()) <= 3


def test_a_broken_connection_costs_one_heat_at_most(fleet: Cloud, tmp_path: Path) -> None:
    """When sshd's processes are killed in the middle of a race, it connects again and goes on; every heat ends well."""
    card = tmp_path / "card.jsonl"
    words = ("--scenario", "large", "--contestant", "http", "--heats", "2", "--card", str(card))
    with fleet.start("race", *words) as race:
        qdiscs = ("ssh", "client-1", "--", "sudo tc qdisc show")
        until(lambda: "tbf" in fleet.well(*qdiscs), "no race began")
        until(
            lambda: b"btgames.agents.cell" in fleet.well("ssh", "client-1", "--", "ps axww").encode(), "no heat began"
        )
        fleet.inv("ssh", "client-1", "--", "sudo pkill -KILL -f '^sshd: btgames@notty'")
        out, err = race.communicate(timeout=RACE_S)
    assert race.returncode == 0, err
    outcomes = [heat.outcome for heat in RaceCard.read(card).heats]
    assert outcomes.count(Outcome.FINISHED) == 2, out
    assert outcomes.count(Outcome.VOID) <= 1


def test_one_machine_made_new(fleet: Cloud) -> None:
    """`up --add` makes a single machine, `replace` a pristine one in its place, `terminate` ends it; others stay."""
    others = set(fleet.running())
    fleet.well("up", "--yes", "--add", "client:debug")
    first = fleet.machine("debug")
    fleet.well("replace", "debug")
    second = fleet.machine("debug")
    assert first["instance_id"] != second["instance_id"]
    assert set(fleet.running()) == {*others, second["instance_id"]}
    fleet.well("terminate", "debug")
    assert set(fleet.running()) == others


def test_changed_user_data_makes_new_machines(fleet: Cloud) -> None:
    """Other hours are another moment in the user data: every machine is made anew, and answers under the same key."""
    before = {machine["name"]: machine for machine in fleet.outputs()["machines"]}
    out = fleet.well("up", "--yes", "--hours", "3")
    after = {machine["name"]: machine for machine in fleet.outputs()["machines"]}
    assert out.count("made anew instance") + out.count("made instance") == len(before)
    assert all(after[name]["instance_id"] != before[name]["instance_id"] for name in before)
    assert all(after[name]["host_key"] == before[name]["host_key"] for name in before)
    assert fleet.well("ssh", "client-1", "--", "hostname").strip()


def test_a_machine_that_died(fleet: Cloud) -> None:
    """A fleet of which a machine is gone is an error that says what to do, never a local race."""
    fleet.region.kill(fleet.machine("seeder-1")["instance_id"])
    said = fleet.inv("race", "--scenario", "small", "--contestant", "http", timeout_s=RACE_S)
    assert said.status == 2
    assert "seeder-1" in said.err
    assert "./inv replace seeder-1" in said.err
    assert len(said.err.splitlines()) <= 3


def test_the_end(fleet: Cloud) -> None:
    """`down` ends it all, dead machines too: no machine, no resource, no key; then races are local again."""
    fleet.well("down")
    assert fleet.running() == []
    assert fleet.pulumi("stack", "export").count('"urn"') <= 1  # the stack itself
    assert not list((fleet.clone.parent / "state").rglob("*-story"))
    said = fleet.inv("race", "--testbed", "cloud")
    assert said.status == 2
    assert "./inv up" in said.err


def test_a_machine_that_does_not_set_itself_up(cloud: Cloud) -> None:
    """`up` shows the lines of its log that tell why, status 2; nothing of it is left after `down`."""
    cloud.make_stack("offline")
    cloud.fail(**{"client-1": "offline"})
    said = cloud.inv("up", "--yes")
    cloud.fail()
    assert said.status == 2, said.out
    assert "client-1: setting itself up failed" in said.err
    assert "  " in said.err
    cloud.well("down")
    assert cloud.running() == []


def test_an_up_that_was_interrupted(cloud: Cloud) -> None:
    """Ctrl-C half-way, and `up` again: what was made stays, the rest is made, and the fleet is whole."""
    cloud.make_stack("halfway")
    cloud.fail(**{"client-1": "hang"})
    with cloud.start("up", "--yes") as up:
        until(lambda: len(cloud.running()) == 2, "the other two machines were not made")
        up.send_signal(signal.SIGINT)
        cloud.fail()  # the machine that is being made is finished
        up.communicate(timeout=120)
    assert up.returncode != 0
    made = set(cloud.running())
    cloud.well("up", "--yes")
    assert made <= set(cloud.running())
    assert len(cloud.running()) == 3
    cloud.well("down")
    assert cloud.running() == []


def test_machines_end_themselves(cloud: Cloud) -> None:
    """When its hours are over a machine ends by itself; a race says so, and `down` still works."""
    cloud.make_stack("short", hours="0.01")  # 36 s
    cloud.inv("up", "--yes")
    until(lambda: not cloud.running(), "the machines live on", 90.0)
    said = cloud.inv("race", "--scenario", "small", "--contestant", "http")
    assert said.status == 2
    assert "expired" in said.err or "ended" in said.err
    cloud.well("down")
