"""Seeds the torrent argv[1] from the folder it lies in, at 127.0.0.1, until stdin ends. ``--utp``: no TCP."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import libtorrent

torrent = Path(sys.argv[1])
tcp = "--utp" not in sys.argv
session = libtorrent.session(
    {
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": tcp,
        "enable_outgoing_tcp": tcp,
        "allow_multiple_connections_per_ip": True,
    }
)
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(str(torrent))
parameters.save_path = str(torrent.parent)
handle = session.add_torrent(parameters)
while not handle.status().is_seeding:
    time.sleep(0.005)
print(json.dumps({"port": session.listen_port()}), flush=True)  # noqa: T201 - how it says that it is ready
sys.stdin.read()
