"""Fetch a payload over HTTP: ``fetch.py PARTS INTO``; PARTS is a JSON list of [server, path, offset, bytes]."""

import http.client
import itertools
import json
import sys
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit


def fetch(server: str, path: str, offset: int, length: int, target: Path) -> None:
    """Fetch one part into its place in the file."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc)
    connection.request("GET", f"/{quote(path)}", headers={"Range": f"bytes={offset}-{offset + length - 1}"})
    answer = connection.getresponse()
    if answer.status not in {http.client.OK, http.client.PARTIAL_CONTENT}:
        sys.exit(f"{server}/{path}: {answer.status} {answer.reason}")
    buffer = memoryview(bytearray(1 << 18))
    with target.open("r+b", buffering=0) as file:
        file.seek(offset)
        while count := answer.readinto(buffer):
            file.write(buffer[:count])


def main(parts: list[tuple[str, str, int, int]], into: Path) -> None:
    """Fetch from all servers at once, from each one part after the other."""
    for _, path, _, _ in parts:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).touch()

    def fetch_all(mine: list[tuple[str, str, int, int]]) -> None:
        for server, path, offset, length in mine:
            fetch(server, path, offset, length, into / path)

    by_server = itertools.groupby(sorted(parts), key=lambda part: part[0])
    threads = [threading.Thread(target=fetch_all, args=(list(mine),)) for _, mine in by_server]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main([tuple(part) for part in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))], Path(sys.argv[2]))
