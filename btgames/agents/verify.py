"""
Looks at a directory when nobody writes there any more: what lies in it, and is it the payload?

Stdin is the spec (`Spec`). Stdout gets one JSON object: ``blocks_right`` of ``blocks`` of 16 KiB; ``wrong_pieces``,
null where nothing has its final name; ``files``, path and bytes of some of what is there. What lies there is not
trusted.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

from btgames import payload
from btgames.agents.talk import say
from btgames.agents.watch import Watch

FILES = 20
"""Told of at most."""


@dataclass(frozen=True)
class Spec:
    """Where to look, and for what."""

    folder: str  # exists, and is trusted itself
    files: List[Tuple[str, int]]  # relative path, bytes
    marks: str  # base64 of `payload.pack_marks`
    piece_size: int  # bytes
    pieces: str  # base64 of the pieces' SHA-1s


def look(spec: Spec) -> Dict[str, Any]:
    """
    Return what is told.

    Raises:
        OSError: there is no such folder.

    """
    marks = payload.unpack_marks(base64.b64decode(spec.marks))
    with Watch(spec.folder, spec.files, marks, time.monotonic) as watch:
        watch.settle()
        return {
            "blocks_right": watch.right,
            "blocks": watch.blocks,
            "wrong_pieces": watch.wrong_pieces(base64.b64decode(spec.pieces), spec.piece_size),
            "files": watch.seen(FILES),
        }


def main() -> None:
    """Answer what stdin asks."""
    say(look(Spec(**json.loads(sys.stdin.read()))))


if __name__ == "__main__":
    main()
