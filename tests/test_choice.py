"""Which testbed a race has: what is said, what is asked, and what is not even imported."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from games import ROOT, need_namespaces

from btgames.cloud import engine, stack
from btgames.cloud.stack import Fleet
from btgames.doctor_machine import TINY
from btgames.errors import UserError
from btgames.hosts.remote import Remote
from btgames.testbeds import choice, ssh, waiting
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.wish import ANY, Wish, needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from btgames.testbeds import HostPlan
    from btgames.testbeds.wish import Machines

MACHINES = (
    Remote("seeder-1", "seeder", "192.0.2.2", "me"),
    Remote("client-1", "client", "192.0.2.3", "me"),
    Remote("client-2", "client", "192.0.2.4", "me"),
)
WORDS = tuple(f"{machine.role}=me@{machine.address}" for machine in MACHINES)
FILE = "machines:\n" + "".join(f"  - {{role: {each.role}, address: {each.address}}}\n" for each in MACHINES)

LOCAL_RACE = """
import sys
from btgames.doctor_machine import TINY
from btgames.testbeds.choice import testbed_for
from btgames.testbeds.wish import Wish
with testbed_for(TINY, Wish(sys.argv[1]), print):
    pass
heavy = {"paramiko", "fabric", "pulumi", "pulumi_aws", "boto3", "cryptography"}
print("imported:", sorted(heavy & set(sys.modules)))
"""


class World:
    """What is out there: a fleet or none; what was asked and said."""

    def __init__(self) -> None:
        self.keys = False  # whether this user ever had a fleet
        self.machines: tuple[Remote, ...] = ()
        self.asked: list[tuple[str | None, bool]] = []  # (stack, whether a fleet is needed)
        self.waited: list[str] = []
        self.reached: list[dict[str, str]] = []  # machines by host
        self.said: list[str] = []
        self.scenario = TINY

    def fleet(self, name: str | None = None, *, needed: bool = True) -> Fleet | None:
        """Answer in the place of pulumi."""
        self.asked.append((name, needed))
        if not self.machines:
            if needed:
                raise UserError(f"stack {name or 'dev'} has no machines\n./inv up makes them")
            return None
        now = dt.datetime.now(dt.UTC)
        return Fleet(
            stack=name or "dev",
            machines=self.machines,
            created_at=now,
            expires_at=now + dt.timedelta(hours=4),
            region="r",
            zone="r-1",
            hourly_usd=1.0,
            price="",
            key_file=Path("/k"),
            ssh_cidr="",
            reach_me=None,
            security_group_id="sg",
        )

    def wait(self, machines: Sequence[Remote], notify: object) -> None:
        """Have them ready."""
        del notify
        self.waited += [machine.name for machine in machines]

    @contextmanager
    def reach(
        self,
        machines: Machines,
        options: str,
        plan: Sequence[HostPlan],
        remotes: Mapping[str, Remote],
        scenario: object,
        notify: object,
    ) -> Iterator[Any]:
        """Reach them."""
        del options, scenario, notify
        assert [host.name for host in plan] == list(remotes)
        self.reached.append({host: remote.name for host, remote in remotes.items()})
        yield machines

    def choose(self, wish: Wish) -> Any:
        """Return the testbed that a wish leads to."""
        with choice.testbed_for(self.scenario, wish, self.said.append) as testbed:
            return testbed

    def refusal(self, wish: Wish) -> list[str]:
        """Return the lines of a refusal."""
        with pytest.raises(UserError) as refused:
            self.choose(wish)
        return str(refused.value).split("\n")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put a world of the test's own in the place of the real one."""
    made = World()
    monkeypatch.setattr(stack, "any_keys", lambda: made.keys)
    monkeypatch.setattr(stack, "fleet", made.fleet)
    monkeypatch.setattr(waiting, "wait_until_ready", made.wait)
    monkeypatch.setattr(ssh, "reached", made.reach)

    def never(*words: str, **_: object) -> str:
        raise AssertionError(f"pulumi {words}")

    monkeypatch.setattr(engine, "ask", never)
    return made


# This machine.


@pytest.mark.testbed
@pytest.mark.parametrize("name", ["auto", "local"])
def test_without_a_fleet_it_is_this_machine(world: World, name: str) -> None:
    """Who never had a fleet races here, is told so, and nobody asks pulumi."""
    need_namespaces()
    assert isinstance(world.choose(Wish(name)), LocalTestbed)
    assert world.said == ["Testbed: local, this machine"]
    assert world.asked == []


@pytest.mark.testbed
def test_a_fleet_that_is_down_is_this_machine(world: World) -> None:
    """Who had a fleet and has none now races here; a fleet is not needed."""
    need_namespaces()
    world.keys = True
    assert isinstance(world.choose(ANY), LocalTestbed)
    assert world.asked == [(None, False)]


