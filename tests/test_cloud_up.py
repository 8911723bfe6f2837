"""Making fleets: nothing that costs more than the limit, or ends what there is, without the user's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud_fakes import INSTANCE, FakeStack, fleet_of, machine, outputs_of, step

from btgames.cloud import engine, hosts, up
from btgames.errors import UserError
from btgames.testbeds import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from btgames.hosts.remote import Remote


class Scene:
    """A stack, and who was waited for."""

    def __init__(self) -> None:
        self.stack = FakeStack()
        self.opened: list[str] = []
        self.waited: list[list[str]] = []

    def plan(self, *steps: tuple[str, str], **outputs: Any) -> None:
        """Let the next update be about such steps, and such outputs."""
        self.stack.planned = self.stack.done = [step(op, INSTANCE, name) for op, name in steps]
        self.stack.told = outputs_of(**outputs)

    def up(self, *added: str, yes: bool = False, stack: str | None = None, **wanted: str) -> int:
        """Run the command."""
        return up.command(stack=stack, wanted=wanted, added=added, yes=yes)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Give a selected stack `dev`."""
    scene = Scene()

    def opened(name: str, *, create: bool = False) -> FakeStack:
        scene.opened.append(f"{name}{' or new' if create else ''}")
        return scene.stack

    def wait(machines: Sequence[Remote], notify: Callable[[str], None]) -> None:
        notify("all are ready")
        scene.waited.append([each.name for each in machines])

    monkeypatch.setattr(engine, "opened", opened)
    monkeypatch.setattr(engine, "selected", lambda: "dev")
    monkeypatch.setattr(up, "existing", lambda stack: fleet_of() if stack in (None, "dev") else None)
    monkeypatch.setattr(waiting, "wait_until_ready", wait)
    monkeypatch.setattr(hosts, "answering", lambda machines: {each.name: "answers" for each in machines})
    return scene


def test_up(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """The price is said first; then it is made, waited for, and shown."""
    scene.plan(("create", "tracker"))
    assert scene.up() == 0
    out = capsys.readouterr().out
    assert out.startswith("Stack dev: about $0.30 an hour, $1.20 for 4 hours\n  made instance tracker\n")
    assert "client-1  client   c7a.large  203.0.113.7  198.18.0.7  answers" in out
    assert out.endswith("Race on it: ./inv race --scenario medium; end it: ./inv down\n")
    assert scene.opened == ["dev or new"]
    assert scene.stack.asked == ["preview", "up"]
    assert scene.waited == [["tracker", "seeder-1", "client-1"]]


def test_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named stack is made if there is none; without a name, and none selected, it is `dev`."""
    scene.up(stack="other")
    monkeypatch.setattr(engine, "selected", lambda: None)
    scene.up()
    assert scene.opened == ["other or new", "dev or new"]


def test_settings_are_kept(scene: Scene) -> None:
    """What was named on the command line stays with the stack; what was not, as it is."""
    scene.stack.config = {"btgames:region": "eu-west-1"}
    scene.up(seeders="2", hours="8")
    assert scene.stack.config == {"btgames:region": "eu-west-1", "btgames:seeders": "2", "btgames:hours": "8"}


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"hourly_usd": 1.0}, r"not done: \$4.00 is over the limit of \$2 \(pulumi config set price_limit_usd\)"),
        ({"hourly_usd": None}, "not done: not all prices are known"),
    ],
)
def test_over_the_limit(outputs: dict[str, Any], says: str, scene: Scene) -> None:
    """Without a terminal, what is over the limit needs --yes; nothing is made, and settings are as before."""
    scene.plan(("create", "tracker"), **outputs)
    with pytest.raises(UserError, match=rf"{says}\n--yes does it"):
        scene.up(clients="9")
    assert scene.stack.asked == ["preview"]
    assert scene.stack.config == {}
    assert scene.up(clients="9", yes=True) == 0
    assert scene.stack.config == {"btgames:clients": "9"}


@pytest.mark.parametrize("op", ["create-replacement", "delete", "delete-replaced"])
def test_ends_machines(op: str, scene: Scene) -> None:
    """What ends machines needs the user's word, too: there may be something on them."""
    scene.plan((op, "client-1"))
    with pytest.raises(UserError, match="not done: ends what is on client-1"):
        scene.up()


def test_no_more_of_it(scene: Scene) -> None:
    """An expensive fleet that is there already is no reason to ask again."""
    scene.plan(hourly_usd=9.0)
    assert scene.up() == 0


@pytest.mark.parametrize(("answer", "asked"), [("y", ["preview", "up"]), ("", ["preview"]), ("n", ["preview"])])
def test_asks(answer: str, asked: list[str], scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the user is asked; only a yes is one."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    scene.plan(("create", "tracker"), hourly_usd=9.0)
    if answer == "y":
        scene.up()
    else:
        with pytest.raises(UserError, match="nothing was changed"):
            scene.up()
    assert scene.stack.asked == asked


def test_add(scene: Scene) -> None:
    """Machines are added one by one; one that was terminated comes back instead."""
    scene.stack.config = {"btgames:added": "client:a", "btgames:terminated": "seeder-1"}
    scene.up("client:b", "seeder:seeder-1")
    assert scene.stack.config == {"btgames:added": "client:a,client:b"}


@pytest.mark.parametrize("word", ["debug", "cleint:debug", "client:"])
def test_add_what(word: str, scene: Scene) -> None:
    """What is added is a role and a name."""
    with pytest.raises(UserError, match=f"--add '{word}': allowed is ROLE:NAME, a role being tracker, seeder, client"):
        scene.up(word)


def test_terminate(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine is ended and left out from now on; how to have it back is said."""
    scene.plan(("delete", "client-1"))
    assert up.terminate(stack=None, machine="client-1") == 0
    assert scene.stack.config == {"btgames:terminated": "client-1"}
    assert capsys.readouterr().out.splitlines() == [
        "  ended instance client-1",
        "./inv up --add client:client-1 brings it back",
    ]


def test_terminate_added(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was added is no longer added."""
    added = fleet_of(machines=[machine("debug", "client")])
    monkeypatch.setattr(up, "existing", lambda _: added)
    scene.stack.config = {"btgames:added": "client:debug"}
    up.terminate(stack=None, machine="debug")
    assert scene.stack.config == {}


def test_terminate_whom(scene: Scene) -> None:
    """A machine that there is not is told before anything is done."""
    with pytest.raises(UserError, match="stack dev has no machine client-2 - did you mean client-1"):
        up.terminate(stack=None, machine="client-2")
    assert scene.opened == []


def test_replace(scene: Scene) -> None:
    """A pristine machine takes the place of one, and is waited for."""
    assert up.replace(stack=None, machine="client-1") == 0
    urn = "urn:pulumi:dev::btgames::btgames:infra:Client$aws:ec2/instance:Instance::client-1"
    assert scene.stack.asked == [f"up {urn}"]
    assert scene.waited == [["tracker", "seeder-1", "client-1"]]


def test_reach(scene: Scene) -> None:
    """Tracker and seeder are opened to a block, and closed again; nothing is done when they are so already."""
    scene.stack.told = outputs_of(reach_me="203.0.113.9/32")
    reached = up.reach(fleet_of(), "203.0.113.9/32")
    assert reached.reach_me == "203.0.113.9/32"
    assert scene.stack.config == {"btgames:reach_me": "203.0.113.9/32"}
    scene.stack.told = outputs_of()
    assert up.reach(reached, None).reach_me is None
    assert scene.stack.config == {}
    up.reach(fleet_of(), None)
    assert scene.stack.asked == ["up", "up"]
