"""Download one torrent with libtorrent's Python binding: ``driver.py TORRENT INTO SETTINGS``, the last a JSON file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import libtorrent


def download(torrent: str, into: str, settings: libtorrent.settings_pack) -> None:
    errors = libtorrent.alert.category_t.error_notification
    session = libtorrent.session({"alert_mask": errors | libtorrent.alert.category_t.status_notification, **settings})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = into
    handle = session.add_torrent(parameters)
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if alert.category() & errors:
                print(alert.message(), flush=True)
            if isinstance(alert, libtorrent.torrent_finished_alert):
                # "Finished" precedes the last bytes on disk; saying so is asking for them to be written.
                handle.flush_cache()
            if isinstance(alert, libtorrent.cache_flushed_alert):
                print("finished", flush=True)
                return


if __name__ == "__main__":
    download(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")))
