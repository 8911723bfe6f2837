"""The parts of a scenario: payload, seeders, client. Bits for rates, bytes for sizes; M is 10**6, Mi is 2**20."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from btgames.strict_model import Strict

KIB, MIB, GIB = 2**10, 2**20, 2**30
MAX_PAYLOAD_BYTES = 8 * GIB  # payloads live in memory
MAX_SEEDERS = 200  # one namespace and one process each
MAX_PIECES = 65536  # 1.3 MB of hashes in the torrent; more is no torrent that anyone publishes
MIN_MANY_BYTES = 64 * KIB  # less cannot be split into files worth the name

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": KIB, "MiB": MIB, "GiB": GIB}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(" + "|".join(_UNITS) + ")")
_MBIT = "Mbit/s, a number from 0.1 to 10000, or null for a link that is not shaped"


def _bytes_of(value: Any) -> Any:
    """Turn ``"2 MB"`` into 2000000; leave alone what is no size with a unit, or no whole number of bytes."""
    if not isinstance(value, str) or not (match := _SIZE.fullmatch(value)):
        return value
    size = Decimal(match[1]) * _UNITS[match[2]]
    return int(size) if size == int(size) else value


Bytes = Annotated[int, BeforeValidator(_bytes_of)]
Mbit = Annotated[float, Field(ge=0.1, le=10_000)]


class Payload(Strict):
    """What is downloaded: its size and how it is cut into pieces (BEP 3: `piece length`) and files."""

    size: Bytes = Field(ge=1, le=MAX_PAYLOAD_BYTES, description='bytes, or text such as "28 MB"; 1 byte to 8 GiB')
    piece_size: Bytes = Field(
        default=256 * KIB,
        ge=16 * KIB,
        le=16 * MIB,
        description='a power of two from "16 KiB" to "16 MiB", in bytes or with its unit',
    )
    files: Literal["one", "many"] = Field(default="one", description="one or many")

    @field_validator("piece_size")
    @classmethod
    def _pieces_make_sense(cls, value: int, info: ValidationInfo) -> int:
        if value & (value - 1):
            raise ValueError(f"allowed: {cls.model_fields['piece_size'].description}")
        size = info.data.get("size", 0)
        if size > MAX_PIECES * value:
            raise ValueError(f"that makes {-(-size // value)} pieces; allowed: at most {MAX_PIECES}")
        return value

    @field_validator("files")
    @classmethod
    def _enough_for_many(cls, value: str, info: ValidationInfo) -> str:
        if value == "many" and info.data.get("size", MIN_MANY_BYTES) < MIN_MANY_BYTES:
            raise ValueError("allowed: many from 64 KiB on, one below")
        return value

    @property
    def num_pieces(self) -> int:
        """Pieces of the payload; the last one may be shorter."""
        return -(-self.size // self.piece_size)

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """
        The files in the torrent's order: (path with forward slashes, bytes); the bytes sum to `size`.

        ``many`` has what trips clients: folders, a file far smaller than a block, and files that begin amid a block:
        all but the first begin at an odd offset, as the first has an odd size and those between an even one.
        """
        if self.files == "one":
            return (("payload.bin", self.size),)
        head = (
            ("payload/first.bin", self.size * 45 // 100 | 1),
            ("payload/folder/second.bin", self.size * 30 // 100 & ~1),
            ("payload/folder/tiny.bin", 18),
            ("payload/folder/deeper/third.bin", self.size * 15 // 100 & ~1),
        )
        return (*head, ("payload/last.bin", self.size - sum(size for _, size in head)))


class Seeders(Strict):
    """A group of seeders that are alike. Their down rate is their up rate: seeders only receive requests."""

    count: int = Field(default=1, ge=1, le=MAX_SEEDERS, description=f"a whole number, 1 to {MAX_SEEDERS}")
    up_mbit: Mbit | None = Field(description=_MBIT)
    has: str = Field(
        default="all",
        pattern=r"^(all|[1-9][0-9]{0,2}/[1-9][0-9]{0,2})$",
        description="all, or a share of the pieces such as 1/4",
    )

    @field_validator("has")
    @classmethod
    def _less_than_all(cls, value: str) -> str:
        taken, parts = _portion(value) or (1, 2)
        if not taken < parts <= MAX_SEEDERS:
            raise ValueError(f"allowed: all, or a share below 1 of at most {MAX_SEEDERS} parts")
        return value

    @property
    def share(self) -> tuple[int, int] | None:
        """What each of the group holds: (1, 4) for ``1/4``; None for all."""
        return _portion(self.has)


class Client(Strict):
    """The link of the host on which the contestant runs."""

    up_mbit: Mbit | None = Field(description=_MBIT)
    down_mbit: Mbit | None = Field(description=_MBIT)


def _portion(has: str) -> tuple[int, int] | None:
    if has == "all":
        return None
    taken, parts = has.split("/")
    return int(taken), int(parts)


def transfer_s(payload: Payload, seeders: tuple[Seeders, ...], client: Client) -> float | None:
    """Seconds that the payload's bits alone take through the narrowest links; None where those are not shaped."""
    ups = [group.up_mbit * group.count for group in seeders if group.up_mbit is not None]
    rates = [sum(ups)] if len(ups) == len(seeders) else []
    if client.down_mbit is not None:
        rates.append(client.down_mbit)
    return payload.size * 8 / (min(rates) * 1e6) if rates else None
