"""
Where a yardstick fetches a payload from: which part of which file from which seeder's HTTP server.

With one seeder that is each file, whole, from its server. With several, those that hold everything share the payload in
stretches as long as their links are fast; where none does, each piece comes from the first seeder that holds it.
"""

from __future__ import annotations

from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from btgames import payload
from btgames.scenario import pieces_of

if TYPE_CHECKING:
    from btgames.scenario import Scenario


def owners(scenario: Scenario) -> list[int]:
    """Return, for each piece, the seeder (from 0) that a yardstick fetches it from."""
    count = scenario.num_pieces
    held = [pieces_of(scenario, seeder, count) for seeder in range(len(scenario.each_seeder))]
    whole = [seeder for seeder, pieces in enumerate(held) if pieces is None]
    if not whole:
        parts = [pieces or frozenset() for pieces in held]
        return [next(seeder for seeder, pieces in enumerate(parts) if piece in pieces) for piece in range(count)]
    rates = [scenario.each_seeder[seeder].up_mbit for seeder in whole]
    weights = [rate or 1.0 for rate in rates] if None not in rates else [1.0] * len(whole)
    # Where each one's stretch ends, in pieces; the last takes what rounding has left.
    ends = [round(count * share / sum(weights)) for share in accumulate(weights)]
    return [next(seeder for seeder, end in zip(whole, ends, strict=True) if piece < end) for piece in range(count)]


def sources(scenario: Scenario, servers: list[str]) -> tuple[tuple[str, str, int, int], ...]:
    """
    Return (server, path, offset, bytes) of each part, in the payload's order; together they are the payload.

    Args:
        scenario: whose payload it is.
        servers: of each seeder, the address of its HTTP server.

    """
    owner = owners(scenario)
    piece_size = scenario.payload.piece_size
    cuts = payload.segments(scenario.layout, piece_size)
    found = []
    for (file, seeder), run in groupby(cuts, lambda cut: (cut.file, owner[cut.start // piece_size])):
        stretch = list(run)
        found.append((servers[seeder], scenario.layout[file][0], stretch[0].offset, sum(cut.length for cut in stretch)))
    return tuple(found)
