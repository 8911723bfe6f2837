"""
The connection to a Deluge daemon: calls of its RPC methods, one at a time.

A message is a byte 1, the length as a big-endian u32, and zlib's compression of what rencode makes of it. A request is
a list of (number, method, arguments, keyword arguments); an answer is (1, number, result) or (2, number, error's
class, its arguments, ...); (3, ...) is an event. Source: deluge/transfer.py and deluge/core/rpcserver.py of Deluge
2.0.3, which speak TLS with a certificate of their own making.

Its own client library does the same over Twisted, in a thread, and never notices that the daemon died.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import zlib
from typing import Any

import rencode  # type: ignore[import-not-found]  # Debian's, as Deluge is; not in the harness's environment

CALL_S = 8.0
"""
Seconds that an answer may take; most take milliseconds.
"""

_HEADER = struct.Struct("!BI")
_VERSION = 1  # of the framing, Deluge 2's
_RESPONSE, _ERROR = 1, 2


class DaemonError(Exception):
    """What the daemon says of a call that failed."""


class Connection:
    """A connection to the daemon on this machine, logged in as who may do everything."""

    def __init__(self, port: int, user: str, password: str) -> None:
        """Raise an OSError where nothing listens, or when it hangs up."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nobody vouches for it; the password is what tells us apart
        plain = socket.create_connection(("127.0.0.1", port), CALL_S)
        self._socket = context.wrap_socket(plain)
        self._numbers = itertools.count()
        self.version = str(self.call("daemon.info"))
        self.call("daemon.login", user, password, client_version=self.version)

    def call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """
        Call a method of Deluge's, such as ``core.add_torrent_file``; return its result.

        Raises:
            DaemonError: it failed.
            OSError: the daemon is gone or does not answer in time.

        """
        number = next(self._numbers)
        data = zlib.compress(rencode.dumps([(number, method, arguments, keywords)]))
        self._socket.sendall(_HEADER.pack(_VERSION, len(data)) + data)
        while True:
            kind, of, *rest = self._message()
            if of == number and kind == _RESPONSE:
                return rest[0]
            if of == number and kind == _ERROR:
                name, details, *_ = rest
                raise DaemonError(f"{method}: {name}: {details[0] if details else 'no words'}")

    def _message(self) -> Any:
        version, length = _HEADER.unpack(self._exactly(_HEADER.size))
        if version != _VERSION:
            raise ConnectionError(f"Deluge speaks version {version} of its RPC, not {_VERSION}")
        return rencode.loads(zlib.decompress(self._exactly(length)), decode_utf8=True)

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            chunk = self._socket.recv(length - len(data))
            if not chunk:
                raise ConnectionError("Deluge hung up")
            data += chunk
        return bytes(data)
