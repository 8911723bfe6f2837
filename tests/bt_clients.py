"""What the tests of the swarm share: agents that are really run, a network of their own, and tiny torrents."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from btgames.agents import bencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE_S = 30.0
"""
Until a test gives up on something that takes milliseconds on a machine at rest.
"""

UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def until(found: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Poll until `found` returns something true, and return that; fail the test at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (result := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s for {what}")
        time.sleep(0.01)
    return result


@contextlib.contextmanager
def running(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process; end it, by its id, when the block ends."""
    with subprocess.Popen(argv, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Agent:
    """A running agent; `ready` is its first line."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request, return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return _line(self.process)

    def announces(self) -> list[dict[str, Any]]:
        """Return the referee's log."""
        announces: list[dict[str, Any]] = self.ask(do="log")["announces"]
        return announces


@contextlib.contextmanager
def agent(
    name: str,
    *arguments: str,
    prefix: Sequence[str] = (),
    stderr: IO[str] | None = None,
    python: str = sys.executable,
) -> Iterator[Agent]:
    """Run ``python -m btgames.agents.NAME``, under `prefix`, and wait for its first line."""
    argv = [*prefix, python, "-m", f"btgames.agents.{name}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
    with running(argv, env=environment, **pipes) as process:
        yield Agent(process, _line(process))


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    assert readable, f"no answer within {PATIENCE_S} s"
    message: dict[str, Any] = json.loads(process.stdout.readline())
    return message


@dataclass(frozen=True)
class Network:
    """A private network: the argv prefixes that enter it."""

    as_self: tuple[str, ...]  # with whatever rights over files the tests have
    as_root: tuple[str, ...]  # with all rights over the network


@contextlib.contextmanager
def private_network(*, mapped_root: bool = os.geteuid() != 0) -> Iterator[Network]:
    """
    Make a network namespace with a loopback and nothing else.

    With `mapped_root`, whoever enters it as root is root in a user namespace in which only root exists, as someone
    without root would race. Skips the test where the machine has no such namespaces.
    """
    new = ["unshare", "--user", "--map-root-user", "--net"] if mapped_root else ["unshare", "--net"]
    becoming = UNPRIVILEGED if mapped_root and os.geteuid() == 0 else ()
    up = [*becoming, *new, "sh", "-c", "ip link set lo up && echo up && exec cat"]
    with running(up, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "up\n":
            pytest.skip(f"no private network: {holder.stderr.read().strip()}")
        only_network = ("nsenter", f"--target={holder.pid}", "--net", "--")
        with_user = (*becoming, *only_network[:-1], "--user", "--preserve-credentials", "--")
        as_root = with_user if mapped_root else only_network
        yield Network(only_network if os.geteuid() == 0 else as_root, as_root)


@dataclass(frozen=True)
class Torrent:
    """A torrent of one random file, both on disk."""

    path: Path
    payload: Path
    info_hash: str  # hex


def make_torrent(folder: Path, announce: str, *, size: int = 300_000, piece: int = 32_768) -> Torrent:
    """Write a payload and its torrent into `folder`."""
    payload = folder / "payload.bin"
    payload.write_bytes(random.Random(7).randbytes(size))  # noqa: S311 - no secret
    text = payload.read_bytes()
    pieces = b"".join(hashlib.sha1(text[at : at + piece]).digest() for at in range(0, size, piece))  # noqa: S324 - BEP 3
    info = {"length": size, "name": payload.name, "piece length": piece, "pieces": pieces}
    path = folder / "payload.torrent"
    path.write_bytes(bencode.encode({"announce": announce, "info": info}))
    return Torrent(path, payload, hashlib.sha1(bencode.encode(info)).hexdigest())  # noqa: S324 - BEP 3


@contextlib.contextmanager
def libtorrent_seeder(torrent: Torrent, prefix: Sequence[str] = (), *options: str) -> Iterator[Agent]:
    """Seed a torrent from tests/bt_seeder.py; `ready` has its ``port``."""
    argv = [*prefix, sys.executable, str(PROJECT / "tests/bt_seeder.py"), str(torrent.path), *options]
    with running(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Agent(process, _line(process))
