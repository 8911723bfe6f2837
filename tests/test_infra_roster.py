"""Which machines a stack has."""

from __future__ import annotations

import pytest
from config import Settings
from roster import Place, roster


def names(settings: Settings) -> list[str]:
    """Return the names of the machines."""
    return [place.name for place in roster(settings)]


def test_default() -> None:
    """One of each role."""
    assert roster(Settings()) == (
        Place("tracker", "tracker", "c7a.medium"),
        Place("seeder-1", "seeder", "c7a.large"),
        Place("client-1", "client", "c7a.large"),
    )


def test_more() -> None:
    """Seeders and clients are numbered."""
    assert names(Settings(seeders=2, clients=3)) == "tracker seeder-1 seeder-2 client-1 client-2 client-3".split()  # noqa: SIM905 - reads better


def test_single_machines() -> None:
    """Added ones come last, with their role's type; terminated ones are left out, added or not."""
    settings = Settings(added=("client:debug", "seeder:far"), terminated=("seeder-1", "far"), client_type="c7g.large")
    assert names(settings) == ["tracker", "client-1", "debug"]
    assert roster(settings)[-1] == Place("debug", "client", "c7g.large")


def test_name_twice() -> None:
    """No two machines have one name."""
    with pytest.raises(
        ValueError, match=r"btgames:added: found 'seeder:client-1'; there is a machine client-1 already"
    ):
        roster(Settings(added=("seeder:client-1",)))


def test_nobody_to_terminate() -> None:
    """A name that nobody has is told, with those that there are."""
    with pytest.raises(ValueError, match=r"found 'cleint-1'; allowed are names of machines: tracker, seeder-1"):
        roster(Settings(terminated=("cleint-1",)))
