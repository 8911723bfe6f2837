"""Download one torrent with Deluge's daemon, over its own client library: ``driver.py TORRENT INTO CONFIG``."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

PORT = 58847  # not Deluge's own, 58846, which the machine's own daemon may have
DAEMON = ("deluged", "--do-not-daemonize", "--port", str(PORT), "--config")
LOOK_S = 0.02  # between two tries to reach a daemon that does not listen yet


def download(torrent: Path, into: str, config: Path) -> None:
    daemon = subprocess.Popen([*DAEMON, config])
    # Debian's, as Deluge is, and imported while the daemon starts.
    from deluge.ui.client import client  # type: ignore[import-not-found]  # noqa: PLC0415
    from twisted.internet import reactor  # type: ignore[import-not-found]  # noqa: PLC0415

    user, password, _ = (config / "auth").read_text(encoding="ascii").strip().split(":")

    def connect() -> None:
        client.connect(port=PORT, username=user, password=password).addCallbacks(add, again)

    def again(failure: Any) -> None:
        if daemon.poll() is None:
            reactor.callLater(LOOK_S, connect)
        else:
            stop(failure)

    def add(_: Any) -> None:
        client.register_event_handler("TorrentFinishedEvent", stop)
        data = base64.b64encode(torrent.read_bytes())
        client.core.add_torrent_file(torrent.name, data, {"download_location": into}).addErrback(stop)

    def stop(why: Any) -> None:
        print(why, flush=True)
        if client.connected():
            client.daemon.shutdown().addBoth(lambda _: reactor.stop())
        else:
            reactor.stop()

    reactor.callWhenRunning(connect)
    reactor.run()
    daemon.wait()


if __name__ == "__main__":
    download(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
