"""A .torrent file (BEP 3): reading anybody's, and saying where it is announced."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from btgames import payload
from btgames.agents import bencode
from btgames.errors import UserError
from btgames.torrent import DIGEST, Torrent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_BYTES = 16 << 20
"""Of a .torrent file; those of 100 GB have 2 MB."""


def read(path: Path) -> Torrent:
    """
    Return the torrent of a file.

    Raises:
        UserError: there is no such file, or it is no torrent of version 1.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    try:
        return _torrent(data)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UserError(f"{path}: not a torrent that clients of BitTorrent's first version can read") from error


def _torrent(data: bytes) -> Torrent:
    metainfo = bencode.decode(data)
    info = metainfo[b"info"]
    if bencode.encode(metainfo) != data:
        raise ValueError("written in an odd way: its info hash would not be ours")
    listed = [tracker for tier in metainfo.get(b"announce-list", []) for tracker in tier]
    trackers = [tracker.decode() for tracker in dict.fromkeys([metainfo[b"announce"], *listed])]
    layout, piece_size, pieces = _layout(info), int(info[b"piece length"]), bytes(info[b"pieces"])
    if piece_size < 1 or not payload.size(layout) or len(pieces) != -(-payload.size(layout) // piece_size) * DIGEST:
        raise ValueError("sizes that do not fit together")
    info_hash = hashlib.sha1(bencode.encode(info), usedforsecurity=False).hexdigest()
    return Torrent(data, info_hash, tuple(trackers), layout, piece_size, pieces)


def _layout(info: dict[bytes, Any]) -> tuple[tuple[str, int], ...]:
    name = info[b"name"].decode()
    if b"length" in info:
        found = [(name, int(info[b"length"]))]
    else:
        found = [(b"/".join((info[b"name"], *file[b"path"])).decode(), int(file[b"length"])) for file in info[b"files"]]
    for path, size in found:
        payload.parts(path)
        if size < 0 or "\0" in path:
            raise ValueError(path)
    if not name or "/" in name:
        raise ValueError(name)
    return tuple(found)


def announced_at(torrent: Torrent, trackers: Sequence[str]) -> Torrent:
    """Return a torrent with other trackers, in tiers of one each (BEP 12); the info hash stays."""
    metainfo = {**bencode.decode(torrent.data), b"announce": trackers[0]}
    metainfo.pop(b"announce-list", None)
    if len(trackers) > 1:
        metainfo[b"announce-list"] = [[tracker] for tracker in trackers]
    return replace(torrent, data=bencode.encode(metainfo), trackers=tuple(trackers))
