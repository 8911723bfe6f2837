"""The settings of a stack: each mistake is one line, all of them told at once."""

from __future__ import annotations

import pytest
from config import REGIONS, Settings, read
from prices import price_list


def mistakes(**found: str) -> list[str]:
    """Return the lines that those settings are answered with."""
    with pytest.raises(ValueError, match="btgames:") as raised:
        read(found)
    return str(raised.value).splitlines()


def test_defaults() -> None:
    """Nothing has to be set."""
    assert read({}) == Settings()


def test_all() -> None:
    """Each key is read into its own type."""
    found = {
        "region": "eu-central-1",
        "zone": "eu-central-1b",
        "tracker_type": "c7g.medium",
        "seeders": "3",
        "clients": "0",
        "hours": "0.5",
        "ssh_cidr": "198.51.100.0/24",
        "spot": "true",
        "added": '["client:debug"]',
        "terminated": "seeder-1,client-1",
        "price_limit_usd": "10",
    }
    settings = read(found)
    assert (settings.region, settings.zone, settings.tracker_type) == ("eu-central-1", "eu-central-1b", "c7g.medium")
    assert (settings.seeders, settings.clients, settings.hours, settings.spot) == (3, 0, 0.5, True)
    assert (settings.ssh_cidr, settings.reach_me) == ("198.51.100.0/24", None)
    assert (settings.added, settings.terminated) == (("client:debug",), ("seeder-1", "client-1"))
    assert settings.price_limit_usd == 10


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("region", "eu-centrall-1", "a region of AWS"),
        ("zone", "b", "an availability zone"),
        ("zone", "", "an availability zone"),
        ("client_type", "c7a", "an instance type such as c7a.large"),
        ("client_type", "mac2.metal", "an instance type such as c7a.large"),
        ("seeder_type", "m4.large", "an instance type such as c7a.large"),
        ("seeders", "101", "a whole number from 0 to 100"),
        ("clients", "-1", "a whole number from 0 to 100"),
        ("clients", "1.5", "a whole number from 0 to 100"),
        ("hours", "0", "hours to live, from 0.01 to 168"),
        ("hours", "nan", "hours to live, from 0.01 to 168"),
        ("hours", "for ever", "hours to live, from 0.01 to 168"),
        ("ssh_cidr", "198.51.100.7/24", "an IPv4 block such as 198.51.100.7/32"),
        ("ssh_cidr", "me", "an IPv4 block such as 198.51.100.7/32"),
        ("reach_me", "::1/128", "an IPv4 block such as 198.51.100.7/32"),
        ("spot", "yes", "true or false"),
        ("added", "debug", "a list such as client:debug"),
        ("added", '["client:a", "client:a"]', "a list such as client:debug"),
        ("added", "[", "a list such as client:debug"),
        ("terminated", "Client 1", "a list of machines' names"),
        ("price_limit_usd", "-1", "US dollars, from 0 to 10000"),
    ],
)
def test_mistake(key: str, value: str, allowed: str) -> None:
    """A wrong value is one line that names the key, what was found and what is allowed."""
    (line,) = mistakes(**{key: value})
    assert line.startswith(f"btgames:{key}: found {value!r}; allowed is {allowed}")


def test_all_at_once() -> None:
    """All mistakes are told."""
    assert len(mistakes(seeders="x", clients="y", colour="blue")) == 3


def test_unknown_key() -> None:
    """An unknown key is answered by the nearest one, or by all there are."""
    assert mistakes(sedders="2") == ["btgames:sedders: no such key - did you mean seeders?"]
    assert "there are region, zone, tracker_type" in mistakes(xyzzy="2")[0]


def test_zone_elsewhere() -> None:
    """A zone belongs to its region."""
    assert mistakes(zone="eu-west-1a") == ["btgames:zone: found 'eu-west-1a'; allowed is a zone of us-east-1"]


def test_regions_with_prices() -> None:
    """Every region with a price is allowed."""
    assert {*price_list().instance_hour, *price_list().gp3_gb_month} <= {*REGIONS}
