"""What no stack owns any more, in an AWS that moto plays."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from btgames.cloud import engine, leftovers, strays
from btgames.cloud.leftovers import reason
from btgames.cloud.strays import Stray
from btgames.errors import GamesError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
NOW = dt.datetime.now(dt.UTC)
OVER, LATER = (NOW - dt.timedelta(hours=1)).isoformat(), (NOW + dt.timedelta(hours=1)).isoformat()


class Account:
    """EC2 as moto plays it, and the placement groups that moto does not know."""

    groups: ClassVar[dict[str, list[dict[str, str]]]] = {}
    stuck: ClassVar[set[str]] = set()  # networks with something foreign in them, which moto does not mind

    def __init__(self, region: str) -> None:
        self._moto: Any = boto3.client("ec2", region_name=region)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._moto, name)

    def create_placement_group(self, *, GroupName: str, TagSpecifications: list[dict[str, Any]]) -> None:  # noqa: N803 - AWS's names
        """Make one."""
        self.groups[GroupName] = TagSpecifications[0]["Tags"]

    def describe_placement_groups(self, *, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's names
        """List them."""
        assert Filters == strays.OURS
        return {"PlacementGroups": [{"GroupName": name, "Tags": tags} for name, tags in self.groups.items()]}

    def delete_placement_group(self, *, GroupName: str) -> None:  # noqa: N803 - AWS's names
        """End one."""
        del self.groups[GroupName]

    def delete_vpc(self, *, VpcId: str) -> None:  # noqa: N803 - AWS's names
        """End a network, unless it is stuck."""
        if VpcId in self.stuck:
            raise ClientError({"Error": {"Code": "DependencyViolation", "Message": "has dependencies"}}, "DeleteVpc")
        self._moto.delete_vpc(VpcId=VpcId)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give an account with nothing in it, no stacks, and no patience."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(strays, "PAUSE_S", 0.0)
    monkeypatch.setattr(engine, "stacks", list)
    monkeypatch.setattr(strays, "_client", Account)
    monkeypatch.setattr(Account, "groups", {})
    monkeypatch.setattr(Account, "stuck", set())
    with mock_aws():
        yield Account(REGION)


def fleet(ec2: Any, stack: str = "old", expires_at: str = OVER) -> dict[str, str]:
    """Make all that a stack has; return the ids by kind."""
    tags = {"project": "btgames", "stack": stack, "owner": "me", "expires_at": expires_at, "machine": "client-1"}
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]

    def tagged(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": pairs}]

    network = ec2.create_vpc(CidrBlock="198.18.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="198.18.0.0/24", TagSpecifications=tagged("subnet"))["Subnet"]
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=network)
    table = ec2.create_route_table(VpcId=network, TagSpecifications=tagged("route-table"))["RouteTable"]
    group = ec2.create_security_group(
        GroupName=stack, Description="x", VpcId=network, TagSpecifications=tagged("security-group")
    )["GroupId"]
    ec2.create_key_pair(KeyName=stack, TagSpecifications=tagged("key-pair"))
    ec2.create_placement_group(GroupName=stack, TagSpecifications=tagged("placement-group"))
    volume = ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=8, Encrypted=True, TagSpecifications=tagged("volume")
    )["VolumeId"]
    instance = ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet["SubnetId"],
        TagSpecifications=tagged("instance"),
    )["Instances"][0]["InstanceId"]
    return {
        "instance": instance,
        "volume": volume,
        "key pair": stack,
        "placement group": stack,
        "security group": group,
        "subnet": subnet["SubnetId"],
        "route table": table["RouteTableId"],
        "gateway": gateway["InternetGatewayId"],
        "network": network,
    }


def known(monkeypatch: pytest.MonkeyPatch, stack: str, ids: list[str], region: str = REGION) -> None:
    """Let pulumi know a stack that has those."""
    provider = {"type": "pulumi:providers:aws", "id": "p", "inputs": {"region": region}}
    state = {"deployment": {"resources": [provider, *({"type": "aws:x", "id": each} for each in ids)]}}
    monkeypatch.setattr(engine, "stacks", lambda: [{"name": stack}])
    monkeypatch.setattr(engine, "ask", lambda *_, **__: json.dumps(state))


def test_found(ec2: Any) -> None:
    """All that bears our tag is found, with its kind and id; what does not, is not."""
    made = fleet(ec2)
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert {stray.kind: stray.id for stray in strays.strays(REGION)} == made


def test_ended(ec2: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is ended, in the order in which AWS lets go of it, and nothing is left."""
    fleet(ec2)
    assert leftovers.command(region=None, yes=True, living=True) == 0
    assert strays.strays(REGION) == []
    out = capsys.readouterr().out
    assert f"{REGION}: instance i-" in out
    assert "client-1: stack old of me is gone, its time is over" in out
    assert leftovers.command(region=None, yes=True, living=True) == 0
    assert capsys.readouterr().out == "Nothing is left over in us-east-1; 0 things there belong to stacks\n"


