"""The network of a stack: one public subnet, a way out, and who may come in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

BLOCK = "198.18.0.0/16"
"""
Of RFC 2544's range for benchmarks: libtorrent exempts peers in 10.0.0.0/8 and its like from rate limits, as local.
"""

SUBNET = "198.18.0.0/24"
ANYWHERE = "0.0.0.0/0"
REACHED = (
    # What someone's own client needs of us: the tracker's port and the seeder's, each over TCP and UDP.
    ("tracker", 6969),
    ("seeder", 6881),
)


@dataclass(frozen=True)
class NetworkArgs:
    """What a network is made of."""

    ssh_cidr: str
    reach_me: str | None = None
    zone: str | None = None


class Network(pulumi.ComponentResource):
    """One VPC with one public subnet; machines in its group reach each other, SSH reaches them from one block."""

    subnet_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    zone: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("btgames:infra:Network", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        vpc = ec2.Vpc(name, cidr_block=BLOCK, enable_dns_support=True, tags={"Name": name}, opts=inside)
        gateway = ec2.InternetGateway(name, vpc_id=vpc.id, tags={"Name": name}, opts=inside)
        subnet = ec2.Subnet(
            name,
            vpc_id=vpc.id,
            cidr_block=SUBNET,
            availability_zone=args.zone,
            map_public_ip_on_launch=True,
            tags={"Name": name},
            opts=inside,
        )
        routes = ec2.RouteTable(
            name,
            vpc_id=vpc.id,
            routes=[ec2.RouteTableRouteArgs(cidr_block=ANYWHERE, gateway_id=gateway.id)],
            tags={"Name": name},
            opts=inside,
        )
        # Machines wait for it: without a way out their set-up would fail.
        way_out = ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=routes.id, opts=inside)
        group = ec2.SecurityGroup(
            name,
            description="Bittorrent Games: SSH from one block, everything among its own machines",
            vpc_id=vpc.id,
            ingress=ingress(args),
            egress=[
                ec2.SecurityGroupEgressArgs(
                    description="installing packages and contestants",
                    protocol="-1",
                    from_port=0,
                    to_port=0,
                    cidr_blocks=[ANYWHERE],
                )
            ],
            tags={"Name": name},
            opts=inside,
        )
        self.subnet_id = pulumi.Output.all(subnet.id, way_out.id).apply(lambda ids: str(ids[0]))
        self.security_group_id = group.id
        self.zone = subnet.availability_zone
        self.register_outputs(
            {"subnet_id": self.subnet_id, "security_group_id": self.security_group_id, "zone": self.zone}
        )


def ingress(args: NetworkArgs) -> list[ec2.SecurityGroupIngressArgs]:
    """Return who may come in."""
    rules = [
        ec2.SecurityGroupIngressArgs(
            description="SSH", protocol="tcp", from_port=22, to_port=22, cidr_blocks=[args.ssh_cidr]
        ),
        ec2.SecurityGroupIngressArgs(
            description="machines of this group", protocol="-1", from_port=0, to_port=0, self=True
        ),
    ]
    if args.reach_me is not None:
        rules += [
            ec2.SecurityGroupIngressArgs(
                description=f"{role} over {protocol.upper()}",
                protocol=protocol,
                from_port=port,
                to_port=port,
                cidr_blocks=[args.reach_me],
            )
            for role, port in REACHED
            for protocol in ("tcp", "udp")
        ]
    return rules
