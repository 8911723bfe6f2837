"""
A small Pulumi program for tests of the stand-in: ``python -m standin.program VERB``, its wishes as JSON on stdin.

In a process of its own, as users run theirs: Pulumi's runtime leaves much open behind a program that fails.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi import automation as auto
from pulumi_aws import Provider, ProviderDefaultTagsArgs, ec2, ssm

IMAGE = "/aws/service/debian/release/12/latest/amd64"


@dataclass
class Wishes:
    """What a test wants of the program."""

    user_data: str
    public_key: str
    open_to: str
    instance: dict[str, Any] = field(default_factory=dict)  # properties
    strategy: str = "cluster"
    region: str = "us-east-1"
    keys: tuple[str, ...] = ("racer",)


def program(wishes: Wishes) -> None:
    """Make one network and one machine."""
    tags = ProviderDefaultTagsArgs(tags={"owner": "me"})
    aws = Provider("aws", region=wishes.region, default_tags=tags)
    ours = pulumi.ResourceOptions(provider=aws)
    image = ssm.get_parameter_output(name=IMAGE, opts=pulumi.InvokeOutputOptions(provider=aws))
    vpc = ec2.Vpc("vpc", cidr_block="198.18.0.0/16", opts=ours)
    subnet = ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="198.18.0.0/24", opts=ours)
    ssh = ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=22, to_port=22, cidr_blocks=[wishes.open_to])
    out = ec2.SecurityGroupEgressArgs(protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"])
    group = ec2.SecurityGroup("group", vpc_id=vpc.id, ingress=[ssh], egress=[out], opts=ours)
    for number, name in enumerate(wishes.keys):
        ec2.KeyPair(f"key-{number}", key_name=name, public_key=wishes.public_key, opts=ours)
    placement = ec2.PlacementGroup("placement", strategy=wishes.strategy, opts=ours)
    properties = {
        "ami": image.value,
        "instance_type": "c7a.medium",
        "subnet_id": subnet.id,
        "vpc_security_group_ids": [group.id],
        "placement_group": placement.name,
        "user_data": wishes.user_data,
        "user_data_replace_on_change": True,
        "tags": {"Name": "machine"},
        **wishes.instance,
    }
    instance = ec2.Instance("machine", opts=ours, **properties)
    pulumi.export("id", instance.id)
    pulumi.export("address", instance.public_ip)
    pulumi.export("tags", instance.tags_all)


def main() -> None:
    """Do what the command line says; print outputs, or the changes that a preview sees."""
    # Ctrl-C is for the engine, which is in our group: were we to end before it, it would write to nobody, and die.
    signal.signal(signal.SIGINT, lambda *_: None)
    wishes = Wishes(**json.load(sys.stdin))
    stack = auto.create_or_select_stack("test", "standin", program=lambda: program(wishes))
    try:
        if sys.argv[1] == "preview":
            found = stack.preview().change_summary
            told: dict[str, Any] = {str(kind): count for kind, count in found.items() if kind != "same"}
        else:
            getattr(stack, sys.argv[1])()
            told = {name: output.value for name, output in stack.outputs().items()}
    except auto.CommandError as error:
        raise SystemExit(str(error)) from error
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
