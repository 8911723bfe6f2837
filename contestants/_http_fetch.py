"""Fetch files over HTTP: ``fetch.py ADDRESSES INTO``; ADDRESSES is a JSON list of [path beneath INTO, address]."""

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit


def fetch(address: str, target: Path, buffer: memoryview) -> None:
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc)
    connection.request("GET", url.path)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        sys.exit(f"{address}: {answer.status} {answer.reason}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as file:
        while count := answer.readinto(buffer):
            file.write(buffer[:count])


if __name__ == "__main__":
    for path, address in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        fetch(address, Path(sys.argv[2], path), memoryview(bytearray(1 << 18)))
