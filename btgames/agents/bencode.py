"""Bencoding (BEP 3), as far as trackers and their clients need it: bytes, integers, lists, dictionaries."""

from __future__ import annotations

from typing import Any

_DEPTH = 16
"""
Nesting deeper than this is refused: no tracker's answer has it, and recursion must end.
"""


def encode(value: Any) -> bytes:
    """Return `value` bencoded; text is written as UTF-8, dictionary keys are sorted as bytes."""
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, str):
        return encode(value.encode())
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        items = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
        return b"d%be" % b"".join(encode(key) + encode(item) for key, item in items)
    if isinstance(value, (list, tuple)):
        return b"l%be" % b"".join(map(encode, value))
    raise TypeError(f"cannot bencode {type(value).__name__}")


def decode(text: bytes) -> Any:
    """
    Return the value that `text` holds; strings as bytes, dictionaries keyed by bytes.

    Raises:
        ValueError: not one whole bencoded value.

    """
    value, end = _value(text, 0, 0)
    if end != len(text):
        raise ValueError(f"{len(text) - end} bytes follow the bencoded value")
    return value


def _value(text: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    kind = text[at : at + 1]
    if kind == b"i":
        end = text.index(b"e", at)
        return int(text[at + 1 : end]), end + 1
    if kind in {b"l", b"d"}:
        items, at = [], at + 1
        while text[at : at + 1] != b"e":
            item, at = _value(text, at, depth + 1)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        if len(items) % 2 or not all(isinstance(key, bytes) for key in items[::2]):
            raise ValueError("not a dictionary")
        return {items[key]: items[key + 1] for key in range(0, len(items), 2)}, at + 1
    colon = text.index(b":", at)
    length = int(text[at:colon])
    start = colon + 1
    if length < 0 or start + length > len(text):
        raise ValueError("a string is cut off")
    return text[start : start + length], start + length
