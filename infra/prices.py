"""What a fleet costs, estimated from prices.yaml: on demand, with disks and addresses, without traffic and taxes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

DISK_GB = 16
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Prices:
    """A price list in US dollars."""

    date: dt.date
    public_ipv4_hour: float
    gp3_gb_month: Mapping[str, float]  # by region
    instance_hour: Mapping[str, Mapping[str, float]]  # by region and type

    def machine_hour(self, region: str, instance_type: str) -> float | None:
        """Return what one machine costs an hour; None where the list does not say."""
        instance = self.instance_hour.get(region, {}).get(instance_type)
        disk = self.gp3_gb_month.get(region, self.gp3_gb_month["us-east-1"])  # a tenth of a cent, whichever region
        return None if instance is None else instance + self.public_ipv4_hour + disk * DISK_GB / HOURS_A_MONTH


@dataclass(frozen=True)
class Estimate:
    """What the machines of a fleet cost together."""

    hourly_usd: float | None  # None when no price is known
    words: str


@functools.cache
def price_list() -> Prices:
    """Return the price list of the repository."""
    return Prices(**yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text()))


def estimate(types: Sequence[str], *, region: str, hours: float, spot: bool, prices: Prices) -> Estimate:
    """Estimate what machines of those types cost in a region, an hour and until they end."""
    known = {kind: price for kind in types if (price := prices.machine_hour(region, kind)) is not None}
    unknown = sorted({*types} - known.keys())
    missing = f"unknown for {', '.join(unknown)} in {region}" if unknown else ""
    if types and not known:
        return Estimate(None, missing)
    hourly = sum(known.get(kind, 0.0) for kind in types)
    about = "at most" if spot else "about"
    words = (
        f"{about} ${hourly:.2f} an hour, ${hourly * hours:.2f} for {hours:g} hours, traffic and taxes apart "
        f"(list prices of {prices.date}, {len(types)} machines in {region})"
    )
    return Estimate(hourly if not unknown else None, f"{words}; {missing}" if unknown else words)
