"""
Fetch a payload over HTTP: ``fetch.py PARTS INTO``; PARTS is a JSON list of [address, port, request, path, offset].

On a bare socket: to import http.client takes 15 ms, and with them 1.5 % of the time that `medium` takes.
"""

import itertools
import json
import socket
import sys
import threading
from pathlib import Path

Part = tuple[str, int, str, str, int]


def fetch(address: str, port: int, request: str, offset: int, target: Path) -> None:
    """Fetch one part into its place in the file; the server hangs up when that was all."""
    buffer = memoryview(bytearray(1 << 18))
    with socket.create_connection((address, port)) as connection, target.open("r+b", buffering=0) as file:
        connection.sendall(request.encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            if not (received := connection.recv(1 << 16)):
                sys.exit(f"{address}:{port}: hung up")
            head += received
        head, _, begin = head.partition(b"\r\n\r\n")
        if head.split()[1] not in {b"200", b"206"}:
            sys.exit(f"{address}:{port}: {head.splitlines()[0]!r}")
        file.seek(offset)
        file.write(begin)
        while count := connection.recv_into(buffer):
            file.write(buffer[:count])


def main(parts: list[Part], into: Path) -> None:
    """Fetch from all servers at once, from each one part after the other."""
    for *_, path, _ in parts:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).touch()

    def fetch_all(mine: list[Part]) -> None:
        for address, port, request, path, offset in mine:
            fetch(address, port, request, offset, into / path)

    by_server = itertools.groupby(sorted(parts), key=lambda part: part[:2])
    threads = [threading.Thread(target=fetch_all, args=(list(mine),)) for _, mine in by_server]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main([tuple(part) for part in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))], Path(sys.argv[2]))
