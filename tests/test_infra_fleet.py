"""The whole Pulumi program, with an engine that makes nothing."""

from __future__ import annotations

import datetime as dt
import runpy
from typing import TYPE_CHECKING, Any

import fleet
import pulumi
import pytest
import yaml
from keys import key_file, stack_key
from pulumi_fakes import IMAGES, FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def engine() -> FakeEngine:
    """Give an engine."""
    return FakeEngine()


def assemble() -> None:
    """Run the program for someone whom AWS sees at 203.0.113.9."""
    fleet.assemble(lambda: "203.0.113.9")


def wrong(engine: FakeEngine, **config: str) -> str:
    """Return what someone is told whose settings are wrong."""
    with pytest.raises(pulumi.RunError) as raised:
        engine.run(assemble, **config)
    return str(raised.value)


def test_default(engine: FakeEngine) -> None:
    """Without settings there are a tracker, a seeder and a client, each of its own kind, and SSH from the caller."""
    outputs = engine.run(assemble)
    assert [(each["name"], each["role"], each["instance_type"]) for each in outputs["machines"]] == [
        ("tracker", "tracker", "c7a.medium"),
        ("seeder-1", "seeder", "c7a.large"),
        ("client-1", "client", "c7a.large"),
    ]
    assert [list(engine.of(kind)) for kind in ("Tracker", "Seeder", "Client")] == [
        ["tracker"],
        ["seeder-1"],
        ["client-1"],
    ]
    assert outputs["ssh_cidr"] == "203.0.113.9/32"
    assert outputs["price"].startswith("about $0.28 an hour, $1.11 for 4 hours")
    assert outputs["zone"] == "us-east-1b"


def test_what_is_told_of_a_machine(engine: FakeEngine) -> None:
    """A machine's output is all that it takes to log in, and the facts that a race card wants."""
    machine = engine.run(assemble)["machines"][2]
    assert machine["address"] == "203.0.113.7"
    assert machine["private_address"] == "198.18.0.7"
    assert (machine["architecture"], machine["image_id"]) == ("amd64", IMAGES["amd64"])
    assert machine["user"] == "btgames"
    assert machine["instance_id"] == "client-1-id"
    assert machine["hourly_usd"] == pytest.approx(0.10264 + 0.005 + 16 * 0.08 / 730)


def test_resources(engine: FakeEngine) -> None:
    """There is nothing but what docs/cloud.md names: no NAT gateway, no address that outlives its machine."""
    engine.run(assemble)
    assert {each.type for each in engine.resources if not each.type.startswith("btgames:")} == {
        "aws:ec2/instance:Instance",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/keyPair:KeyPair",
        "aws:ec2/placementGroup:PlacementGroup",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "pulumi:index:Stash",
        "pulumi:providers:aws",
    }


