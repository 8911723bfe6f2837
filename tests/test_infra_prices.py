"""What a fleet costs, as far as the price list knows."""

from __future__ import annotations

import datetime as dt

import pytest
from prices import DISK_GB, Estimate, Prices, estimate, price_list

PRICES = Prices(
    date=dt.date(2026, 1, 19),
    public_ipv4_hour=0.005,
    gp3_gb_month={"us-east-1": 730 / DISK_GB / 1000, "eu-west-1": 730 / DISK_GB / 500},  # 1 and 2 thousandths an hour
    instance_hour={"us-east-1": {"c7a.large": 0.1, "c7a.medium": 0.05}, "eu-west-1": {"c7a.large": 0.2}},
)


def estimated(*types: str, region: str = "us-east-1", spot: bool = False) -> Estimate:
    """Estimate for two hours."""
    return estimate(types, region=region, hours=2, spot=spot, prices=PRICES)


def test_sum() -> None:
    """A machine is its instance, its disk and its address."""
    found = estimated("c7a.large", "c7a.large", "c7a.medium")
    assert found.hourly_usd == pytest.approx(0.25 + 3 * 0.006)
    assert found.words == (
        "about $0.27 an hour, $0.54 for 2 hours, traffic and taxes apart (list prices of 2026-01-19, "
        "3 machines in us-east-1)"
    )


def test_region() -> None:
    """Prices are the region's own."""
    assert estimated("c7a.large", region="eu-west-1").hourly_usd == pytest.approx(0.2 + 0.005 + 0.002)


def test_spot() -> None:
    """Spot instances cost at most that."""
    assert estimated("c7a.large", spot=True).words.startswith("at most $0.11 an hour")


def test_partly_unknown() -> None:
    """What is not on the list is said to be unknown, and no sum is given as if it were all."""
    found = estimated("c7a.large", "x9z.huge")
    assert found.hourly_usd is None
    assert found.words.startswith("about $0.11 an hour")
    assert found.words.endswith("; unknown for x9z.huge in us-east-1")


def test_unknown() -> None:
    """With no known price, that is all there is to say."""
    assert estimated("x9z.huge") == Estimate(None, "unknown for x9z.huge in us-east-1")


def test_nothing() -> None:
    """No machines cost nothing."""
    assert estimated().hourly_usd == 0


def test_the_list() -> None:
    """The repository's list is dated, and knows the default fleet in several regions."""
    prices = price_list()
    assert prices.date >= dt.date(2026, 1, 1)
    for region in ("us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-northeast-1"):
        assert 0.05 < (prices.machine_hour(region, "c7a.medium") or 0) < (prices.machine_hour(region, "c7a.large") or 0)
