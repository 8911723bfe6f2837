"""What the name of an instance type tells."""

from __future__ import annotations

import pytest
from instance_types import architecture, burstable, clusters
from prices import price_list


@pytest.mark.parametrize("name", ["c7g.medium", "m6gd.large", "im4gn.xlarge", "t4g.small", "a1.large", "c7g.metal"])
def test_arm64(name: str) -> None:
    """Graviton's types are arm64."""
    assert architecture(name) == "arm64"


@pytest.mark.parametrize("name", ["c7a.large", "m7i-flex.large", "g4dn.xlarge", "t3a.micro", "c7i.metal-24xl"])
def test_amd64(name: str) -> None:
    """All others are amd64: a g of the series is no g of the options."""
    assert architecture(name) == "amd64"


@pytest.mark.parametrize("name", ["c7a", "c7a.huge", "large", "mac2.metal", "t2.micro", "m4.large", "C7A.large"])
def test_no_such_type(name: str) -> None:
    """What is no type, or one that no race should run on, is refused."""
    with pytest.raises(ValueError, match=name):
        architecture(name)


def test_burstable() -> None:
    """CPU in credits: the T series, and that alone."""
    assert [name for name in ("t3.micro", "t4g.small", "c7a.large", "m7i-flex.large") if burstable(name)] == [
        "t3.micro",
        "t4g.small",
    ]


def test_clusters() -> None:
    """Burstable and flexible types may not be in a cluster placement group."""
    assert clusters("c7gn.large")
    assert not clusters("t3.micro")
    assert not clusters("m7i-flex.large")


def test_types_with_prices() -> None:
    """Every type with a price is allowed."""
    for prices in price_list().instance_hour.values():
        for name in prices:
            assert architecture(name)