@pytest.mark.testbed
def test_local_is_this_machine_whatever_there_is(world: World) -> None:
    """A fleet that is up is left alone by who says local."""
    need_namespaces()
    world.keys, world.machines = True, MACHINES
    assert isinstance(world.choose(Wish("local")), LocalTestbed)
    assert world.asked == []


@pytest.mark.testbed
@pytest.mark.parametrize("name", ["auto", "local"])
def test_a_local_race_needs_nothing_of_the_cloud(tmp_path: Path, name: str) -> None:
    """Neither SSH's nor the cloud's libraries are imported, and a pulumi on PATH is not called."""
    need_namespaces()
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    pulumi.chmod(0o755)
    own = {"XDG_STATE_HOME": str(tmp_path), "PATH": f"{pulumi.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", LOCAL_RACE, name]
    done = subprocess.run(argv, env={**os.environ, **own}, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Testbed: local, this machine\nimported: []\n", done.stderr
    assert not (tmp_path / "called").exists()


# A fleet.


@pytest.mark.parametrize(("wish", "asked"), [(ANY, (None, False)), (Wish("cloud"), (None, True))])
def test_a_fleet_that_is_up_is_raced_on(world: World, wish: Wish, asked: tuple[str | None, bool]) -> None:
    """Auto finds it; it is said which it is, it is waited for, and its machines get the scenario's hosts."""
    world.keys, world.machines = True, MACHINES
    testbed = world.choose(wish)
    assert (testbed.name, testbed.ours) == ("cloud", True)
    assert world.said == ["Testbed: cloud, stack dev, 3 machines in r-1, ending in 4 h 00 min", UNUSED]
    assert world.asked == [asked]
    assert world.waited == [machine.name for machine in MACHINES]
    assert world.reached == [{"tracker": "seeder-1", "seeder-1": "seeder-1", "client": "client-1"}]


UNUSED = "not in this race: client-2"


@pytest.mark.parametrize("name", ["auto", "cloud"])
def test_a_stack_that_is_named_is_needed(world: World, name: str) -> None:
    """Who names a stack gets it, or an error that says what to do: never a silent local race."""
    assert world.refusal(Wish(name, stack="big")) == ["stack big has no machines", "./inv up makes them"]
    assert world.asked == [("big", True)]
    assert world.said == []


def test_cloud_without_a_fleet_is_an_error(world: World) -> None:
    """Who says cloud does not race on this machine instead, key or no key."""
    assert world.refusal(Wish("cloud"))[0] == "stack dev has no machines"


def test_spread_uses_all_clients(world: World) -> None:
    """Every client machine is a host of its own where contestants are dealt out."""
    world.keys, world.machines = True, MACHINES
    world.choose(Wish(spread=True))
    assert world.reached[0] == {
        "tracker": "seeder-1",
        "seeder-1": "seeder-1",
        "client": "client-1",
        "client-2": "client-2",
    }


def test_opentracker_and_deluge_want_machines_of_their_own(world: World) -> None:
    """Where they share one, Deluge would refuse the harness, too: that is told before anything is reached."""
    world.keys, world.machines = True, MACHINES
    world.scenario = TINY.model_copy(update={"tracker": "opentracker", "seeder": "deluge"})
    apart = "this scenario wants a tracker apart from its seeders"
    assert world.refusal(ANY) == [
        f"{apart}, cloud has it on seeder-1: Deluge refuses whoever has its own address",
        "more of them: ./inv up --seeders N --clients N",
    ]
    assert world.reached == []
    world.machines = (Remote("tracker-1", "tracker", "192.0.2.1", "me"), *MACHINES)
    world.choose(ANY)
    assert world.reached[0]["tracker"] == "tracker-1"


def test_a_fleet_that_is_too_small_says_how_to_have_more(world: World) -> None:
    """What is missing, and the command that makes it."""
    world.keys, world.machines = True, MACHINES[1:]
    assert world.refusal(ANY) == [
        "this scenario wants 1 tracker, cloud has none",
        "more of them: ./inv up --seeders N --clients N",
    ]


# Machines of one's own.


def test_a_file_is_an_inventory(world: World, tmp_path: Path) -> None:
    """It is called by its name; nothing is installed unasked on somebody's own machines."""
    path = tmp_path / "lab.yaml"
    path.write_text(FILE)
    testbed = world.choose(Wish(str(path)))
    assert (testbed.name, testbed.ours) == ("lab", False)
    assert world.said == ["Testbed: lab, 3 machines over SSH", UNUSED]
    assert (world.asked, world.waited) == ([], [])


def test_a_file_without_a_suffix_will_do(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there is one, whatever it is called; a name of ours stays ours."""
    monkeypatch.chdir(tmp_path)
    for name in ("lab", "cloud"):
        Path(name).write_text(FILE)
    assert world.choose(Wish("lab")).name == "lab"
    assert world.refusal(Wish("cloud"))[0] == "stack dev has no machines"


def test_hosts_of_the_command_line_are_an_inventory(world: World) -> None:
    """What --host names is raced on; one machine alone is one machine."""
    assert world.choose(Wish(hosts=WORDS, key="/keys/id")).remotes[0].key_file == Path("/keys/id")
    assert world.said[0] == "Testbed: hosts of the command line, 3 machines over SSH"
    world.said.clear()
    assert world.refusal(Wish(hosts=WORDS[:1])) == [
        "this scenario wants 1 client, hosts of the command line has none",
        "name more of them",
    ]
    assert world.said == ["Testbed: hosts of the command line, 1 machine over SSH"]


# Mistakes.


@pytest.mark.parametrize(
    ("name", "guess"),
    [("locla", "local"), ("clould", "cloud"), ("Auto", "auto"), ("aws", ""), ("x" * 300, ""), ("a\nb", "")],
)
def test_an_unknown_testbed_names_the_nearest(world: World, name: str, guess: str) -> None:
    """Two lines: what was found, with the nearest name, and what there is."""
    first, second = world.refusal(Wish(name))
    assert first.startswith("--testbed '")
    assert first.endswith(f" - did you mean {guess}?" if guess else ": no such testbed")
    assert second == "known: auto, local, cloud, or the file of an inventory"


@pytest.mark.parametrize("name", ["nowhere.yaml", "./nowhere", "nowhere/at-all", "/nowhere"])
def test_a_file_that_is_not_there_is_told_as_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What looks like a file's name is one."""
    monkeypatch.chdir(tmp_path)
    assert world.refusal(Wish(name)) == [f"{Path(name)}: no such file"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(key="/keys/id"), "--key is for machines named by --host"),
        (Wish("lab.yaml", key="/keys/id"), "--key is for machines named by --host"),
        (Wish("cloud", hosts=WORDS), "--testbed cloud and --host: one or the other says where"),
        (Wish(stack="dev", hosts=WORDS), "--stack dev and --host: one or the other says where"),
        (Wish("local", stack="dev"), "--stack dev and --testbed local: one or the other says where"),
        (Wish("my lab.yaml", stack="dev"), "--stack dev and --testbed 'my lab.yaml': one or the other says where"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(world: World, wish: Wish, words: str) -> None:
    """Options that contradict each other are not resolved behind the user's back."""
    (line,) = world.refusal(wish)
    assert line.startswith(words)
    assert world.asked == []


def test_a_task_for_machines_far_away_says_so(world: World) -> None:
    """What makes no sense on this machine names both ways to have others."""
    with pytest.raises(UserError, match=r"seed is for machines far away(.|\n)*--testbed FILE or --host"):
        needed(ANY, world.said.append, "seed")
    world.keys, world.machines = True, MACHINES
    assert needed(ANY, world.said.append, "seed").remotes == MACHINES


def test_options_say_the_same_to_another_task() -> None:
    """What a message tells the user to type leads to the same machines, quoted where it must be."""
    assert ANY.options == ""
    assert Wish("my lab.yaml").options == " --testbed 'my lab.yaml'"
    assert Wish("cloud", "big").options == " --testbed cloud --stack big"
    assert Wish(hosts=("client=a", "seeder=b"), key="~/id").options == " --host client=a --host seeder=b --key '~/id'"


# The plan.


def test_the_plan_has_the_scenarios_links() -> None:
    """The tracker's link is free, seeders and clients have theirs; clients are alike."""
    plan = choice.plan_of(TINY, clients=2)
    assert [host.name for host in plan] == ["tracker", "seeder-1", "client", "client-2"]
    assert plan[0].up_mbit is None
    assert (plan[3].up_mbit, plan[3].down_mbit) == (plan[2].up_mbit, plan[2].down_mbit)


def test_a_race_is_where_the_other_machines_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The private address where there is one, else what the name leads to; a name that only SSH knows is told."""
    assert ssh.address_of(Remote("a", "client", "192.0.2.1", "me", "10.0.0.1")) == "10.0.0.1"
    assert ssh.address_of(Remote("a", "client", "192.0.2.1", "me")) == "192.0.2.1"

    def unknown(name: str) -> str:
        raise socket.gaierror(socket.EAI_NONAME, name)

    monkeypatch.setattr(socket, "gethostbyname", unknown)
    with pytest.raises(UserError, match=r"a: no machine is called nobody.invalid; .*private_address says where"):
        ssh.address_of(Remote("a", "client", "nobody.invalid", "me"))
