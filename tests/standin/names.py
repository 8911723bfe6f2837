"""What AWS's provider would accept: names and types from its SDK for Python, enumerations from AWS's model of EC2."""

from __future__ import annotations

import importlib
import inspect
import typing
from functools import cache
from typing import Any

import botocore.session
from pulumi import _types
from pulumi.runtime.rpc import UNKNOWN

ENUMERATIONS = {
    # resource type and path of a property -> the shape of EC2's model that lists its values
    "Instance.instanceType": "InstanceType",
    "Instance.instanceInitiatedShutdownBehavior": "ShutdownBehavior",
    "Instance.tenancy": "Tenancy",
    "Instance.metadataOptions.httpEndpoint": "InstanceMetadataEndpointState",
    "Instance.metadataOptions.httpTokens": "HttpTokensState",
    "Instance.rootBlockDevice.volumeType": "VolumeType",
    "Instance.instanceMarketOptions.marketType": "MarketType",
    "Instance.instanceMarketOptions.spotOptions.spotInstanceType": "SpotInstanceType",
    "Instance.instanceMarketOptions.spotOptions.instanceInterruptionBehavior": "InstanceInterruptionBehavior",
    "PlacementGroup.strategy": "PlacementStrategy",
    "PlacementGroup.spreadLevel": "SpreadLevel",
}
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "-1")


@cache
def values(shape: str) -> frozenset[str]:
    """Return the values of an enumeration of EC2's."""
    return frozenset(botocore.session.get_session().get_service_model("ec2").shape_for(shape).enum)


def regions() -> frozenset[str]:
    """Return AWS's regions."""
    return frozenset(botocore.session.get_session().get_available_regions("ec2"))


def arguments(token: str) -> type:
    """Return the class of the SDK that describes a resource's inputs; `token` is like ``aws:ec2/vpc:Vpc``."""
    _, module, name = token.split(":")
    package = importlib.import_module(f"pulumi_aws.{module.partition('/')[0]}")
    return typing.cast("type", getattr(package, f"{name}Args"))


def faults(token: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (property, reason) of each input that the provider would refuse."""
    return list(_faults(arguments(token), inputs, token.rpartition(":")[2], ""))


def _faults(kind: type, inputs: dict[str, Any], path: str, at: str) -> typing.Iterator[tuple[str, str]]:
    known = _types.input_type_py_to_pulumi_names(kind)
    types = _types.input_type_types(kind)
    for name in _required(kind):
        if known.get(name, name) not in inputs:
            yield at + known.get(name, name), "Missing required argument"
    for name, value in inputs.items():
        here = f"{path}.{name}"
        if name not in known.values():
            yield at + name, f'An argument named "{name}" is not expected here'
        elif value in (None, UNKNOWN):
            continue
        elif isinstance(value, dict) and (inner := _nested(types.get(name))):
            yield from _faults(inner, value, here, f"{at}{name}.")
        elif isinstance(value, list) and (inner := _nested(types.get(name))):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _faults(inner, item, here, f"{at}{name}[{number}].")
        elif here in ENUMERATIONS and value not in (allowed := values(ENUMERATIONS[here])):
            some = ", ".join(sorted(allowed)[:8])
            yield at + name, f"expected {at}{name} to be one of [{some}, ...], got {value}"
        elif name == "protocol" and value not in PROTOCOLS:
            yield at + name, f"expected protocol to be one of {PROTOCOLS}, got {value}"
        elif types.get(name) in (bool, str, int, float) and not _fits(value, types[name]):
            yield at + name, f"expected type {types[name].__name__}, got {value!r}"


def _fits(value: Any, kind: type) -> bool:
    # Numbers are floats on their way from the engine.
    return isinstance(value, bool) if kind is bool else isinstance(value, (int, float) if kind in (int, float) else str)


def _required(kind: type) -> list[str]:
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return [each.name for each in parameters if each.default is each.empty and each.kind == each.POSITIONAL_OR_KEYWORD]


def _nested(kind: Any) -> type | None:
    """Return the class of arguments within a type such as Sequence[Input[XArgs]]."""
    if isinstance(kind, type) and _types.is_input_type(kind):
        return kind
    return next((found for part in typing.get_args(kind) if (found := _nested(part))), None)
