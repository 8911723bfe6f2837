"""What AWS's provider would accept: names and types from its SDK for Python, enumerations from AWS's model of EC2."""

from __future__ import annotations

import importlib
import inspect
import typing
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from pulumi import _types
from pulumi.runtime.rpc import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

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
PROTOCOLS = dict.fromkeys(
    ("SecurityGroup.ingress.protocol", "SecurityGroup.egress.protocol"), frozenset({"tcp", "udp", "icmp", "-1"})
)


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


def _faults(kind: type, inputs: dict[str, Any], path: str, at: str) -> Iterator[tuple[str, str]]:
    known = _types.input_type_py_to_pulumi_names(kind)
    types = _types.input_type_types(kind)
    for name in _required(kind):
        if known.get(name, name) not in inputs:
            yield at + known.get(name, name), "Missing required argument"
    for name, value in inputs.items():
        if name not in known.values():
            yield at + name, f'An argument named "{name}" is not expected here'
        elif value not in (None, UNKNOWN):
            yield from _of_value(types.get(name), value, f"{path}.{name}", at + name)


def _of_value(kind: Any, value: Any, path: str, at: str) -> Iterator[tuple[str, str]]:
    inner = _nested(kind)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _of_value(inner, item, path, f"{at}[{number}]")
    elif isinstance(value, dict):
        if inner is not None:
            yield from _faults(inner, value, path, f"{at}.")
    elif allowed := values(ENUMERATIONS[path]) if path in ENUMERATIONS else PROTOCOLS.get(path):
        if value not in allowed:
            yield at, f"expected {at} to be one of [{', '.join(sorted(allowed)[:8])}, ...], got {value}"
    elif kind in (bool, str, int, float) and not _fits(value, kind):
        yield at, f"expected type {kind.__name__}, got {value!r}"


def _fits(value: Any, kind: type) -> bool:
    # Numbers are floats on their way from the engine.
    return isinstance(value, bool) if kind is bool else isinstance(value, (int, float) if kind in (int, float) else str)


def _required(kind: type) -> list[str]:
    parameters = list(inspect.signature(kind).parameters.values())
    return [each.name for each in parameters if each.default is each.empty and each.kind == each.POSITIONAL_OR_KEYWORD]


def _nested(kind: Any) -> type | None:
    """Return the class of arguments within a type such as Sequence[Input[XArgs]]."""
    if isinstance(kind, type) and _types.is_input_type(kind):
        return kind
    return next((found for part in typing.get_args(kind) if (found := _nested(part))), None)
