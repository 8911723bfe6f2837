"""The referee over UDP, without a network: ids that expire, datagrams of any shape."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from btgames.agents.tracker_swarm import Swarm
from btgames.agents.tracker_udp import PROTOCOL_ID, ConnectionIds, UdpFront

INFO_HASH = bytes(range(20))


def front() -> UdpFront:
    """Return a front that serves INFO_HASH."""
    swarm = Swarm()
    swarm.expect(INFO_HASH)
    return UdpFront(swarm, 30)


def test_connection_ids_expire() -> None:
    """A connection id holds for two minutes at least and three at most, for the one who got it."""
    now = 1000.0
    ids = ConnectionIds(b"secret" * 3, lambda: now)
    given_id = ids.give("198.18.0.1")
    assert not ids.accepts("198.18.0.2", given_id)
    now = 1120.0
    assert ids.accepts("198.18.0.1", given_id)
    now = 1180.0
    assert not ids.accepts("198.18.0.1", given_id)


def test_connection_ids_need_the_secret() -> None:
    """Who does not know the secret cannot guess another's id."""
    assert not ConnectionIds(b"a" * 16, lambda: 0.0).accepts("x", ConnectionIds(b"b" * 16, lambda: 0.0).give("x"))


@given(st.binary(max_size=200), st.sampled_from([0, 1, 2, 3, 9]))
def test_any_datagram(tail: bytes, action: int) -> None:
    """Whatever follows a valid head, the answer repeats the transaction id, or is an error, or is silence."""
    udp = front()
    answer = udp.answer(struct.pack(">QII", PROTOCOL_ID, 0, 5), "198.18.0.1")
    assert answer is not None
    connection_id = int.from_bytes(answer[8:], "big")
    answer = udp.answer(struct.pack(">QII", connection_id, action, 77) + tail, "198.18.0.1")
    assert answer is not None
    kind, transaction_id = struct.unpack_from(">II", answer)
    assert transaction_id == 77
    assert kind in {action, 3}


@given(st.binary(max_size=120))
def test_any_bytes(datagram: bytes) -> None:
    """Bytes that are shorter than a head get silence, others an answer of BEP 15: nothing raises."""
    answer = front().answer(datagram, "198.18.0.1")
    assert (answer is None) == (len(datagram) < 16)


def test_silence_is_no_announce() -> None:
    """An announce that is cut off is refused and changes nothing."""
    udp = front()
    answer = udp.answer(struct.pack(">QII", PROTOCOL_ID, 0, 5), "198.18.0.1")
    assert answer is not None
    cut = udp.answer(answer[8:] + struct.pack(">II", 1, 6) + INFO_HASH + bytes(61), "198.18.0.1")
    assert cut is not None
    assert cut[:4] == bytes([0, 0, 0, 3])
    assert udp._swarm.scraped([INFO_HASH])[INFO_HASH].incomplete == 0
