"""
Deluge's daemon as a child: Debian's ``deluged`` with a configuration of its own, and the connection to it.

It has the settings that it comes with, as in 2013, but what `settings` says. It dies with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict

from btgames.agents import kernel
from btgames.agents.deluge_rpc import Connection

START_S = 15.0
"""
Within this it listens, or it is an error; it takes a second.
"""

LOOK_S = 0.005
"""
Between two looks at it, when it is waited for.
"""

_USER = "localclient"  # Deluge's own name for who uses it on its own machine
_ADMIN = 10  # Deluge's level of who may do everything


def settings(bind: str, port: int, folder: Path) -> Dict[str, object]:
    """Return what Deluge shall not choose by itself; everything else is its default."""
    return {
        # The harness tells clients, and looks for it, at this address and port: by default it takes all of the
        # machine's addresses and a port by chance.
        "listen_interface": bind,
        "random_port": False,
        "listen_ports": [port, port],
        # By default somebody's home.
        "download_location": str(folder),
    }


class Daemon:
    """A running daemon. `end` ends it."""

    def __init__(self, bind: str, port: int, folder: Path) -> None:
        """
        Start it, and return when it listens on an address and a port (0: any free one), for TCP and UDP.

        Its configuration is beneath `folder`. Raises an OSError, which says why, when it cannot be.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="deluge-", dir=folder))
        self._log = self._folder / "deluged.log"
        password = secrets.token_hex(16)
        form = {"file": 1, "format": 1}  # Deluge's: two JSON objects, one after the other
        text = json.dumps(form) + json.dumps(settings(bind, port, folder))
        (self._folder / "core.conf").write_text(text, encoding="utf-8")
        (self._folder / "auth").write_text(f"{_USER}:{password}:{_ADMIN}\n", encoding="ascii")
        rpc_port = _free_port()
        self._process = self._start(rpc_port)
        try:
            self._connection = self.until(lambda: _connected(rpc_port, password), "answer", START_S)
            self.port = int(self.until(lambda: self.call("core.get_listen_port"), "listen", START_S))
            self._check(bind, port)
        except BaseException:
            self.end()
            raise

    @property
    def versions(self) -> Dict[str, str]:
        """Deluge's version and its libtorrent's."""
        return {"deluge": self._connection.version, "libtorrent": self.call("core.get_libtorrent_version")}

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of its RPC: see `Connection.call`; an OSError says so when it has died."""
        try:
            return self._connection.call(method, *arguments)
        except OSError as error:
            # A connection may end a little before its process.
            raise OSError(self._death(patience_s=0.5) or f"Deluge does not answer: {error}") from error

    def until(self, look: Callable[[], Any], what: str, within_s: float) -> Any:
        """Return the first true value of `look`; an OSError when there is none in time, or it has died."""
        deadline = time.monotonic() + within_s
        while not (found := look()):
            if death := self._death(patience_s=0):
                raise OSError(death)
            if time.monotonic() > deadline:
                raise TimeoutError(f"Deluge did not {what} within {within_s:g} s")
            time.sleep(LOOK_S)
        return found

    def end(self) -> None:
        """End it at once, and leave nothing of it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _start(self, rpc_port: int) -> subprocess.Popen[bytes]:
        argv = ["deluged", "--do-not-daemonize", "--config", str(self._folder), "--port", str(rpc_port)]
        with self._log.open("ab") as said:
            return subprocess.Popen(
                [*argv, "--logfile", str(self._log)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # What lies beside our modules, a newer libtorrent for one, is not for Deluge.
                env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                preexec_fn=partial(kernel.die_with_parent, signal.SIGKILL),  # noqa: PLW1509 - one thread is all there is
            )

    def _check(self, bind: str, port: int) -> None:
        """Raise an OSError where it listens elsewhere: libtorrent takes a later port where one is taken."""
        if port not in {0, self.port}:
            raise OSError(f"port {port} of {bind} is taken")

    def _death(self, patience_s: float) -> str:
        """Return how it ended, with its last line; empty while it runs."""
        try:
            status = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return ""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"deluged died (status {status})" + (f": {lines[-1].strip()}" if lines else "")


def _connected(port: int, password: str) -> Connection | None:
    """Return a connection, None where nothing takes it yet."""
    with contextlib.suppress(ConnectionError):
        return Connection(port, _USER, password)
    return None


def _free_port() -> int:
    """Return a port that nobody uses: on a machine of somebody's, the usual one may be another Deluge's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
