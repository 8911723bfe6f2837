"""
A scenario: payload, tracker, seeders, links and time limit of a race, read from a YAML file in ``scenarios/``.

Bits for rates, bytes for sizes; M is 10**6 and Mi is 2**20. Nothing here touches a host.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from btgames import strict_yaml
from btgames.errors import UserError, nearest
from btgames.scenario_parts import MAX_SEEDERS, Client, Payload, Seeders, transfer_s
from btgames.strict_model import Strict, validate


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


class SeederHost(NamedTuple):
    """One seeder's host: its name and its link; None where it is not shaped."""

    name: str
    up_mbit: float | None
    down_mbit: float | None


class Scenario(Strict):
    """A scenario. The fields' descriptions are what messages and documentation say of them."""

    description: Annotated[str, BeforeValidator(_one_line)] = Field(
        min_length=1, max_length=200, description="text in one line of 1 to 200 printable characters"
    )
    payload: Payload = Field(description="the fields size, piece_size and files")
    tracker: Literal["referee", "opentracker"] = Field(default="referee", description="referee or opentracker")
    transport: Literal["any", "tcp", "utp"] = Field(default="any", description="any, tcp or utp")
    seeder: Literal["libtorrent", "deluge"] = Field(default="libtorrent", description="libtorrent or deluge")
    seeders: tuple[Seeders, ...] = Field(description="a list of groups, each with count, up_mbit and has")
    client: Client = Field(description="the fields up_mbit and down_mbit")
    time_limit_s: float = Field(ge=1, le=86400, description="seconds, 1 to 86400")
    exit_grace_s: float = Field(default=5, ge=0, le=600, description="seconds, 0 to 600")
    heats: int = Field(default=6, ge=1, le=1000, description="a whole number per contestant, 1 to 1000")

    @field_validator("description")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError(f"allowed: {cls.model_fields['description'].description}")
        return value

    @field_validator("seeder")
    @classmethod
    def _deluge_is_as_it_comes(cls, value: str, info: ValidationInfo) -> str:
        if value == "deluge" and info.data.get("transport", "any") != "any":
            raise ValueError("deluge, with its own settings, takes any transport; allowed: libtorrent for only one")
        return value

    @field_validator("seeders")
    @classmethod
    def _deluge_holds_all(cls, groups: tuple[Seeders, ...], info: ValidationInfo) -> tuple[Seeders, ...]:
        if info.data.get("seeder") == "deluge" and any(group.share for group in groups):
            raise ValueError("deluge fetches what a seeder lacks, so each has all; shares need libtorrent")
        return groups

    @field_validator("seeders")
    @classmethod
    def _payload_is_whole(cls, groups: tuple[Seeders, ...], info: ValidationInfo) -> tuple[Seeders, ...]:
        if not 1 <= (total := sum(group.count for group in groups)) <= MAX_SEEDERS:
            raise ValueError(f"found {total} seeders in all; allowed: 1 to {MAX_SEEDERS}")
        dealt: Counter[int] = Counter()
        for group in groups:
            if group.share:
                dealt[group.share[1]] += group.share[0] * group.count
        pieces = info.data["payload"].num_pieces if "payload" in info.data else MAX_SEEDERS
        if max(dealt, default=0) > pieces:
            raise ValueError(f"found {max(dealt)} parts; allowed: at most as many as pieces, which are {pieces}")
        # Each deal begins with part 1, so that what they hold together is what the longest deal holds.
        if all(group.share for group in groups) and all(dealt[parts] < parts for parts in dealt):
            best = max(dealt, key=lambda parts: dealt[parts] / parts)
            raise ValueError(f"together they hold {dealt[best]}/{best} of the payload; no client could ever finish")
        return groups

    @field_validator("time_limit_s")
    @classmethod
    def _can_be_met(cls, value: float, info: ValidationInfo) -> float:
        if {"payload", "seeders", "client"} <= info.data.keys():
            floor_s = transfer_s(info.data["payload"], info.data["seeders"], info.data["client"])
            if floor_s is not None and value < floor_s:
                raise ValueError(f"the links alone take {floor_s:.3g} s; allowed: more than that")
        return value

    @property
    def num_pieces(self) -> int:
        """Pieces of the payload; the last one may be shorter."""
        return self.payload.num_pieces

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """The payload's files in the torrent's order: (path with forward slashes, bytes)."""
        return self.payload.layout

    @property
    def each_seeder(self) -> tuple[Seeders, ...]:
        """The group of each seeder: seeder k of the scenario (from 0) belongs to group k of this."""
        return tuple(group for group in self.seeders for _ in range(group.count))

    @property
    def seeder_hosts(self) -> tuple[SeederHost, ...]:
        """Name and link of each seeder: ``seeder-1`` is seeder 0."""
        hosts = enumerate(self.each_seeder, 1)
        return tuple(SeederHost(f"seeder-{number}", group.up_mbit, group.up_mbit) for number, group in hosts)

    @property
    def floor_s(self) -> float | None:
        """Seconds that the payload's bits alone take through the narrowest links; None where no link is shaped."""
        return transfer_s(self.payload, self.seeders, self.client)


