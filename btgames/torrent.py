"""A torrent (BEP 3, version 1): the bytes of a .torrent file, and what wrappers of clients want to know of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from btgames import payload
from btgames.agents import bencode

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST = 20
"""
Bytes of a SHA-1, of which `pieces` has one for each piece.
"""


@dataclass(frozen=True)
class Torrent:
    """A torrent as data, the same on every host. `make` makes one."""

    data: bytes  # the .torrent file
    info_hash: str  # hex, 40 digits
    trackers: tuple[str, ...]  # announce addresses, at least one
    layout: tuple[tuple[str, int], ...]  # (path beneath the download directory, bytes), in the payload's order
    piece_size: int  # bytes; the last piece may be shorter
    pieces: bytes  # SHA-1 of each piece, end to end
    url: str | None = None  # the payload's HTTP address, for yardsticks; ends in / where it is a folder (as in BEP 19)
    sources: tuple[tuple[str, str, int, int], ...] = ()  # (server, path, offset, bytes): what a yardstick fetches where
    transport: str = "any"  # what the seeders accept, as the scenario has it: any, tcp or utp (BEP 29)

    @property
    def announce(self) -> str:
        """The address of the first tracker."""
        return self.trackers[0]

    @property
    def name(self) -> str:
        """The file's name, or the folder's that holds all files: what appears in the download directory."""
        return payload.parts(self.layout[0][0])[0]

    @property
    def is_folder(self) -> bool:
        """Whether `name` is a folder ("multi-file" in BEP 3)."""
        return "/" in self.layout[0][0]

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return payload.size(self.layout)

    @property
    def num_pieces(self) -> int:
        """Pieces of the payload."""
        return len(self.pieces) // DIGEST

    def served(self, sources: tuple[tuple[str, str, int, int], ...]) -> Torrent:
        """Return this torrent with the places where its payload is served over HTTP: see btgames/sources.py."""
        return replace(self, url=f"{sources[0][0]}/{quote(self.name)}{'/' if self.is_folder else ''}", sources=sources)


def make(trackers: Sequence[str], layout: payload.Layout, piece_size: int, pieces: bytes) -> Torrent:
    """
    Return the torrent of a payload.

    A layout of one path without a slash is a single file. Otherwise all paths begin with the same folder, which is
    the torrent's name. Several trackers become tiers of one each (BEP 12).

    Raises:
        ValueError: parts that do not make one torrent together.

    """
    paths = [payload.parts(path) for path, _ in layout]
    total = payload.size(layout)
    if not trackers:
        raise ValueError("a torrent needs a tracker")
    if not total or piece_size < 1 or len(pieces) != -(-total // piece_size) * DIGEST:
        raise ValueError(f"{len(pieces)} bytes of hashes do not fit {total} bytes in pieces of {piece_size}")
    if len({path[0] for path in paths}) > 1 or (len(paths) > 1 and min(map(len, paths)) == 1):
        raise ValueError("several files need one folder that holds them all")
    if len(set(paths)) < len(paths):
        raise ValueError("two files have the same path")
    info: dict[str, object] = {"name": paths[0][0], "piece length": piece_size, "pieces": pieces}
    if len(paths[0]) == 1:
        info["length"] = total
    else:
        sizes = [size for _, size in layout]
        info["files"] = [{"length": n, "path": list(path[1:])} for n, path in zip(sizes, paths, strict=True)]
    metainfo: dict[str, object] = {"announce": trackers[0], "info": info}
    if len(trackers) > 1:
        metainfo["announce-list"] = [[tracker] for tracker in trackers]
    info_hash = hashlib.sha1(bencode.encode(info), usedforsecurity=False).hexdigest()
    kept = tuple((path, size) for path, size in layout)
    return Torrent(bencode.encode(metainfo), info_hash, tuple(trackers), kept, piece_size, pieces)
