"""
The keys of a stack's configuration: ``pulumi config set KEY VALUE``. All mistakes are told at once, one line each.

A key's reader returns its value, or raises ValueError; what it allows is said beside it.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import instance_types
from roster import ADDED, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMESPACE = "btgames"
# fmt: off
REGIONS = [
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
    "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
    "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
]
# fmt: on


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return read


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _block(text: str) -> str:
    return str(ipaddress.IPv4Network(text))


def _instance_type(text: str) -> str:
    instance_types.architecture(text)
    return text


def _zone(text: str) -> str:
    if text[:-1] not in REGIONS or not text[-1].islower():
        raise ValueError(text)
    return text


def _names(matches: Callable[[str], object]) -> Callable[[str], tuple[str, ...]]:
    """Read a list: as Pulumi writes one (JSON), or words with commas between."""

    def read(text: str) -> tuple[str, ...]:
        found = json.loads(text) if text.startswith("[") else [word for word in text.split(",") if word]
        names = tuple(str(each).strip() for each in found)
        if len(set(names)) < len(names) or not all(map(matches, names)):
            raise ValueError(text)
        return names

    return read


def _key(default: Any, read: Callable[[str], object], allowed: str) -> Any:
    return field(default=default, metadata={"read": read, "allowed": allowed})


TYPE = "an instance type such as c7a.large (amd64) or c7g.large (arm64), no Mac and none older than Nitro"
BLOCK = "an IPv4 block such as 198.51.100.7/32"


@dataclass(frozen=True)
class Settings:
    """What a stack's configuration says."""

    region: str = _key("us-east-1", _one_of(*REGIONS), "a region of AWS such as us-east-1 or eu-central-1")
    zone: str | None = _key(None, _zone, "an availability zone of the region, such as us-east-1b")
    tracker_type: str = _key("c7a.medium", _instance_type, TYPE)
    seeder_type: str = _key("c7a.large", _instance_type, TYPE)
    client_type: str = _key("c7a.large", _instance_type, TYPE)
    seeders: int = _key(1, _whole(0, 100), "a whole number from 0 to 100")
    clients: int = _key(1, _whole(0, 100), "a whole number from 0 to 100")
    hours: float = _key(4.0, _number(0.01, 168), "hours to live, from 0.01 to 168")
    ssh_cidr: str | None = _key(None, _block, BLOCK)
    reach_me: str | None = _key(None, _block, BLOCK)
    spot: bool = _key(False, _switch, "true or false")
    added: tuple[str, ...] = _key((), _names(ADDED.fullmatch), "a list such as client:debug, each once")
    terminated: tuple[str, ...] = _key((), _names(NAME.fullmatch), "a list of machines' names, each once")
    price_limit_usd: float = _key(2.0, _number(0, 10_000), "US dollars, from 0 to 10000")


def read(found: Mapping[str, str]) -> Settings:
    """
    Return the settings that `found` holds: key -> what the user wrote, without the namespace.

    Raises:
        ValueError: one line for each key that is unknown, or whose value is not allowed.

    """
    keys = {each.name: each for each in fields(Settings)}
    values: dict[str, Any] = {}
    mistakes = [f"{NAMESPACE}:{key}: no such key{_nearest(key, keys)}" for key in found if key not in keys]
    for name, key in keys.items():
        try:
            if name in found:
                values[name] = key.metadata["read"](found[name])
        except (ValueError, KeyError):
            mistakes.append(f"{NAMESPACE}:{name}: found {found[name]!r}; allowed is {key.metadata['allowed']}")
    if not mistakes:
        settings = Settings(**values)
        if settings.zone is None or settings.zone.startswith(settings.region):
            return settings
        mistakes = [f"{NAMESPACE}:zone: found {settings.zone!r}; allowed is a zone of {settings.region}"]
    raise ValueError("\n".join(mistakes))


def _nearest(name: str, known: Mapping[str, object]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" - did you mean {matches[0]}?" if matches else f"; there are {', '.join(known)}"
