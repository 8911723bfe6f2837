"""The swarm that the referee serves: who is told of whom, and what the log keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from btgames.agents import tracker_swarm
from btgames.agents.tracker_swarm import LOG_ENDS, MAX_NUMWANT, MAX_PEERS, NUMWANT, Announce, Counts, Refused, Swarm

INFO_HASH = bytes(range(20))
ASKER = Announce(
    at_s=1.0, ip="198.18.0.9", transport="http", info_hash=INFO_HASH, peer_id=b"-XX0000-asker", port=9, left=5
)


@pytest.fixture
def swarm() -> Swarm:
    """Return a swarm with one seeder and one other client."""
    swarm = Swarm()
    swarm.expect(INFO_HASH)
    swarm.announce(replace(ASKER, ip="198.18.0.1", port=1, peer_id=b"seeder", left=0))
    swarm.announce(replace(ASKER, ip="198.18.0.2", port=2, peer_id=b"leecher", left=3))
    return swarm


def told(swarm: Swarm, announce: Announce) -> list[int]:
    """Return the ports of the peers that an announce is answered with."""
    peers, _ = swarm.announce(announce)
    return [peer.port for peer in peers]


def test_asker_is_left_out(swarm: Swarm) -> None:
    """An asker is told of all others and never of itself, be it by its address or by its peer id."""
    assert told(swarm, ASKER) == [1, 2]
    assert told(swarm, ASKER) == [1, 2]
    assert told(swarm, replace(ASKER, port=10)) == [1, 2]
    assert told(swarm, replace(ASKER, port=None, peer_id=b"other")) == [1, 2, 9, 10]


def test_without_port_left_or_event(swarm: Swarm) -> None:
    """Who says nothing but its info hash gets peers, and nobody is told of it."""
    silent = Announce(at_s=1.0, ip="198.18.0.7", transport="http", info_hash=INFO_HASH, peer_id=b"")
    assert told(swarm, silent) == [1, 2]
    assert told(swarm, ASKER) == [1, 2]
    assert swarm.counts() == Counts(complete=1, incomplete=2, downloaded=0)


def test_whoever_asks_is_told_of_all(swarm: Swarm) -> None:
    """Who says that nothing is left is told of seeders all the same: a client of 2013 says so from its start."""
    assert told(swarm, replace(ASKER, left=0)) == [1, 2]
    assert told(swarm, replace(ASKER, left=None)) == [1, 2]


def test_stopped_and_completed(swarm: Swarm) -> None:
    """Who stopped is told of nobody, and nobody of it; who completed is counted."""
    swarm.announce(replace(ASKER, event="completed", left=0))
    assert swarm.counts() == Counts(complete=2, incomplete=1, downloaded=1)
    assert told(swarm, replace(ASKER, event="stopped")) == []
    assert swarm.counts() == Counts(complete=1, incomplete=1, downloaded=1)


def test_another_info_hash(swarm: Swarm) -> None:
    """Another info hash is refused with the reason, changes no peer, and stands in the log."""
    with pytest.raises(Refused, match="unknown info_hash"):
        swarm.announce(replace(ASKER, info_hash=bytes(20)))
    with pytest.raises(Refused, match="info_hash has 3 bytes"):
        swarm.announce(replace(ASKER, info_hash=b"abc"))
    assert [entry["status"] for entry in swarm.log()["announces"]][2:] == ["unknown info_hash", "info_hash has 3 bytes"]
    assert swarm.counts().incomplete == 1


def test_nothing_is_served_before_it_is_expected() -> None:
    """A swarm that expects nothing refuses everything, an empty info hash included."""
    for info_hash in (INFO_HASH, b""):
        with pytest.raises(Refused):
            Swarm().announce(replace(ASKER, info_hash=info_hash))


def test_expecting_anew_forgets(swarm: Swarm) -> None:
    """A new info hash, or the same once more, starts with nothing known and an empty log."""
    swarm.expect(INFO_HASH)
    assert swarm.log() == {"announces": [], "dropped": 0}
    assert told(swarm, ASKER) == []
    with pytest.raises(ValueError, match="20 bytes, not 3"):
        swarm.expect(b"abc")


def test_numwant(swarm: Swarm) -> None:
    """An asker gets as many as it wants, up to a limit; without a wish the usual number; the first ones first."""
    for port in range(3, 503):
        swarm.announce(replace(ASKER, ip="198.18.0.3", port=port, peer_id=b""))
    wants = {0: 0, 1: 1, None: NUMWANT, -1: NUMWANT, 300: MAX_NUMWANT, 10**18: MAX_NUMWANT}
    for numwant, expected in wants.items():
        assert told(swarm, replace(ASKER, numwant=numwant)) == [*range(1, 504)][:expected]


def test_peers_are_bounded(swarm: Swarm) -> None:
    """A flood of invented peers fills the list and no more; those who were there first stay, and still get answers."""
    for flood in range(MAX_PEERS + 500):
        swarm.announce(replace(ASKER, ip="198.18.0.3", port=1 + flood, peer_id=b""))
    counts = swarm.counts()
    assert counts.complete + counts.incomplete == MAX_PEERS
    assert told(swarm, replace(ASKER, ip="198.18.0.4", numwant=2)) == [1, 2]


def test_log_is_bounded(swarm: Swarm) -> None:
    """The log keeps its beginning and its end, and counts what lies between."""
    for at_s in range(2 * LOG_ENDS + 100):
        swarm.announce(replace(ASKER, at_s=float(at_s)))
    log = swarm.log()
    assert len(log["announces"]) == 2 * LOG_ENDS
    assert log["dropped"] == 102
    assert log["announces"][2]["at_s"] == 0.0
    assert log["announces"][-1]["at_s"] == 2 * LOG_ENDS + 99


def test_log_entries(swarm: Swarm) -> None:
    """An entry has all that the announce said, in plain JSON types."""
    assert swarm.log()["announces"][0] == {
        "at_s": 1.0,
        "ip": "198.18.0.1",
        "transport": "http",
        "info_hash": INFO_HASH.hex(),
        "peer_id": b"seeder".hex(),
        "port": 1,
        "event": "",
        "left": 0,
        "downloaded": None,
        "uploaded": None,
        "numwant": None,
        "status": "ok",
    }


def test_one_datagram_carries_the_longest_answer() -> None:
    """The most peers that are ever sent fit a UDP datagram on an Ethernet, heads included."""
    assert 20 + 8 + 20 + 6 * tracker_swarm.MAX_NUMWANT <= 1500
