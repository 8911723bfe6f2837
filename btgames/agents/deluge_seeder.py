"""
The seeder of 2013: Debian's Deluge, which seeds each heat's payload from memory, with the settings that it comes with.

``/usr/bin/python3 -m btgames.agents.deluge_seeder --bind 198.18.0.2 --port 6881 --folder DIR``, DIR on a tmpfs; it
needs Debian's interpreter, which has Deluge's packages. Requests and answers are those of seeder.py, but for these:

=========  =============================================================================================
do         difference
=========  =============================================================================================
make       has is null: Deluge holds everything, or fetches what it lacks
seed       Deluge hashes what it holds before it announces
state      errors: what Deluge shows of the torrent and its tracker at the moment
=========  =============================================================================================
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict

from btgames import payload
from btgames.agents import talk
from btgames.agents.deluge_daemon import Daemon

CHECK_S = 100.0
"""
Within this Deluge has hashed a payload, of 8 GiB at the most.
"""

_PIECE_IS_THERE = 3  # in Deluge's list of pieces

_STATUS = ["state", "message", "tracker_status", "total_payload_upload", "num_peers", "num_seeds", "pieces"]


class Seeder:
    """A daemon and the one payload that it holds at a time."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        """Payloads go to `folder`."""
        self._daemon = daemon
        self._parent = folder
        self._folder: Path | None = None
        self._pieces = 0
        self._torrent = ""  # the info hash of what is seeded, in hex

    def make(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """Write this seeder's own copy of the payload that the request describes."""
        self.forget({})
        if request["has"] is not None:
            raise ValueError("Deluge holds all pieces")
        seed, layout = bytes.fromhex(request["seed"]), request["layout"]
        self._pieces = -(-payload.size(layout) // request["piece_size"])
        self._folder = Path(tempfile.mkdtemp(prefix="payload-", dir=self._parent))
        payload.write(seed, layout, self._folder)
        return {"folder": str(self._folder)}

    def seed(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """Seed the torrent of what was made; when this returns, peers are answered and the announce is on its way."""
        if self._folder is None or self._torrent:
            raise ValueError("seed follows make, once")
        options = {"download_location": str(self._folder)}
        self._torrent = self._daemon.call("core.add_torrent_file", "heat.torrent", request["torrent"], options)
        self._daemon.until(lambda: self._status()["state"] in {"Seeding", "Error"}, "seed", CHECK_S)
        if (status := self._status())["state"] == "Error":
            raise OSError(f"Deluge cannot seed: {status['message']}")
        return {"info_hash": self._torrent}

    def state(self, _request: Dict[str, Any]) -> Dict[str, Any]:
        """Tell what is held, what was uploaded and what is wrong."""
        if not self._torrent:
            self._daemon.call("core.get_session_state")  # that it answers
            return {"has": "", "uploaded_bytes": 0, "peers": 0, "errors": []}
        status = self._status()
        pieces = status["pieces"]  # None when all are there
        held = [True] * self._pieces if pieces is None else [piece == _PIECE_IS_THERE for piece in pieces]
        errors = [status["message"]] if status["state"] == "Error" else []
        if status["tracker_status"].startswith(("Error", "Warning")):
            errors.append(status["tracker_status"])
        return {
            "has": "".join("01"[each] for each in held),
            "uploaded_bytes": status["total_payload_upload"],
            "peers": status["num_peers"] + status["num_seeds"],
            "errors": errors,
        }

    def forget(self, _request: Dict[str, Any]) -> Dict[str, Any]:
        """Drop torrent, peers and files, whether there are any or not."""
        torrent, self._torrent = self._torrent, ""
        try:
            if torrent:
                remove_data = False  # by Deluge, some time later
                self._daemon.call("core.remove_torrent", torrent, remove_data)
        finally:
            self.drop_files()
        return {}

    def drop_files(self) -> None:
        """Remove the files, where there are any."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder)

    def _status(self) -> Dict[str, Any]:
        status: Dict[str, Any] = self._daemon.call("core.get_torrent_status", self._torrent, _STATUS)
        return status


def main() -> None:
    """Serve the harness until it closes stdin."""
    parser = argparse.ArgumentParser(description="Seed payloads from memory with Deluge.")
    parser.add_argument("--bind", required=True, help="address to listen on")
    parser.add_argument("--port", type=int, default=6881, help="for TCP and UDP; 0 for any free one")
    parser.add_argument("--folder", type=Path, required=True, help="where payloads are written: on a tmpfs")
    options = parser.parse_args()
    try:
        daemon = Daemon(options.bind, options.port, options.folder)
    except OSError as error:
        sys.exit(f"deluge_seeder: {error}")
    seeder = Seeder(daemon, options.folder)
    handlers = {"make": seeder.make, "seed": seeder.seed, "state": seeder.state, "forget": seeder.forget}
    try:
        talk.serve(handlers, port=daemon.port, **daemon.versions)
    finally:
        daemon.end()
        seeder.drop_files()


if __name__ == "__main__":
    main()
