"""
A race card: the JSON-lines file of a race. One header line, then one line a heat; append-only.

The models here are the card's documentation, field by field with units. What is written is never rewritten: the
leaderboard is computed from cards at any later time, without hosts.
"""

from __future__ import annotations

import enum
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from btgames import caller
from btgames.errors import GamesError, UserError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
"""
Version of the card's format. History: 1, the first.
"""


class Outcome(enum.StrEnum):
    """How a heat ended."""

    FINISHED = "finished"  # every byte right, under its final name, within the time limit
    TIMED_OUT = "timed_out"  # the time limit came first
    CRASHED = "crashed"  # exited with a status other than 0 and without the right bytes
    CORRUPT = "corrupt"  # exited with status 0 and without the right bytes, or marks right and hash wrong
    UNSUPPORTED = "unsupported"  # could not start here, says why
    VOID = "void"  # the testbed failed, not the contestant
    NOT_RUN = "not_run"  # no heat at all: the contestant was retired, or the race had no room for it

    @property
    def words(self) -> str:
        """The outcome as people write it."""
        return self.value.replace("_", " ")


def _sayable(text: str) -> str:
    # Bytes of a contestant that are no UTF-8 arrive as lone surrogates, which JSON cannot hold: they become \udc80.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


Text = Annotated[str, AfterValidator(_sayable)]
"""
What others wrote: contestants, users, their files. Any text may stand here; who shows it renders it harmless.
"""

Seconds = Annotated[float, Field(ge=0, le=1e9)]


class Record(BaseModel):
    """Strict, frozen, nothing unknown: what every line of a card is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Announce(Record):
    """One announce of the contestant, as the referee tracker saw it."""

    at_s: float  # since the heat's start; only where tracker and stopwatch share a clock, else since the first
    event: Text  # started, completed, stopped, or "" as in most
    left: int | None  # bytes that the client says it still lacks; None when it did not say
    downloaded: int | None  # bytes
    transport: Literal["http", "udp"]


class Heat(Record):
    """One timed download by one contestant. Times are seconds of the client host's CLOCK_MONOTONIC since the exec."""

    type: Literal["heat"] = "heat"
    contestant: Text  # the label under which it races
    round: int = Field(ge=1)  # heats are interleaved: round 1 runs each contestant once, then round 2, ...
    attempt: int = Field(default=1, ge=1)  # 2 when the first attempt was void and it was run again
    outcome: Outcome
    reason: Text = ""  # one line of words; empty when finished and nothing is worth saying
    complete_s: Seconds | None = None  # every block right under its final name: the time that ranks
    done_s: Seconds | None = None  # by the client's own word: its exit or its `completed` announce, the earlier one
    exit_s: Seconds | None = None  # the last process ended by itself; None when the harness ended it
    ended_by: str | None = None  # the signal with which the harness had to end it: SIGINT, SIGTERM or SIGKILL
    ended_at_s: Seconds | None = None  # when the first signal was sent: `exit_s` would have been more than this
    first_block_s: Seconds | None = None  # the first block found right
    total_s: Seconds | None = None  # the whole heat as the harness saw it, preparations and verification included
    exit_status: int | None = None  # of the command; -N when signal N ended it
    version: Text = ""  # what is really installed, by the contestant's own word
    started_at: str = ""  # wall clock, ISO 8601, for people; never used in arithmetic
    info_hash: str = ""  # hex
    payload_seed: str = ""  # hex, 128 bits: regenerates the payload
    payload_bytes: int = 0
    blocks_right: int | None = None  # blocks of 16 KiB found right at the end
    blocks: int | None = None  # of how many
    wrong_pieces: int | None = None  # pieces whose hash was wrong after the heat; None when not hashed
    rx_bytes: int | None = None  # into the client's interface during the heat, headers included
    tx_bytes: int | None = None  # out of it
    traffic: tuple[tuple[float, int, int], ...] = ()  # (seconds, rx_bytes, tx_bytes) every 20 ms, where it changed
    cpu_user_s: float | None = None  # whole process tree
    cpu_system_s: float | None = None
    peak_rss_bytes: int | None = None  # whole process tree, sampled every 20 ms
    stopwatch_cpu_s: float | None = None  # what measuring cost
    announces: tuple[Announce, ...] = ()  # the contestant's own; empty with opentracker
    log_tail: Text = ""  # the end of what the client printed

    @model_validator(mode="after")
    def _finished_in_some_time(self) -> Self:
        if self.outcome is Outcome.FINISHED and self.complete_s is None:
            raise ValueError("a finished heat has a complete_s")
        return self


