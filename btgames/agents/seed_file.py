"""
Seeds one file that lies here, for hours: the default seeder's session and settings, started by hand.

``python -m btgames.agents.seed_file --bind ADDRESS [--port N] --folder DIR --torrent FILE``: DIR holds the torrent's
file, and both go when this ends. It says ``{"ready": true, "port": N, "info_hash": HEX}``, tells systemd so
(notify.py), and ends on SIGTERM, its tracker told.
"""

from __future__ import annotations

import argparse
import base64
import signal
import sys
from pathlib import Path

from btgames.agents import notify, talk
from btgames.agents.seeder import Seeder

ANNOUNCE_S = 30
"""
How often the tracker is told of the seeder, if it likes: one that was started anew soon knows it again. Libtorrent's
own least is 5 minutes.
"""


class FileSeeder(Seeder):
    """Holds what lies in its folder already, where other seeders make what they seed."""

    def __init__(self, bind: str, port: int, folder: Path) -> None:
        super().__init__(bind, port, folder, "any")
        self._session.apply_settings({"min_announce_interval": ANNOUNCE_S})
        self._folder = folder


def main() -> None:
    """Seed until SIGTERM."""
    parser = argparse.ArgumentParser(description="Seed a file with libtorrent.")
    parser.add_argument("--bind", required=True, help="address to listen on; announces come from it too")
    parser.add_argument("--port", type=int, default=6881, help="for TCP and UDP; 0 for any free one")
    parser.add_argument("--folder", type=Path, required=True, help="where the file lies")
    parser.add_argument("--torrent", type=Path, required=True, help="of that file")
    options = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before libtorrent has threads, which inherit this
    try:
        seeder = FileSeeder(options.bind, options.port, options.folder)
    except OSError as error:
        sys.exit(f"cannot seed at {options.bind}: {error}")
    seeded = seeder.seed({"torrent": base64.b64encode(options.torrent.read_bytes()).decode()})
    talk.say({"ready": True, "port": seeder.port, **seeded})
    notify.ready()
    signal.sigwait(ends)
    seeder.forget({})
    # The session's own end, which comes now, waits until the tracker has been told, for 5 s at most.


if __name__ == "__main__":
    main()
