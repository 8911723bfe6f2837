"""
Serves a heat's payload over plain HTTP, for yardsticks that show what the link can do.

``python -m btgames.agents.web --bind 198.18.0.2 --port 8080 --folder DIR``, on a seeder's host and with the seeder's
DIR; requests (see talk.py): ``{"do": "serve", "folder": ...}`` with the folder that the seeder's ``make`` answered,
and ``{"do": "forget"}``, after which nothing is served and nobody is connected. Whatever lies in the folder is had by
its path: regular files only, no listings, no symlinks, ranges of one part (RFC 9110) so that downloads can resume.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import os
import re
import socket
import socketserver
import stat
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from btgames import payload
from btgames.agents import talk

CONNECTIONS = 64
"""
Served at a time, a thread each; more wait until one ends.
"""

IDLE_S = 60.0
"""
After which a connection that neither asks nor reads is closed.
"""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def part(header: str | None, size: int) -> range | None:
    """
    Return which bytes of `size` a Range header asks for (RFC 9110, section 14): all of them when it is None or no
    single range of bytes, and None when there are none such.
    """
    match = _RANGE.fullmatch(header or "")
    if not match or match.groups() == ("", ""):
        return range(size)
    first, last = match.groups()
    if not first:  # the last so many
        return range(max(0, size - int(last)), size) if int(last) and size else None
    if last and int(last) < int(first):  # no range at all, says the RFC
        return range(size)
    stop = min(size, int(last) + 1) if last else size
    return range(int(first), stop) if int(first) < size else None


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Web
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send a file, or the part of it that is asked for."""
        file = self.server.find(unquote(self.path.partition("?")[0]))
        if file is None:
            self._head(404, 0)
            return
        with os.fdopen(file, "rb", buffering=0) as opened:
            size = os.fstat(file).st_size
            # A condition on the part (If-Range) never holds: these files have no names for their versions.
            asked = None if "If-Range" in self.headers else self.headers.get("Range")
            wanted = part(asked, size)
            if wanted is None:
                self._head(416, 0, f"bytes */{size}")
            elif len(wanted) == size:
                self._head(200, size)
            else:
                self._head(206, len(wanted), f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
            if wanted and self.command == "GET":
                self.connection.sendfile(opened, wanted.start, len(wanted))

    do_HEAD = do_GET  # noqa: N815 - http.server looks for this name

    def _head(self, status: int, length: int, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the stopwatch is the witness."""


class Web(socketserver.ThreadingTCPServer):
    """The server, and the one folder that it serves at a time. (HTTPServer would ask DNS for its own name.)"""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bind: str, port: int, parent: Path) -> None:
        """Listen; OSError when that cannot be. Folders that are served lie beneath `parent`."""
        self._parent = parent.resolve()
        self._folder: int | None = None  # a descriptor, so that nobody can move it away
        self._lock = threading.Lock()  # of the folder and the connections, which two threads look at
        self._connections: set[socket.socket] = set()
        self._free = threading.Semaphore(CONNECTIONS)
        super().__init__((bind, port), Handler)

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Serve a folder from now on, instead of an earlier one."""
        self.forget({})
        folder = Path(request["folder"])
        if self._parent not in folder.resolve().parents:
            raise ValueError(f"{folder} is not beneath {self._parent}")
        with self._lock:
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        return {}

    def forget(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Serve nothing from now on, and hang up on everybody."""
        with self._lock:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the peer was faster
                    connection.shutdown(socket.SHUT_RDWR)
        return {}

    def find(self, path: str) -> int | None:
        """Return a descriptor of the regular file at this path, opened component by component without symlinks."""
        try:
            *folders, name = payload.parts(path.removeprefix("/"))
        except ValueError:
            return None
        with self._lock, contextlib.ExitStack() as opened:
            if self._folder is None:
                return None
            at = self._folder
            try:
                for folder in folders:
                    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                    opened.callback(os.close, at)
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            except (OSError, ValueError):  # not there, not ours, or no name that a file can have
                return None
            if stat.S_ISREG(os.fstat(file).st_mode):
                return file
            os.close(file)
            return None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection once one is free; socketserver calls this from its one accepting thread."""
        self._free.acquire()
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection; socketserver calls this once for each, from the connection's thread."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)
        self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Take no notice when a peer goes away in the middle; tell what else goes wrong on stderr."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve peers from a thread and the harness from this one, until it closes stdin."""
    parser = argparse.ArgumentParser(description="Serve a payload over plain HTTP.")
    parser.add_argument("--bind", required=True, help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 for any free one")
    parser.add_argument("--folder", type=Path, required=True, help="beneath which served folders lie")
    options = parser.parse_args()
    try:
        web = Web(options.bind, options.port, options.folder)
    except OSError as error:
        sys.exit(f"web: {options.bind}:{options.port}: {error.strerror}")
    threading.Thread(target=web.serve_forever, daemon=True).start()
    talk.serve({"serve": web.serve, "forget": web.forget}, port=web.server_address[1])


if __name__ == "__main__":
    main()
