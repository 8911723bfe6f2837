"""What the name of an EC2 instance type tells: series, generation, options, size. See AWS's naming conventions."""

from __future__ import annotations

import re

NAME = re.compile(
    r"(?P<series>[a-z]+?)(?P<generation>\d+)(?P<options>[a-z]*)(?P<flavour>-[a-z]+)?"
    r"\.(?:nano|micro|small|medium|large|\d*xlarge|metal(?:-\d+xl)?)"
)
# fmt: off
BEFORE_NITRO = {
    "c1", "c3", "c4", "d2", "f1", "g2", "g3", "g3s", "h1", "i2", "i3", "m1", "m2", "m3", "m4", "p2", "p3", "r3", "r4",
    "t1", "t2", "x1", "x1e",
}
# fmt: on
"""
These have disks and network cards of other kinds, and some no cluster placement: not worth a special case each.
"""


def architecture(instance_type: str) -> str:
    """
    Return amd64 or arm64: the options of Graviton's types hold a ``g``, as in c7g, m6gd and im4gn; a1 was the first.

    Raises:
        ValueError: that is no type that a race can use.

    """
    match = NAME.fullmatch(instance_type)
    if match is None or match["series"] == "mac" or instance_type.partition(".")[0] in BEFORE_NITRO:
        raise ValueError(instance_type)
    graviton = "g" in match["options"] or match["series"] + match["generation"] == "a1"
    return "arm64" if graviton else "amd64"


def burstable(instance_type: str) -> bool:
    """Tell whether its CPU is lent in credits, so that a heat depends on what ran before."""
    return instance_type.startswith("t")


def clusters(instance_type: str) -> bool:
    """Tell whether it may be in a cluster placement group."""
    return not burstable(instance_type) and "-flex." not in instance_type
