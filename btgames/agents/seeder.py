"""
The default seeder: one long-lived libtorrent session that seeds each heat's payload from memory.

It makes its own copy from the payload's seed, so that a payload never crosses a link before the heat does.
``python -m btgames.agents.seeder --bind 198.18.0.2 --port 6881 --folder DIR``, DIR on a tmpfs; requests (see talk.py):

=========  ==================================================  ==================================================
do         request                                             answer
=========  ==================================================  ==================================================
make       seed (hex), layout ([[path, bytes], ...]),          folder: where the files are; what an earlier
           piece_size (bytes), has (null or piece indexes)     ``make`` left is forgotten first
seed       torrent (base64 of the .torrent file)               info_hash (hex); the announce is on its way
state                                                          has: one 0 or 1 for each piece; uploaded_bytes;
                                                               peers; errors: what libtorrent complained of
forget                                                         nothing; torrent and files are gone
=========  ==================================================  ==================================================
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libtorrent

from btgames import payload
from btgames.agents import talk

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: libtorrent.settings_pack = {
    "alert_mask": libtorrent.alert.category_t.error_notification | libtorrent.alert.category_t.status_notification,
    # Peers are found by the tracker alone, and come to the seeder: partial seeders never look for each other.
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_ip_notifier": False,  # hosts come and go beside this one
    "seeding_outgoing_connections": False,
    # A client is never refused, choked or held back for another one.
    "allow_multiple_connections_per_ip": True,
    "listen_queue_size": 128,
    "max_retry_port_bind": 0,  # the port asked for or none
    "listen_system_port_fallback": False,
    "unchoke_slots_limit": -1,
    "mixed_mode_algorithm": int(libtorrent.bandwidth_mixed_algo_t.prefer_tcp),  # that is: nothing is throttled
    # Bytes read ahead of the socket. The defaults start at one block and follow the rate of the last second, which
    # costs 0.25 s of 200 MB and 40 ms of 2 MB on an unshaped link; 8 MiB is slower again.
    "send_buffer_low_watermark": 1 << 20,
    "send_buffer_watermark": 3 << 20,
}
"""
What differs from libtorrent's defaults, which set no rate limits. Kept is that at most 2000 requests of a peer wait,
and those beyond are dropped without a word (max_allowed_in_request_queue): so do most seeders that a client will meet.
"""

TRANSPORTS: dict[str, libtorrent.settings_pack] = {
    "any": {},
    "tcp": {"enable_incoming_utp": False, "enable_outgoing_utp": False},
    "utp": {"enable_incoming_tcp": False, "enable_outgoing_tcp": False},
}
"""
What a seeder accepts: both transports, as most do, or one of them.
"""

DEADLINE_S = 10.0
"""
Within this the session listens and a torrent is seeded, or it is an error; both take milliseconds.
"""


class Seeder:
    """A session and the one payload that it holds at a time."""

    def __init__(self, bind: str, port: int, folder: Path, transport: str) -> None:
        """Listen on an address and a port (0: any free one); OSError when that cannot be. Payloads go to `folder`."""
        parameters = libtorrent.session_params()
        parameters.settings = {**SETTINGS, **TRANSPORTS[transport], "listen_interfaces": f"{bind}:{port}"}
        self._session = libtorrent.session(parameters)
        self._parent = folder
        self._folder: Path | None = None
        self._has: frozenset[int] | None = None
        self._torrent: libtorrent.torrent_handle | None = None
        self.port = self._listening(bind)
        _send_at_once(self.port)

    def make(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write this seeder's own copy, whole or in part, of the payload that the request describes."""
        self.forget({})
        seed, layout = bytes.fromhex(request["seed"]), request["layout"]
        self._has = None if request["has"] is None else frozenset(request["has"])
        self._folder = Path(tempfile.mkdtemp(prefix="payload-", dir=self._parent))
        if self._has is None:
            payload.write(seed, layout, self._folder)
        else:
            payload.write_pieces(seed, layout, self._folder, request["piece_size"], self._has)
        return {"folder": str(self._folder)}

    def seed(self, request: dict[str, Any]) -> dict[str, Any]:
        """
        Seed the torrent of what was made; when this returns, peers are answered and the announce is on its way.

        Nothing is checked: neither now nor when a piece is first asked for, as libtorrent's seed_mode would do, which
        costs a third of the upload rate on an unshaped link.
        """
        if self._folder is None or self._torrent is not None:
            raise ValueError("seed follows make, once")
        data = base64.b64decode(request["torrent"], validate=True)
        parameters = libtorrent.load_torrent_buffer(data)
        pieces = range(libtorrent.torrent_info(data).num_pieces())
        parameters.save_path = str(self._folder)
        parameters.flags = libtorrent.torrent_flags.no_verify_files
        parameters.have_pieces = [self._has is None or piece in self._has for piece in pieces]
        # A piece of priority 0 is never asked for: a partial seeder stays partial.
        parameters.piece_priorities = [int(has) for has in parameters.have_pieces]
        torrent = self._torrent = self._session.add_torrent(parameters)
        deadline = time.monotonic() + DEADLINE_S
        while not torrent.status().is_finished:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not seeding within {DEADLINE_S:g} s: {torrent.status().state}")
            time.sleep(0.001)  # between two looks; one is enough as a rule
        return {"info_hash": str(torrent.info_hashes().v1)}

    def state(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Tell what is held, what was uploaded and what went wrong since this was last asked."""
        alerts = self._session.pop_alerts()
        if self._torrent is None:
            return {"has": "", "uploaded_bytes": 0, "peers": 0, "errors": []}
        errors = [
            alert.message()
            for alert in alerts
            if alert.category() & libtorrent.alert.category_t.error_notification
            and getattr(alert, "handle", self._torrent) == self._torrent  # not of a torrent that was forgotten
        ]
        status = self._torrent.status()
        has = "".join("01"[piece] for piece in status.pieces)
        return {"has": has, "uploaded_bytes": status.total_payload_upload, "peers": status.num_peers, "errors": errors}

    def forget(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Drop torrent, peers and files, whether there are any or not."""
        if self._torrent is not None:
            # Asynchronous: peers get their goodbye (3 s over uTP) and the tracker its `stopped` behind our back.
            self._session.remove_torrent(self._torrent)
            self._torrent = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None
        return {}

    def _listening(self, bind: str) -> int:
        """Return the port once the session listens there, for TCP and for UDP."""
        deadline = time.monotonic() + DEADLINE_S
        sockets = 0
        while time.monotonic() < deadline:
            self._session.wait_for_alert(100)
            for alert in self._session.pop_alerts():
                if isinstance(alert, libtorrent.listen_failed_alert):
                    raise OSError(alert.message())
                sockets += isinstance(alert, libtorrent.listen_succeeded_alert)
            if sockets == len(("TCP", "UDP")):
                return self._session.listen_port()
        raise TimeoutError(f"not listening on {bind} within {DEADLINE_S:g} s")


def _send_at_once(port: int) -> None:
    """
    Set TCP_NODELAY where libtorrent listens; what it accepts there inherits that (Linux).

    Libtorrent has no setting for it, and without it the last bytes of a payload wait, in one heat of five, for an ACK
    that the client's kernel delays by 40 ms.
    """
    for held in tcp_sockets():
        if held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and held.getsockname()[1] == port:
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def tcp_sockets() -> Iterator[socket.socket]:
    """Yield this process's TCP sockets over IPv4, libtorrent's among them, each open until the next is asked for."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as held:
                    if (held.family, held.type) == (socket.AF_INET, socket.SOCK_STREAM):
                        yield held


def main() -> None:
    """Serve the harness until it closes stdin."""
    parser = argparse.ArgumentParser(description="Seed payloads from memory with libtorrent.")
    parser.add_argument("--bind", required=True, help="address to listen on; announces come from it too")
    parser.add_argument("--port", type=int, default=6881, help="for TCP and UDP; 0 for any free one")
    parser.add_argument("--folder", type=Path, required=True, help="where payloads are written: on a tmpfs")
    parser.add_argument("--transport", choices=TRANSPORTS, default="any", help="what peers may use")
    options = parser.parse_args()
    try:
        seeder = Seeder(options.bind, options.port, options.folder, options.transport)
    except OSError as error:
        sys.exit(f"seeder: {error}")
    handlers = {"make": seeder.make, "seed": seeder.seed, "state": seeder.state, "forget": seeder.forget}
    talk.serve(handlers, port=seeder.port, libtorrent=libtorrent.__version__)
    seeder.forget({})
    # Without the session's own end, which waits for trackers and for uTP's goodbyes: nobody is left to be polite to.
    os._exit(0)


if __name__ == "__main__":
    main()