def pieces_of(scenario: Scenario, seeder_index: int, num_pieces: int) -> frozenset[int] | None:
    """
    Return the pieces that a seeder (from 0) holds; None when it holds all.

    N equal parts, each a stretch of the payload, are dealt like cards to the seeders that hold a share M/N, in their
    order: each takes the next M, the first again after the last. Four seeders of ``1/4`` hold a different quarter each.
    """
    shares = [group.share for group in scenario.each_seeder]
    if (share := shares[seeder_index]) is None:
        return None
    taken, parts = share
    first = sum(other[0] for other in shares[:seeder_index] if other is not None and other[1] == parts)
    held = ((first + offset) % parts for offset in range(taken))
    return frozenset(
        piece for part in held for piece in range(part * num_pieces // parts, (part + 1) * num_pieces // parts)
    )


@dataclass(frozen=True)
class Loaded:
    """A scenario with what a race card keeps of its file."""

    name: str
    path: Path
    text: str
    scenario: Scenario

    @property
    def sha256(self) -> str:
        """Of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def scenario_files(folder: Path) -> dict[str, Path]:
    """Return the scenario files of `folder` by name."""
    return {path.stem: path for path in sorted(folder.glob("[!.]*.yaml"))}


def load(name_or_path: str, folder: Path) -> Loaded:
    """
    Return a scenario of `folder` by name, or any by the path of its file (a slash or a suffix makes it a path).

    Raises:
        UserError: no such scenario (the nearest is named), or a file with mistakes (all are told at once).

    """
    if "/" in name_or_path or os.sep in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
    else:
        known = scenario_files(folder)
        if name_or_path not in known:
            hint = nearest(name_or_path, known)
            names = f"known: {', '.join(known)}" if known else f"{folder} has none"
            found = strict_yaml.shown(name_or_path)
            raise UserError(f"unknown scenario {found}{hint}\n{names}; a file of your own is given as ./NAME.yaml")
        path = known[name_or_path]
    text = strict_yaml.read_text(path)
    return Loaded(path.stem, path, text, validate(strict_yaml.parse(path, text), Scenario))


@dataclass(frozen=True)
class Row:
    """A scenario in one line, in words; of a broken file only `name` and `mistake` are filled."""

    name: str
    description: str = ""
    size: str = ""
    seeders: str = ""
    links: str = ""
    time_limit: str = ""
    heats: str = ""
    mistake: str = ""  # the message of the UserError


def scenarios_table(folder: Path) -> list[Row]:
    """Return a row for each scenario file of `folder`: by size, then name; broken ones last."""
    rows = []
    for name, path in scenario_files(folder).items():
        try:
            scenario = load(str(path), folder).scenario
        except UserError as error:
            rows.append((1, 0, Row(name, mistake=str(error))))
        else:
            rows.append((0, scenario.payload.size, _row(name, scenario)))
    return [row for *_, row in sorted(rows, key=lambda each: (each[0], each[1], each[2].name))]


def _row(name: str, scenario: Scenario) -> Row:
    shares = Counter(group.has for group in scenario.each_seeder)
    ups = ", ".join(dict.fromkeys(_rate(group.up_mbit) for group in scenario.seeders))
    down, up = _rate(scenario.client.down_mbit), _rate(scenario.client.up_mbit)
    client = down if down == up else f"{down} down, {up} up"
    return Row(
        name,
        scenario.description,
        f"{scenario.payload.size / 1e6:.4g} MB",
        " + ".join(f"{count}" if has == "all" else f"{count} with {has} each" for has, count in shares.items()),
        ups if ups == client else f"seeders {ups}; client {client}",
        f"{scenario.time_limit_s:g} s",
        f"{scenario.heats}",
    )


def _rate(mbit: float | None) -> str:
    return "not shaped" if mbit is None else f"{mbit:g} Mbit/s"
