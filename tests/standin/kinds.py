"""The types of resources that there are, and what AWS refuses of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from standin.refusals import refusal

ARCHITECTURES = ("amd64", "arm64")
MISSING = {
    "key": "InvalidKeyPair.NotFound",
    "pg": "InvalidPlacementGroup.Unknown",
    "rtb": "InvalidRouteTableID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "vpc": "InvalidVpcID.NotFound",
}


@dataclass(frozen=True)
class Kind:
    """A type of resource: its ids, what it refers to, which changes replace it, and what AWS adds."""

    prefix: str
    replaces: frozenset[str]
    refers: tuple[tuple[str, str], ...] = ()  # property -> prefix of the ids in it
    tags: bool = True
    named: str = ""  # the property that is unique, and its id
    computed: tuple[str, ...] = ()


def _kind(prefix: str, replaces: str, *refers: tuple[str, str], computed: str = "arn", **more: Any) -> Kind:
    return Kind(prefix, frozenset(replaces.split()), refers, computed=tuple(computed.split()), **more)


IN_VPC = ("vpcId", "vpc")
KINDS = {
    "aws:ec2/vpc:Vpc": _kind("vpc", "cidrBlock instanceTenancy", computed="arn ownerId mainRouteTableId"),
    "aws:ec2/internetGateway:InternetGateway": _kind("igw", "", IN_VPC, computed="arn ownerId"),
    "aws:ec2/subnet:Subnet": _kind(
        "subnet", "vpcId cidrBlock availabilityZone", IN_VPC, computed="arn ownerId availabilityZone availabilityZoneId"
    ),
    "aws:ec2/routeTable:RouteTable": _kind("rtb", "vpcId", IN_VPC, computed="arn ownerId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _kind(
        "rtbassoc", "subnetId", ("subnetId", "subnet"), ("routeTableId", "rtb"), tags=False, computed=""
    ),
    "aws:ec2/securityGroup:SecurityGroup": _kind("sg", "name description vpcId", IN_VPC, computed="arn ownerId"),
    "aws:ec2/keyPair:KeyPair": _kind(
        "key", "keyName publicKey", named="keyName", computed="arn keyPairId fingerprint keyType"
    ),
    "aws:ec2/placementGroup:PlacementGroup": _kind(
        "pg", "name strategy spreadLevel partitionCount", named="name", computed="arn placementGroupId"
    ),
    "aws:ec2/instance:Instance": _kind(
        "i",
        "ami availabilityZone keyName subnetId associatePublicIpAddress placementGroup instanceMarketOptions tenancy "
        "privateIp",
        ("subnetId", "subnet"),
        ("vpcSecurityGroupIds", "sg"),
        ("keyName", "key"),
        ("placementGroup", "pg"),
        computed="arn availabilityZone instanceState privateIp privateDns publicIp publicDns primaryNetworkInterfaceId",
    ),
}


def check(token: str, inputs: dict[str, Any], resources: dict[str, Any], images: dict[str, str]) -> None:
    """Refuse a resource that AWS would not make; `images` are ids and their architectures."""
    kind = KINDS[token]
    for name, prefix in kind.refers:
        for each in [inputs[name]] if isinstance(inputs.get(name), str) else inputs.get(name) or []:
            found = resources.get(each)
            if not found or KINDS[found["type"]].prefix != prefix:
                code = {
                    "key": "KeyPair",
                    "pg": "PlacementGroup",
                    "sg": "Group",
                    "subnet": "SubnetID",
                    "vpc": "VpcID",
                }
                words = f"The {name} '{each}' does not exist"
                raise refusal(token, "create", f"Invalid{code.get(prefix, prefix)}.NotFound", words)
    if kind.named and inputs[kind.named] in resources:
        raise refusal(
            token,
            "create",
            MISSING[kind.prefix].partition(".")[0] + ".Duplicate",
            f"'{inputs[kind.named]}' already exists.",
        )
    if kind.prefix != "i":
        return
    wanted, type_ = architecture_of(inputs["instanceType"]), inputs["instanceType"]
    if inputs["ami"] not in images:
        raise refusal(token, "create", "InvalidAMIID.NotFound", f"The image id '[{inputs['ami']}]' does not exist")
    if images[inputs["ami"]] != wanted:
        words = f"The architecture of the specified instance type '{type_}' does not match the architecture of the"
        raise refusal(token, "create", "InvalidParameterValue", f"{words} specified AMI: {images[inputs['ami']]}.")
    if inputs.get("placementGroup") and re.match(r"t\d", type_):
        words = f"Cluster placement groups are not supported by the '{type_}' instance type."
        raise refusal(token, "create", "InvalidParameterCombination", words)


def references(kind: Kind, state: dict[str, Any]) -> set[str]:
    """Return the ids that a resource refers to."""
    found: set[str] = set()
    for name, _ in kind.refers:
        value = state.get(name) or []
        found |= {value} if isinstance(value, str) else set(value)
    return found


def architecture_of(instance_type: str) -> str:
    """Return Debian's name for the architecture of a type: Graviton has a g after the generation."""
    return "arm64" if re.match(r"(a1|[a-z]+\d+g[a-z]*)\.", instance_type) else "amd64"