class Entrant(Record):
    """One contestant as it was entered."""

    label: Text
    name: Text  # of its module
    title: Text
    spec: Text  # as the user wrote it
    pin: Text  # the version asked for
    module_sha256: str
    yardstick: bool = False  # not a BitTorrent client: shows what the link can do
    exits: bool = True  # False: seeds on for ever, so nobody waits for it


class Header(Record):
    """The first line of a card: enough to run the race again."""

    type: Literal["race"] = "race"
    schema_version: int = SCHEMA
    id: str  # of the race
    started_at: str  # wall clock, ISO 8601
    btgames_version: str
    scenario: Text  # its name
    scenario_text: Text  # the whole file
    scenario_sha256: str
    payload_bytes: int = Field(ge=0, lt=1 << 63)
    entrants: tuple[Entrant, ...]
    heats: int  # asked for, per contestant
    order_seed: int  # seeds the random order of each round
    testbed: Text  # local, cloud, or an inventory's name
    tracker: str
    seeder: str = "libtorrent"
    links: dict[str, Any]  # host -> up_mbit, down_mbit, burst_bytes; null where not shaped
    machine: dict[str, Any]  # CPU model, cores, memory, kernel, rights; instance type and image in a cloud
    libraries: dict[str, str]  # name -> version, of what the harness, the tracker and the seeders run on


Line = Annotated[Header | Heat, Field(discriminator="type")]
_LINE: TypeAdapter[Header | Heat] = TypeAdapter(Line)


@dataclass(frozen=True)
class RaceCard:
    """A card as read from its file."""

    path: Path
    header: Header
    heats: tuple[Heat, ...]
    warnings: tuple[str, ...] = ()  # a torn last line, say

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Read a card, finished or still growing. A last line that was torn by a crash is skipped, and told in `warnings`.

        Raises:
            UserError: no such file, not a race card, a card of a newer format, or a damaged line in its middle.

        """
        try:
            *lines, last = path.read_bytes().split(b"\n")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        records = [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
        # After the last newline: nothing, or a torn line, unless an editor took only the newline away.
        warnings = []
        if last.strip():
            try:
                records.append(_parse(path, len(lines) + 1, last))
            except UserError:
                warnings = [f"{path}: the last line is torn and was skipped"]
        if not records or not isinstance(records[0], Header):
            raise UserError(f"{path}: not a race card: its first line is not the header of a race")
        heats = [record for record in records[1:] if isinstance(record, Heat)]
        if len(heats) != len(records) - 1:
            raise UserError(f"{path}: more than one header; each race has a card of its own")
        return cls(path, records[0], tuple(heats), tuple(warnings))


def _parse(path: Path, number: int, line: bytes) -> Header | Heat:
    try:
        version = json.loads(line).get("schema_version", SCHEMA)
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: not a line of a race card") from error
    if version != SCHEMA:
        raise UserError(f"{path}: written in format {version!r:.20}; this btgames reads format {SCHEMA}")
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])  # the first part is the type of the line
        # Both may quote the line, and the line may be anything.
        found = f"{where}: {first['msg']}".encode("unicode_escape").decode()
        raise UserError(f"{path}, line {number}: {found:.300}") from error


class CardWriter:
    """Appends to a new card, each line flushed and synced before the race goes on. A context manager."""

    def __init__(self, path: Path, header: Header) -> None:
        """Create the file (and its folder); a file that exists is a UserError, never overwritten."""
        self.path = path
        self.make_room(path)
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        caller.give(path)
        self.add(header)

    @staticmethod
    def make_room(path: Path) -> None:
        """Make the card's folder; a UserError where that cannot be, or where the card exists already."""
        try:
            caller.make_folder(path.parent)
        except OSError as error:
            raise UserError(f"{path.parent}: {error.strerror}; a race card cannot be written there") from error
        if os.path.lexists(path):
            raise UserError(f"{path}: exists already; a race never overwrites a card")

    def add(self, record: Header | Heat) -> None:
        """
        Append one line; when this returns it is on the disk.

        Raises:
            GamesError: no room on the disk, say; the card is as it was before.

        """
        line = record.model_dump_json().encode() + b"\n"
        before = self._file.tell()
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.seek(self._file.truncate(before))
            raise GamesError(f"{self.path}: {error.strerror}; the card holds what came before") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