def test_owned(ec2: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the state of a stack knows is not touched, whatever the time; what it has lost sight of is left over."""
    made = fleet(ec2, stack="dev", expires_at=LATER)
    known(monkeypatch, "dev", list(made.values()))
    assert leftovers.command(region=None, yes=True, living=True) == 0
    assert "9 things there belong to stacks" in capsys.readouterr().out
    known(monkeypatch, "dev", [each for kind, each in made.items() if kind != "volume"])
    assert leftovers.command(region=None, yes=True, living=True) == 0
    assert f"volume {made['volume']} client-1: stack dev does not know it" in capsys.readouterr().out


def test_what_may_be_a_colleagues(
    ec2: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fleet with time to live is listed, but --yes alone ends nothing of it: its stack's name may be anybody's."""
    made = fleet(ec2, stack="dev", expires_at=LATER)
    known(monkeypatch, "dev", [])
    assert leftovers.command(region=None, yes=True, living=False) == 0
    assert {stray.id for stray in strays.strays(REGION)} == set(made.values())
    assert "9 of these still have time to live, and may be a colleague's" in capsys.readouterr().out


def test_regions(ec2: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The regions of the stacks are looked into, and one's own; or the one that is named."""
    assert ec2
    known(monkeypatch, "dev", [], region="eu-west-1")
    leftovers.command(region=None, yes=False, living=False)
    assert "Nothing is left over in eu-west-1, us-east-1;" in capsys.readouterr().out
    leftovers.command(region="eu-north-1", yes=False, living=False)
    assert "Nothing is left over in eu-north-1;" in capsys.readouterr().out


def test_unasked(ec2: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the user's word things are listed only."""
    fleet(ec2)
    assert leftovers.command(region=None, yes=False, living=False) == 0
    assert capsys.readouterr().out.endswith("./inv leftovers --yes ends them\n")
    assert len(strays.strays(REGION)) == 9


@pytest.mark.parametrize(
    ("stack", "ends", "owned", "why"),
    [
        ("dev", LATER, {"dev": {"i-1"}}, ""),
        ("dev", LATER, {"dev": {"i-2"}}, "stack dev does not know it"),
        ("other", OVER, {"dev": set()}, "stack other of me is gone, its time is over"),
        ("other", LATER, {}, f"stack other of me is none of yours here; it lives until {LATER}"),
        ("other", "soon", {}, "stack other of me is gone, its time is over"),
    ],
    ids=["owned", "lost", "over", "someone's", "unreadable"],
)
def test_reason(stack: str, ends: str, owned: dict[str, set[str]], why: str) -> None:
    """Why a thing is left over."""
    tags = {"stack": stack, "owner": "me", "expires_at": ends}
    assert reason(Stray(REGION, "instance", "i-1", tags), owned, NOW) == why


def test_in_use(ec2: Any) -> None:
    """What cannot be ended is told with AWS's reason; the rest is."""
    made = fleet(ec2)
    ec2.stuck.add(made["network"])
    left = strays.strays(REGION)
    ec2.delete_volume(VolumeId=made["volume"])
    with pytest.raises(GamesError) as raised:
        strays.end(left, lambda _: None)
    assert str(raised.value).splitlines() == [
        f"network {made['network']} client-1: something still depends on it",
        "1 could not be ended: try again in a minute",
    ]
    assert [stray.kind for stray in strays.strays(REGION)] == ["network"]


def test_unreachable(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS that cannot be reached is told in words."""
    assert ec2

    def client(region: str) -> Any:
        raise EndpointConnectionError(endpoint_url=f"https://ec2.{region}.example")

    monkeypatch.setattr(strays, "_client", client)
    with pytest.raises(UserError, match="cannot be reached from this computer"):
        leftovers.command(region=None, yes=False, living=False)
