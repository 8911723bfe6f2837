"""How a machine is made: what may be read, what it costs, how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fleet
import pytest
from pulumi.runtime import rpc
from pulumi_fakes import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def instances(**config: str) -> dict[str, dict[str, Any]]:
    """Return what is asked for of each machine."""
    engine = FakeEngine()
    engine.run(lambda: fleet.assemble(lambda: "203.0.113.9"), **config)
    return engine.of("Instance")


def test_ends_itself() -> None:
    """A machine that shuts down is gone, disk included."""
    for instance in instances().values():
        assert instance["instanceInitiatedShutdownBehavior"] == "terminate"
        assert instance["rootBlockDevice"]["deleteOnTermination"] is True


def test_metadata() -> None:
    """Metadata is had with a token only, and by the machine itself only."""
    for instance in instances().values():
        options = instance["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_disk() -> None:
    """The disk is encrypted."""
    for instance in instances().values():
        assert (instance["rootBlockDevice"]["encrypted"], instance["rootBlockDevice"]["volumeType"]) == (True, "gp3")


def test_user_data() -> None:
    """Each machine has its own, secret in the state; when it changes, so does the machine, which reads it once."""
    found = instances()
    assert all(instance["userDataReplaceOnChange"] for instance in found.values())
    secrets = [instance["userData"] for instance in found.values()]
    assert all(rpc._special_sig_key in secret for secret in secrets)
    assert len({secret["value"] for secret in secrets}) == 3


def test_cluster() -> None:
    """Machines stand close to each other."""
    assert {instance["placementGroup"] for instance in instances().values()} == {"btgames-dev"}


def test_on_demand() -> None:
    """Nothing is bid for unless asked for."""
    assert not any("instanceMarketOptions" in instance for instance in instances().values())


def test_spot() -> None:
    """A spot instance is asked for once, and gone when it is interrupted."""
    for instance in instances(spot="true").values():
        assert instance["instanceMarketOptions"] == {
            "marketType": "spot",
            "spotOptions": {"spotInstanceType": "one-time", "instanceInterruptionBehavior": "terminate"},
        }


def test_tags() -> None:
    """A machine tells its name and role to who looks at the console."""
    assert instances()["seeder-1"]["tags"] == {"Name": "dev-seeder-1", "machine": "seeder-1", "role": "seeder"}
