"""
Proves that a swarm is ready: its tracker knows every seeder, and every seeder answers a handshake.

``python -m btgames.agents.probe``, on the tracker's host, takes as talk.py has it:
``{"do": "ready", "tracker": "http://A:P/announce", "info_hash": HEX, "seeders": [[IP, PORT], ...], "within_s": 10}``,
optionally ``"transport": "utp"`` for seeders that do not take TCP. The answer is ``{"waited_s": ...}``, or an error
that says what was missing in the end. ``{"do": "accepted", "tracker": ..., "info_hash": ..., "within_s": 10}`` proves
less, before there are seeders: that the tracker takes announces of this torrent.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import time
from typing import Any, Callable
from urllib.parse import quote, urlsplit

from btgames.agents import bencode, talk
from btgames.agents.probe_utp import UtpSocket

POLL_S = 0.002
"""
Between two tries. Each costs the tracker or a seeder some 0.2 ms of CPU, before the heat's clock starts.
"""

TRY_S = 1.0
"""
After which one try is given up and another made: a packet to a host whose link just came up may be lost.
"""

LEAST_TRY_S = 0.25
"""
What even the last try before the deadline is given: else the error would tell of a hasty try, not of what is missing.
"""

HANDSHAKE_BYTES = 68
_HANDSHAKE_HEAD = b"\x13BitTorrent protocol"


class NotReady(Exception):  # noqa: N818 - an answer; it reads so in the harness's message
    """One try failed, or all of them until the deadline."""


def known_to(tracker: str, info_hash: bytes, timeout_s: float) -> int:
    """
    Return how many peers an HTTP tracker knows, by its scrape (BEP 48), which registers nobody.

    Raises:
        NotReady: it did not answer, or not with a scrape.

    """
    try:
        files = _asked(tracker.replace("/announce", "/scrape"), info_hash, "", timeout_s)[b"files"]
        counts = files.get(info_hash, {b"complete": 0, b"incomplete": 0})
        return int(counts[b"complete"]) + int(counts[b"incomplete"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotReady(f"no scrape: {error}") from error


def accepts(tracker: str, info_hash: bytes, timeout_s: float) -> None:
    """
    Announce a torrent, and at once as `stopped` (BEP 3), so that nobody stays registered.

    Raises:
        NotReady: the tracker did not answer, or refused it: opentracker reads its whitelist while it answers already.

    """
    peer = f"&peer_id={os.urandom(10).hex()}&port=1&uploaded=0&downloaded=0&left=1&compact=1"
    try:
        refusal = _asked(tracker, info_hash, peer, timeout_s).get(b"failure reason")
        _asked(tracker, info_hash, f"{peer}&event=stopped", timeout_s)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise NotReady(f"no answer to an announce: {error}") from error
    if refusal is not None:
        raise NotReady(f"refused an announce: {refusal!r}")


def _asked(address: str, info_hash: bytes, more: str, timeout_s: float) -> Any:
    """Return what a tracker answers to a GET, decoded."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", f"{url.path}?info_hash={quote(info_hash, safe='')}{more}")
        return bencode.decode(connection.getresponse().read())
    finally:
        connection.close()


def shake_hands(seeder: tuple[str, int], info_hash: bytes, transport: str, timeout_s: float) -> None:
    """
    Exchange handshakes (BEP 3) with a seeder, over TCP or uTP (BEP 29), and hang up.

    Raises:
        NotReady: it did not answer, or not for this info hash.

    """
    try:
        with contextlib.closing(_connect(seeder, transport, timeout_s)) as connection:
            connection.sendall(_HANDSHAKE_HEAD + bytes(8) + info_hash + b"-BG0001-" + os.urandom(6).hex().encode())
            answer = b""
            while len(answer) < HANDSHAKE_BYTES:
                chunk = connection.recv(HANDSHAKE_BYTES - len(answer))
                if not chunk:
                    raise NotReady("hung up during the handshake")
                answer += chunk
    except OSError as error:
        raise NotReady(str(error)) from error
    if not answer.startswith(_HANDSHAKE_HEAD) or answer[28:48] != info_hash:
        raise NotReady("answered with another handshake")


def _connect(seeder: tuple[str, int], transport: str, timeout_s: float) -> socket.socket | UtpSocket:
    if transport == "utp":
        return UtpSocket(seeder, timeout_s)
    return socket.create_connection(seeder, timeout_s)


def ready(request: dict[str, Any]) -> dict[str, Any]:
    """Wait until everything answers; return ``{"waited_s": seconds}``. Raises NotReady at the deadline."""
    begin = time.monotonic()
    deadline = begin + request["within_s"]
    info_hash = bytes.fromhex(request["info_hash"])
    seeders = [(str(ip), int(port)) for ip, port in request["seeders"]]
    transport = request.get("transport", "tcp")

    def all_known(timeout_s: float) -> None:
        known = known_to(request["tracker"], info_hash, timeout_s)
        if known < len(seeders):
            raise NotReady(f"knows {known} of {len(seeders)}")

    missing = [_until(deadline, all_known, f"the tracker {request['tracker']}")]
    for seeder in seeders:

        def answers(timeout_s: float, seeder: tuple[str, int] = seeder) -> None:
            shake_hands(seeder, info_hash, transport, timeout_s)

        missing.append(_until(deadline, answers, f"the seeder {seeder[0]}:{seeder[1]}"))
    if any(missing):
        waited = f"after {request['within_s']} s"
        raise NotReady("; ".join([*filter(None, missing), waited]))
    return {"waited_s": time.monotonic() - begin}


def accepted(request: dict[str, Any]) -> dict[str, Any]:
    """Wait until the tracker takes announces of a torrent; return ``{}``. Raises NotReady at the deadline."""
    tracker, info_hash = request["tracker"], bytes.fromhex(request["info_hash"])
    missing = _until(
        time.monotonic() + request["within_s"],
        lambda timeout_s: accepts(tracker, info_hash, timeout_s),
        f"the tracker {tracker}",
    )
    if missing:
        raise NotReady(f"{missing}; after {request['within_s']} s")
    return {}


def _until(deadline: float, attempt: Callable[[float], None], what: str) -> str:
    """Try until it works or the deadline is over, at least once; return what is wrong in the end, or nothing."""
    while True:
        try:
            attempt(min(TRY_S, max(LEAST_TRY_S, deadline - time.monotonic())))
        except NotReady as reason:
            if time.monotonic() + POLL_S >= deadline:
                return f"{what}: {reason}"
            time.sleep(POLL_S)
        else:
            return ""


def main() -> None:
    """Answer until stdin ends."""
    talk.serve({"ready": ready, "accepted": accepted})


if __name__ == "__main__":
    main()