def test_stable(engine: FakeEngine) -> None:
    """A second run asks for the same, though time has passed and Debian has published another image."""
    first = engine.run(assemble)
    asked = {(each.type, each.name): each.inputs for each in engine.resources if each.type != "pulumi:index:Stash"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(IMAGES, "amd64", "ami-newer")
        assert engine.run(assemble) == first
    again = {(each.type, each.name): each.inputs for each in engine.resources if each.type != "pulumi:index:Stash"}
    assert again == asked


def test_tags(engine: FakeEngine) -> None:
    """Everything is tagged by the provider: whose it is, and until when."""
    outputs = engine.run(assemble)
    tags = engine.of("aws")["aws"]["defaultTags"]
    found = tags if isinstance(tags, dict) else yaml.safe_load(tags)
    assert found["tags"] == {
        "project": "btgames",
        "stack": "dev",
        "owner": "acme",
        "expires_at": outputs["expires_at"],
    }


def test_hours(engine: FakeEngine) -> None:
    """Machines end so many hours after the stack's creation, whenever they are made."""
    engine.stashed["created-at"] = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    outputs = engine.run(assemble, hours="1.5")
    lived = dt.datetime.fromisoformat(outputs["expires_at"]) - dt.datetime.fromisoformat(outputs["created_at"])
    assert lived == dt.timedelta(hours=1.5)


def test_ended(engine: FakeEngine) -> None:
    """A stack whose time is over is not filled again: new machines would end at once."""
    engine.stashed["created-at"] = "2026-01-01T00:00:00+00:00"
    assert "ended at 2026-01-01T04:00:00+00:00; pulumi destroy" in wrong(engine)


def test_key(engine: FakeEngine, state: Path) -> None:
    """The private key is made in the first update, not in a preview, and is in a file that is the user's alone."""
    path = key_file("acme", "btgames", "dev")
    assert path.is_relative_to(state)
    FakeEngine(preview=True).run(assemble)
    assert not path.exists()
    outputs = engine.run(assemble)
    assert path.stat().st_mode & 0o777 == 0o600
    key = stack_key(path, keep=False)
    assert engine.of("KeyPair")["btgames-dev"]["publicKey"] == key.public
    assert outputs["machines"][0]["host_key"] == key.derived("tracker").public
    everything: list[Any] = [outputs, [each.inputs for each in engine.resources if each.type != _INSTANCE]]
    assert "PRIVATE KEY" not in str(everything)


def test_other_computer(engine: FakeEngine, state: Path) -> None:
    """With another key than the stack was made with, nothing is replaced: the user is told."""
    engine.run(assemble)
    key_file("acme", "btgames", "dev").unlink()
    assert f"{state}/btgames/keys/acme-btgames-dev is not the key that this stack was made with" in wrong(engine)


def test_replaced_key_in_the_file(engine: FakeEngine) -> None:
    """A key that others may read is refused."""
    engine.run(assemble)
    key_file("acme", "btgames", "dev").chmod(0o644)
    assert "others may read this key" in wrong(engine)


def test_wrong_settings(engine: FakeEngine) -> None:
    """Mistakes in the settings are told before anything is asked for."""
    assert wrong(engine, seeders="many", regoin="x").splitlines() == [
        "btgames:regoin: no such key - did you mean region?",
        "btgames:seeders: found 'many'; allowed is a whole number from 0 to 100",
    ]
    assert engine.resources == []


def test_no_answer(engine: FakeEngine) -> None:
    """When AWS does not tell the caller's address, they are told what to set."""

    def silence() -> str:
        raise OSError("timed out")

    with pytest.raises(pulumi.RunError, match=r"did not tell .* \(timed out\); set it: pulumi config set ssh_cidr"):
        engine.run(lambda: fleet.assemble(silence))


def test_set_block_is_not_asked_for(engine: FakeEngine) -> None:
    """With ssh_cidr set, nobody is asked."""

    def nobody() -> str:
        raise AssertionError

    outputs = engine.run(lambda: fleet.assemble(nobody), ssh_cidr="198.51.100.0/24")
    assert outputs["ssh_cidr"] == "198.51.100.0/24"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"client_type": "t3.medium"}, "t3.medium: CPU in credits"),
        ({"ssh_cidr": "0.0.0.0/0"}, "btgames:ssh_cidr is 0.0.0.0/0: everyone may try"),
        ({"reach_me": "0.0.0.0/0"}, "btgames:reach_me is 0.0.0.0/0"),
    ],
    ids=["burstable", "open", "reached"],
)
def test_warnings(config: dict[str, str], says: str, engine: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    """What spoils results or safety is done if asked for, with a warning."""
    engine.run(assemble, **config)
    assert says in caplog.text


def test_quiet_by_default(engine: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    """The default has nothing to warn of."""
    engine.run(assemble)
    # Futures that Pulumi left in tests of what goes wrong may be collected at this very moment: asyncio says so.
    assert [record.message for record in caplog.records if record.name != "asyncio"] == []


def test_architectures(engine: FakeEngine) -> None:
    """Each machine gets the image of its type's architecture."""
    outputs = engine.run(assemble, client_type="c7g.large")
    images = {each["name"]: each["image_id"] for each in outputs["machines"]}
    assert images == {"tracker": IMAGES["amd64"], "seeder-1": IMAGES["amd64"], "client-1": IMAGES["arm64"]}


def test_no_cluster_with_burstable(engine: FakeEngine) -> None:
    """A placement group that one type may not be in is left out."""
    engine.run(assemble, tracker_type="t3.micro")
    assert engine.of("PlacementGroup") == {}
    assert not any(inputs.get("placementGroup") for inputs in engine.of("Instance").values())


def test_added_and_terminated(engine: FakeEngine) -> None:
    """Single machines come and go; the others are asked for as before."""
    before = engine.run(assemble)
    outputs = engine.run(assemble, added='["client:debug"]', terminated="seeder-1")
    assert [each["name"] for each in outputs["machines"]] == ["tracker", "client-1", "debug"]
    assert outputs["machines"][0] == before["machines"][0]


def test_nothing_left(engine: FakeEngine) -> None:
    """A stack may have no machine at all, its network waiting."""
    outputs = engine.run(assemble, seeders="0", clients="0", terminated="tracker")
    assert outputs["machines"] == []
    assert outputs["hourly_usd"] == 0


def test_main(root: Path, engine: FakeEngine) -> None:
    """Run as a folder, as Pulumi does it, the program is the same."""

    def main() -> None:
        runpy.run_path(str(root / "infra"))

    outputs = engine.run(main, ssh_cidr="203.0.113.9/32")
    assert len(outputs["machines"]) == 3


_INSTANCE = "aws:ec2/instance:Instance"
