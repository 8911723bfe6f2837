"""The tracker that is started by hand: many torrents, addresses that the asker can reach, peers that fall silent."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from bt_clients import PATIENCE_S, PROJECT, agent
from hypothesis import given
from hypothesis import strategies as st

from btgames.agents import bencode
from btgames.agents.probe import known_to
from btgames.agents.tracker_open import EXPIRY_S, MAX_SWARMS, Swarms
from btgames.agents.tracker_swarm import Announce, Counts, Refused
from btgames.agents.tracker_udp import UdpFront

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = bytes(range(20)), bytes(20)
INSIDE = ipaddress.IPv4Network("198.18.0.0/16")
PUBLIC = {"198.18.0.11": "203.0.113.11"}
SEEDER = Announce(1000.0, "198.18.0.11", "http", ONE, b"s" * 20, port=6881, left=0)
CLIENT = replace(SEEDER, ip="198.18.0.12", peer_id=b"c" * 20, left=5)


def addresses(swarms: Swarms, asker: Announce) -> list[str]:
    """Return the addresses that an asker is told."""
    return [peer.ip for peer in swarms.announce(asker)[0]]


def test_each_torrent_has_a_swarm_of_its_own() -> None:
    """Any info hash is served from its first announce on; peers of one are not told to askers of another."""
    swarms = Swarms({})
    swarms.announce(SEEDER)
    assert addresses(swarms, CLIENT) == [SEEDER.ip]
    assert addresses(swarms, replace(CLIENT, info_hash=OTHER)) == []
    with pytest.raises(Refused, match="info_hash has 3 bytes"):
        swarms.announce(replace(SEEDER, info_hash=b"abc"))


def test_only_so_many_torrents() -> None:
    """For one more than it serves, the one that was announced longest ago is forgotten."""
    swarms = Swarms({})
    hashes = [number.to_bytes(20, "big") for number in range(1, MAX_SWARMS + 1)]
    for one in [*hashes, hashes[0], ONE]:
        swarms.announce(replace(SEEDER, info_hash=one))
    assert addresses(swarms, replace(CLIENT, info_hash=hashes[0])) == [SEEDER.ip]
    assert addresses(swarms, replace(CLIENT, info_hash=hashes[-1])) == [SEEDER.ip]
    assert addresses(swarms, replace(CLIENT, info_hash=hashes[1])) == []


def test_who_falls_silent_is_forgotten() -> None:
    """A client that was killed is told to nobody after a while; who announces again stays."""
    swarms = Swarms({})
    swarms.announce(CLIENT)
    swarms.announce(SEEDER)
    swarms.announce(replace(SEEDER, at_s=1000 + EXPIRY_S))
    later = replace(CLIENT, at_s=1001 + EXPIRY_S, port=7000, peer_id=b"")
    peers, counts = swarms.announce(later)
    assert [(peer.ip, peer.port) for peer in peers] == [(SEEDER.ip, 6881)]
    assert counts == Counts(complete=1, incomplete=1, downloaded=0)


def test_who_asks_from_outside_is_told_public_addresses() -> None:
    """Private ones mean nothing there; peers without a public one, and askers inside, are told what is known."""
    swarms = Swarms(PUBLIC, INSIDE)
    swarms.announce(SEEDER)
    swarms.announce(CLIENT)
    outside = replace(CLIENT, ip="192.0.2.7", peer_id=b"o" * 20)
    assert addresses(swarms, outside) == ["203.0.113.11", "198.18.0.12"]
    assert addresses(swarms, CLIENT) == ["198.18.0.11", "192.0.2.7"]
    assert addresses(swarms, replace(CLIENT, ip="198.18.0.13", peer_id=b"d" * 20)) == [
        "198.18.0.11",
        "198.18.0.12",
        "192.0.2.7",
    ]


@given(st.lists(st.binary(max_size=24), max_size=4))
def test_what_an_asker_meant(readings: list[bytes]) -> None:
    """Of several readings the one that is served is meant, else the first that could be, else the first."""
    swarms = Swarms({})
    whole = [one for one in readings if len(one) == 20]
    assert swarms.meant(readings) == next(iter([*whole, *readings]), b"")
    swarms.announce(SEEDER)
    assert swarms.meant([*readings, ONE]) == ONE


def test_a_scrape_tells_what_is_served() -> None:
    """Those that are asked for, all where none is, nothing of one that nobody announced; the same over UDP."""
    swarms = Swarms({})
    now = time.monotonic()
    for one in (ONE, OTHER):
        swarms.announce(replace(SEEDER, info_hash=one, at_s=now))
    counts = Counts(complete=1, incomplete=0, downloaded=0)
    assert swarms.scraped([]) == {ONE: counts, OTHER: counts}
    assert swarms.scraped([OTHER, b"x" * 20]) == {OTHER: counts}
    zeros = bytes(12)
    assert UdpFront(swarms, 30)._scrape(b"x" * 20 + ONE) == zeros + (1).to_bytes(4, "big") + zeros[:8]


def test_it_serves_until_it_is_ended(tmp_path: Path) -> None:
    """As a process: systemd is told when it answers, and it tells outsiders public addresses over HTTP."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        words = ("--bind", "127.0.0.1", "--port", "0", "--public", "127.0.0.1=203.0.113.1", "--network", str(INSIDE))
        with agent("tracker_open", *words, prefix=("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}")) as tracker:
            assert systemd.recv(100) == b"READY=1"
            announce = f"http://127.0.0.1:{tracker.ready['http_port']}/announce"
            asked = f"{announce}?info_hash={quote(ONE)}&port="
            for one in ("1000&left=0", "2000&left=9"):
                with contextlib.closing(urlopen(asked + one, timeout=PATIENCE_S)) as answer:  # noqa: S310 - http
                    said = bencode.decode(answer.read())
            assert said[b"peers"] == socket.inet_aton("203.0.113.1") + (1000).to_bytes(2, "big")
            assert said[b"interval"] == 30
            assert known_to(announce, ONE, PATIENCE_S) == 2
            assert known_to(announce, OTHER, PATIENCE_S) == 0


def test_a_port_that_is_taken() -> None:
    """It says so in one line, which becomes its unit's last words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = [sys.executable, "-m", "btgames.agents.tracker_open", "--bind", "127.0.0.1", "--port", port]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot serve at 127.0.0.1: ")
    assert done.stderr.count("\n") == 1
