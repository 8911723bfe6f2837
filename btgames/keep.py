"""What ``race --keep DIR`` keeps of each heat: client's log, referee's log, torrent, download, and the packets."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from btgames import caller
from btgames.errors import GamesError, UserError
from btgames.hosts import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from btgames.arena import Arena
    from btgames.swarm import Prepared

DOWNLOAD_BYTES = 1 << 30
"""Of a download that is kept; a hostile client could leave more than anyone wants."""


def make_ready(folder: Path) -> None:
    """Make the folder of ``--keep``; UserError where it cannot be, or cannot be written to."""
    try:
        caller.make_folder(folder)
    except OSError as error:
        raise UserError(f"--keep {folder}: this folder cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise UserError(f"--keep {folder}: Permission denied")


class Kept:
    """The folder of one race, with one for each heat, named ``ROUND-LABEL``; see `btgames.heat.Keeper`."""

    def __init__(self, folder: Path, arena: Arena) -> None:
        self._folder = folder
        self._arena = arena
        self._capture_path = f"{arena.client.folder}/capture.pcap"

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Record the client's packets."""
        with Agent(self._arena.client, "capture", self._arena.interface, self._capture_path):
            yield

    def keep(self, name: str, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:
        """
        Copy everything out of the race's memory. A second attempt replaces the first.

        Raises:
            GamesError: no room on the disk, say.

        """
        try:
            self._write(self._folder / name, prepared, into, announces)
        except OSError as error:
            raise GamesError(f"{self._folder / name}: {error.strerror}; --keep cannot keep this heat") from error

    def _write(self, folder: Path, prepared: Prepared, into: str, announces: list[dict[str, Any]]) -> None:
        caller.make_folder(folder)
        client = self._arena.client
        (folder / "test.torrent").write_bytes(prepared.torrent.data)
        (folder / "referee.json").write_text(json.dumps(announces, indent=1) + "\n", encoding="utf-8")
        (folder / "client.log").write_bytes(client.run(["cat", "--", self._arena.log], check=False).out)
        # Nothing of this may spoil the heat's result: what is missing is kept as an empty file.
        (folder / "capture.pcap").write_bytes(client.run(["cat", "--", self._capture_path], check=False).out)
        (folder / "download.tar").unlink(missing_ok=True)
        used = client.run(["du", "-s", "--block-size=1", into], check=False).out.split()
        if not used or int(used[0]) <= DOWNLOAD_BYTES:
            # A tar archive: whatever names, links and modes a client made, nothing of it happens outside.
            # Packed by its name in the heat's own folder, as it may have been replaced by a symlink.
            packed = ["--directory", str(PurePosixPath(into).parent), PurePosixPath(into).name]
            archive = client.run(["tar", "--create", "--file=-", "--sparse", *packed], check=False, timeout_s=300)
            (folder / "download.tar").write_bytes(archive.out)
        caller.give(*folder.iterdir())
