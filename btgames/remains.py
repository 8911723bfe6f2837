"""What is left beneath a directory on the client host, and whether it is the payload: see agents/verify.py."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btgames.hosts import Host
    from btgames.swarm import Prepared


@dataclass(frozen=True)
class Remains:
    """What was found, when nobody wrote any more."""

    blocks_right: int  # of 16 KiB
    blocks: int
    wrong_pieces: int | None  # by their hashes; None: nothing lies there under its final name
    files: tuple[tuple[str, int], ...]  # path and bytes, of the first twenty

    @property
    def whole(self) -> bool:
        """Whether the payload lies there, every byte right, under its final names."""
        return self.wrong_pieces == 0


def look(host: Host, folder: str, prepared: Prepared) -> Remains:
    """
    Look beneath a folder of a host for a payload.

    Raises:
        HostError: the folder or the host is gone.

    """
    torrent = prepared.torrent
    spec = {
        "folder": folder,
        "files": [list(file) for file in torrent.layout],
        "marks": base64.b64encode(prepared.marks).decode(),
        "piece_size": torrent.piece_size,
        "pieces": base64.b64encode(torrent.pieces).decode(),
    }
    found = json.loads(host.run([host.python, "-m", "btgames.agents.verify"], input=json.dumps(spec).encode()).out)
    files = tuple((str(path), int(size)) for path, size in found["files"])
    return Remains(found["blocks_right"], found["blocks"], found["wrong_pieces"], files)
