"""Where a yardstick fetches a payload from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from btgames import payload, places
from btgames.scenario import load, pieces_of
from btgames.sources import owners, sources

if TYPE_CHECKING:
    from btgames.scenario import Scenario


def shipped(name: str) -> Scenario:
    """Return one of the scenarios that ship."""
    return load(name, places.SCENARIOS).scenario


@pytest.mark.parametrize("name", ["small", "many-seeders", "portions", "drag"])
def test_parts_are_the_payload(name: str) -> None:
    """The parts cover every byte of every file once."""
    scenario = shipped(name)
    servers = [f"http://seeder-{number}" for number in range(len(scenario.each_seeder))]

    found = sources(scenario, servers)

    assert sum(length for *_, length in found) == payload.size(scenario.layout)
    for path, size in scenario.layout:
        mine = sorted((offset, length) for _, where, offset, length in found if where == path)
        ends = [0, *(offset + length for offset, length in mine)]
        assert [offset for offset, _ in mine] == ends[:-1]
        assert ends[-1] == size


def test_one_seeder_serves_files_whole() -> None:
    """With one seeder a yardstick is a plain download."""
    assert sources(shipped("small"), ["http://a"]) == (("http://a", "payload.bin", 0, 2_000_000),)


def test_seeders_share_evenly_where_links_are_equal() -> None:
    """Eight seeders with equal links serve an eighth each, in one stretch."""
    owner = owners(shipped("many-seeders"))

    assert owner == sorted(owner)
    assert max(map(owner.count, range(8))) - min(map(owner.count, range(8))) <= 1


def test_a_piece_comes_from_who_holds_it() -> None:
    """Where no seeder holds all, each piece comes from one that has it."""
    scenario = shipped("portions")

    for piece, seeder in enumerate(owners(scenario)):
        held = pieces_of(scenario, seeder, scenario.num_pieces)
        assert held is not None
        assert piece in held
