"""What `shell` tells: before the shell what there is, after it what has come of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from btgames import remains
from btgames.report.figures import plain
from btgames.swarm import SEEDER_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from btgames.arena import Arena
    from btgames.containment import Cell
    from btgames.hosts import Host
    from btgames.swarm import Prepared, Swarm
    from btgames.torrent import Torrent
    from btgames.workshop import Racer
    from btgames.wrapper import Argv

ANNOUNCES = 20
"""Shown at most."""


@dataclass(frozen=True)
class Place:
    """Where the shell runs: all that is told of it beforehand."""

    arena: Arena
    hosts: Mapping[str, Host]
    swarm: Swarm
    prepared: Prepared
    served: Torrent  # the same torrent, with the addresses of the payload over HTTP
    torrentfile: str
    cell: Cell
    racer: Racer | None
    command: Argv | None  # of the contestant


def tell_place(place: Place, console: Console) -> None:
    """Say what there is. Lines are not broken: some are meant to be copied."""
    addresses = sorted({f"{server}/{path}" for server, path, _, _ in place.served.sources})
    lines = [
        ("tracker", f"{place.prepared.torrent.announce}  ({place.arena.scenario.tracker}; over UDP, too)"),
        *(("seeder", words) for words in _seeders(place)),
        *(("over HTTP", address) for address in addresses),
        ("torrent", f"{place.torrentfile}  ($TORRENT)"),
        ("download", f"{place.arena.into}  ($INTO, where you begin)"),
    ]
    if place.racer is not None and place.command is not None:
        lines += [
            ("installed", f"{place.racer.installed.folder}  (its bin folders are on PATH)"),
            ("command", _line(place.command, place.arena)),
        ]
    lines += [("leave", "exit or Ctrl-D: ends what you have started; the files are gone then")]
    for name, words in lines:
        console.print(f"  {name:<10}{plain(words)}")
    console.print()


def _seeders(place: Place) -> list[str]:
    """Return a line for each seeder: address, link, and what it holds."""
    scenario = place.arena.scenario
    return [
        f"{place.hosts[host.name].address}:{SEEDER_PORT}  ({host.name}, "
        f"{'link not shaped' if host.up_mbit is None else f'{host.up_mbit:g} Mbit/s'}, has {group.has})"
        for host, group in zip(scenario.seeder_hosts, scenario.each_seeder, strict=True)
    ]


def _line(command: Argv, arena: Arena) -> str:
    """Return the contestant's command as a line for a shell that stands in the download directory."""
    line = shlex.join([*(f"{name}={value}" for name, value in command.env.items()), *command.argv])
    line = f"env {line}" if command.env else line
    return line if command.cwd in (None, arena.into) else f"cd {shlex.quote(str(command.cwd))} && {line}"


def tell_remains(place: Place, console: Console) -> None:
    """Say what lies in the download directory, and whether it is the payload."""
    left = remains.look(place.arena.client, place.arena.into, place.prepared)
    wanted = dict(place.prepared.torrent.layout)
    for path, size in left.files:
        expected = f", the torrent says {wanted[path]}" if wanted.get(path, size) != size else ""
        console.print(f"  {'download':<10}{plain(path)}, {size} bytes{expected}")
    console.print(f"  {'payload':<10}{_judged(left, place.prepared.torrent)}")


def _judged(left: remains.Remains, torrent: Torrent) -> str:
    if not left.files:
        return "the download directory is empty"
    if left.whole:
        return f"right: all {torrent.num_pieces} pieces have their hash"
    blocks = f"{left.blocks_right} of {left.blocks} blocks of 16 KiB are right"
    if left.wrong_pieces is None:
        return f"nothing is named {torrent.layout[0][0]}, as the torrent has it; {blocks}"
    return f"wrong: {left.wrong_pieces} of {torrent.num_pieces} pieces have another hash; {blocks}"


def tell_announces(place: Place, began: float, console: Console) -> None:
    """Say what the tracker saw of the client host, in seconds since the shell began."""
    if place.arena.scenario.tracker != "referee":
        console.print(f"  {'tracker':<10}opentracker keeps no log of announces")
        return
    mine = [each for each in place.swarm.announces() if each["ip"] == place.arena.client.address]
    for each in mine[:ANNOUNCES]:
        console.print(f"  {'announce':<10}{_announce(each, began)}")
    if len(mine) != len(mine[:ANNOUNCES]) or not mine:
        console.print(f"  {'tracker':<10}saw {len(mine) or 'no'} announces from this host")


def _announce(each: Mapping[str, Any], began: float) -> str:
    event, left, port = (
        plain(str(each[name] or "-")) if name == "event" else each[name] for name in ("event", "left", "port")
    )
    facts = f"left {'?' if left is None else left}, port {'?' if port is None else port}"
    refused = "" if each["status"] == "ok" else f"; refused: {plain(each['status'])}"
    return f"{each['at_s'] - began:6.2f} s  {each['transport']}  {event:<9}  {facts}{refused}"
