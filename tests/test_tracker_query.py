"""Announces as odd clients write them."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from btgames.agents import tracker_query

HASHES = st.binary(min_size=20, max_size=20)
AWKWARD = b"&=#+ %41%zz?/\r\n\0\xff&p="  # 20 bytes, each with a meaning of its own in a request


@given(HASHES, st.booleans())
@example(AWKWARD, True)
@example(AWKWARD, False)
def test_info_hash_in_every_writing(info_hash: bytes, last: bool) -> None:  # noqa: FBT001 - hypothesis calls it
    """An info hash is read however it is written: escaped, as a form, all raw, raw but for ``&``; last or not."""
    rest = b"peer_id=abcdefghijklmnopqrst&port=6881&left=7"
    escaped_ampersand = info_hash.replace(b"%", b"%25").replace(b"&", b"%26")
    for written in (quote(info_hash, safe="").encode(), quote_plus(info_hash).encode(), info_hash, escaped_ampersand):
        query = rest + b"&info_hash=" + written if last else b"info_hash=" + written + b"&" + rest
        target = tracker_query.parse(b"/announce?" + query)
        assert info_hash in target.info_hashes
        assert target.path == b"/announce"


def test_fields_beside_a_raw_info_hash() -> None:
    """The other parameters are read, too, where the info hash holds bytes with a meaning in queries."""
    target = tracker_query.parse(
        b"/announce?info_hash=" + AWKWARD + b"&peer_id=" + AWKWARD[::-1] + b"&port=6881&left=7"
    )
    assert AWKWARD in target.info_hashes
    assert AWKWARD[::-1] in target.peer_ids
    assert (target.port, target.integer("left")) == (6881, 7)


@given(st.binary(max_size=300))
def test_any_target(raw: bytes) -> None:
    """Any bytes are a target, and its numbers are numbers or None."""
    target = tracker_query.parse(raw)
    assert target.port is None or 0 < target.port < 65536
    assert isinstance(target.fields, dict)


@pytest.mark.parametrize(
    "target", [b"http://198.18.0.1:80/announce?port=1", b"/announce/?port=1", b"//announce?port=1"]
)
def test_path(target: bytes) -> None:
    """A target with scheme and host, or with more slashes than needed, is the same request."""
    parsed = tracker_query.parse(target)
    assert parsed.path.endswith(b"announce")
    assert parsed.port == 1


@pytest.mark.parametrize("text", ["", "0", "-1", "65536", "6881x", "1e3", "9" * 5000, "\u0661"])
def test_no_port(text: str) -> None:
    """A port that nobody can connect to is no port."""
    assert tracker_query.parse(b"/announce?port=" + quote(text).encode()).port is None


def test_first_one_counts() -> None:
    """Of two parameters of one name, the first one counts."""
    assert tracker_query.parse(b"/announce?port=1&port=2").port == 1
