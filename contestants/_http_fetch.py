"""
Fetch a payload over HTTP: ``fetch.py PARTS INTO``. A line of PARTS: address, port, URL path, range, file; by tabs.

On a bare socket, without http.client, json and pathlib: to import these takes 2 % of the time that `medium` takes.
"""
# ruff: noqa: PTH103, PTH120, PTH123 - without pathlib: see above

import itertools
import os
import socket
import sys
import threading


def fetch(address: str, port: str, path: str, span: str, target: str) -> None:
    """Fetch one part into its place in the file; the server hangs up when that was all."""
    headers = f"Host: {address}:{port}\r\nRange: bytes={span}\r\nConnection: close"
    buffer = memoryview(bytearray(1 << 18))
    with socket.create_connection((address, int(port))) as connection, open(target, "r+b", buffering=0) as file:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            if not (received := connection.recv(1 << 16)):
                sys.exit(f"{address}{path}: the server hung up")
            head += received
        head, _, begin = head.partition(b"\r\n\r\n")
        if head.split()[1] not in {b"200", b"206"}:
            sys.exit(f"{address}{path}: {head.splitlines()[0]!r}")
        file.seek(int(span.partition("-")[0]))
        file.write(begin)
        while count := connection.recv_into(buffer):
            file.write(buffer[:count])


def main(parts: str, into: str) -> None:
    """Fetch from all servers at once, from each one part after the other."""
    with open(parts, encoding="utf-8") as file:
        wanted = sorted(tuple(line.rstrip("\n").split("\t")) for line in file)
    for *_, name in wanted:
        os.makedirs(os.path.dirname(f"{into}/{name}"), exist_ok=True)
        open(f"{into}/{name}", "ab").close()

    def fetch_all(mine: list[tuple[str, ...]]) -> None:
        for address, port, path, span, name in mine:
            fetch(address, port, path, span, f"{into}/{name}")

    by_server = itertools.groupby(wanted, key=lambda part: part[:2])
    threads = [threading.Thread(target=fetch_all, args=(list(mine),)) for _, mine in by_server]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
