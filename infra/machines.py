"""The machines of a stack: Tracker, Seeder and Client, which are one kind of machine with three sets of packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import instance_types
import pulumi
from prices import DISK_GB
from pulumi_aws import ec2

if TYPE_CHECKING:
    from roster import Place


@dataclass(frozen=True)
class MachineArgs:
    """What a machine is made of."""

    place: Place
    image_id: pulumi.Input[str]
    user_data: pulumi.Input[str]  # secret: it holds a host key
    key_name: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    placement_group: pulumi.Input[str] | None = None
    spot: bool = False


class Machine(pulumi.ComponentResource):
    """One instance that ends itself, with a public address, an encrypted disk and no way to others' metadata."""

    role: ClassVar[str]

    instance_id: pulumi.Output[str]
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"btgames:infra:{type(self).__name__}", name, {}, opts)
        instance = ec2.Instance(
            name,
            ami=args.image_id,
            instance_type=args.place.instance_type,
            subnet_id=args.subnet_id,
            vpc_security_group_ids=[args.security_group_id],
            associate_public_ip_address=True,
            key_name=args.key_name,
            placement_group=args.placement_group,
            user_data=pulumi.Output.secret(args.user_data),
            user_data_replace_on_change=True,
            instance_initiated_shutdown_behavior="terminate",
            instance_market_options=_SPOT if args.spot else None,
            metadata_options=ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=DISK_GB, encrypted=True, delete_on_termination=True
            ),
            tags={"Name": f"{pulumi.get_stack()}-{name}", "machine": name, "role": self.role},
            # A replaced machine goes first: an account's quota may have no room for both.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.instance_id = instance.id
        self.address = instance.public_ip
        self.private_address = instance.private_ip
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "address": self.address,
                "private_address": self.private_address,
            }
        )


class Tracker(Machine):
    """The machine of the tracker."""

    role = "tracker"


class Seeder(Machine):
    """A machine of seeders."""

    role = "seeder"


class Client(Machine):
    """A machine on which contestants race."""

    role = "client"


KINDS: dict[str, type[Machine]] = {kind.role: kind for kind in (Tracker, Seeder, Client)}

_SPOT = ec2.InstanceInstanceMarketOptionsArgs(
    market_type="spot",
    spot_options=ec2.InstanceInstanceMarketOptionsSpotOptionsArgs(
        spot_instance_type="one-time", instance_interruption_behavior="terminate"
    ),
)


def placement_group(name: str, places: tuple[Place, ...], opts: pulumi.ResourceOptions) -> ec2.PlacementGroup | None:
    """Return a group that keeps the machines close to each other, where all of their types may be in one."""
    if not all(instance_types.clusters(place.instance_type) for place in places):
        return None
    return ec2.PlacementGroup(name, strategy="cluster", opts=opts)
