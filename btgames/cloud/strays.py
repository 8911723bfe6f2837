"""What there is of ours in a region of AWS, found by its tags, and how it is ended."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from btgames.cloud import engine
from btgames.cloud.trouble import explain
from btgames.errors import GamesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ENDED_S = 300
ATTEMPTS, PAUSE_S = 6, 2.0  # a network's parts take a moment to let go of each other
OURS = [{"Name": "tag:project", "Values": [engine.PROJECT]}]


@dataclass(frozen=True)
class Kind:
    """How AWS is asked for things of a kind, where their ids are in its answer, and how one is ended."""

    words: str
    describe: str
    key: str
    identity: str
    delete: str


KINDS = (  # in the order in which AWS lets go of them, after instances
    Kind("volume", "describe_volumes", "Volumes", "VolumeId", "delete_volume"),
    Kind("key pair", "describe_key_pairs", "KeyPairs", "KeyName", "delete_key_pair"),
    Kind("placement group", "describe_placement_groups", "PlacementGroups", "GroupName", "delete_placement_group"),
    Kind("security group", "describe_security_groups", "SecurityGroups", "GroupId", "delete_security_group"),
    Kind("subnet", "describe_subnets", "Subnets", "SubnetId", "delete_subnet"),
    Kind("route table", "describe_route_tables", "RouteTables", "RouteTableId", "delete_route_table"),
    Kind("gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId", "delete_internet_gateway"),
    Kind("network", "describe_vpcs", "Vpcs", "VpcId", "delete_vpc"),
)


@dataclass(frozen=True)
class Stray:
    """One thing in AWS that bears our tag."""

    region: str
    kind: str
    id: str  # as a stack's state has it, too
    tags: Mapping[str, str]
    attached: tuple[str, ...] = ()  # networks that a gateway is attached to

    @property
    def words(self) -> str:
        """What it is, for a line."""
        name = self.tags.get("machine") or self.tags.get("Name", "")
        return " ".join(filter(None, (self.kind, self.id, name)))


def strays(region: str) -> list[Stray]:
    """
    Return everything of ours that there is in a region.

    Raises:
        UserError: AWS cannot be asked.

    """
    with _asked():
        ec2 = _client(region)
        pages = ec2.get_paginator("describe_instances").paginate(Filters=OURS)
        instances = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
        found = [
            Stray(region, "instance", one["InstanceId"], _tags(one))
            for one in instances
            if one["State"]["Name"] not in {"terminated", "shutting-down"}
        ]
        for kind in KINDS:
            for one in getattr(ec2, kind.describe)(Filters=OURS)[kind.key]:
                attached = tuple(each["VpcId"] for each in one.get("Attachments", ()) if "VpcId" in each)
                if one.get("State") != "in-use":  # a volume that is goes with its instance
                    found.append(Stray(region, kind.words, one[kind.identity], _tags(one), attached))
        return found


def end(left: Iterable[Stray], notify: Callable[[str], None]) -> None:
    """
    End things, machines first.

    Raises:
        UserError: AWS cannot be asked.
        GamesError: some could not be ended.

    """
    failed: list[str] = []
    todo = list(left)
    for region in dict.fromkeys(stray.region for stray in todo):
        with _asked():
            ec2 = _client(region)
            ours = [stray for stray in todo if stray.region == region]
            _end_instances(ec2, [stray for stray in ours if stray.kind == "instance"], notify)
            for kind in KINDS:
                for stray in (each for each in ours if each.kind == kind.words):
                    if why := _ended(ec2, stray, kind):
                        failed.append(f"{stray.words}: {why}")
                    else:
                        notify(f"ended {stray.words}")
    if failed:
        raise GamesError("\n".join([*failed[:3], f"{len(failed)} could not be ended: try again in a minute"]))


def _end_instances(ec2: Any, machines: list[Stray], notify: Callable[[str], None]) -> None:
    if not machines:
        return
    ec2.terminate_instances(InstanceIds=[stray.id for stray in machines])
    notify(f"ending {', '.join(stray.words for stray in machines)}")
    ec2.get_waiter("instance_terminated").wait(
        InstanceIds=[stray.id for stray in machines], WaiterConfig={"Delay": 5, "MaxAttempts": ENDED_S // 5}
    )


def _ended(ec2: Any, stray: Stray, kind: Kind) -> str:
    """End a thing; return why it could not be, empty when it is gone. A network's parts take a moment to let go."""
    from botocore.exceptions import ClientError

    for network in stray.attached:
        ec2.detach_internet_gateway(InternetGatewayId=stray.id, VpcId=network)
    for _ in range(ATTEMPTS):
        try:
            getattr(ec2, kind.delete)(**{kind.identity: stray.id})
        except ClientError as error:
            why = error.response["Error"]
            if why["Code"].endswith((".NotFound", ".Unknown")):
                return ""
            if why["Code"] != "DependencyViolation":
                return str(why["Message"])
            time.sleep(PAUSE_S)
        else:
            return ""
    return "something still depends on it"


@contextmanager
def _asked() -> Iterator[None]:
    """Turn what AWS answers when it cannot be asked into words that say what to do."""
    engine.need()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explain(str(error), "") from error


def _client(region: str) -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 3})
    return boto3.client("ec2", region_name=region, config=settings)


def _tags(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}
