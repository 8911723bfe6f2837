"""Bencoding: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btgames.agents import bencode

VALUES = st.recursive(
    st.integers() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_round_trip(value: object) -> None:
    """What was encoded decodes to itself."""
    try:
        assert bencode.decode(bencode.encode(value)) == value
    except ValueError as error:
        assert "deeply" in str(error)  # noqa: PT017 - the only thing that may be refused


@given(st.binary())
def test_anything_else_is_a_value_error(text: bytes) -> None:
    """Bytes that are no bencoded value are a ValueError, never another exception; those that are come back the same."""
    try:
        value = bencode.decode(text)
    except ValueError:
        return
    assert bencode.decode(bencode.encode(value)) == value


def test_keys_are_sorted_as_bytes() -> None:
    """A dictionary's keys are sorted, text and bytes alike (BEP 3)."""
    assert bencode.encode({"b": 1, b"a": [b"x", "y"], "aa": {}}) == b"d1:al1:x1:ye2:aade1:bi1ee"


@pytest.mark.parametrize("text", [b"", b"i1", b"3:ab", b"-1:a", b"l", b"d1:ae", b"di1ei2ee", b"i1ei2e", b"l" * 9999])
def test_damage(text: bytes) -> None:
    """Cut off, odd, trailing or endlessly nested values are refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words do not matter here
        bencode.decode(text)


def test_what_has_no_bencoding() -> None:
    """A float has no bencoding, and saying so is a TypeError."""
    with pytest.raises(TypeError, match="float"):
        bencode.encode(1.5)
