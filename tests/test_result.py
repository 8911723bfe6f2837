"""Race cards: what is written can be read, whatever happened to the file."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from cards import HEATS, NASTY, entrant, finished, header
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from btgames.errors import GamesError, UserError
from btgames.result import CardWriter, Heat, Outcome, RaceCard

if TYPE_CHECKING:
    from pathlib import Path

HEAD = header("aria2", "libtorrent")
ON_ONE_PATH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def written(path: Path, heats: list[Heat]) -> bytes:
    """Write a card over whatever is at `path`, and return its bytes."""
    path.unlink(missing_ok=True)
    with CardWriter(path, HEAD) as writer:
        for heat in heats:
            writer.add(heat)
    return path.read_bytes()


@given(st.lists(HEATS, max_size=5))
@ON_ONE_PATH
def test_reads_what_was_written(tmp_path: Path, heats: list[Heat]) -> None:
    """Header and heats come back as they were, one line each, with no warning."""
    raw = written(tmp_path / "card.jsonl", heats)

    card = RaceCard.read(tmp_path / "card.jsonl")

    assert (card.header, card.heats, card.warnings) == (HEAD, tuple(heats), ())
    assert raw.count(b"\n") == len(heats) + 1


def test_each_line_is_on_the_disk_at_once(tmp_path: Path) -> None:
    """While a race goes on, its card can be read up to the last heat."""
    path = tmp_path / "new folder" / "card.jsonl"
    with CardWriter(path, HEAD) as writer:
        assert RaceCard.read(path).heats == ()
        for number, heat in enumerate(finished("aria2", 1.0, 2.0), 1):
            writer.add(heat)
            assert len(RaceCard.read(path).heats) == number


@given(cut=st.integers(min_value=0))
@ON_ONE_PATH
def test_a_torn_last_line_is_skipped_and_reported(tmp_path: Path, cut: int) -> None:
    """Torn at any byte behind the header, a card gives its whole heats, and one warning if a line was torn."""
    path = tmp_path / "card.jsonl"
    raw = written(path, finished("aria2", 1.0, 2.0, 3.0, log_tail="é" * 50))
    begin = raw.index(b"\n") + 1
    torn = raw[: begin + cut % (len(raw) - begin + 1)]
    path.write_bytes(torn)

    card = RaceCard.read(path)

    # A heat that lacks nothing but its newline is whole.
    whole = torn.count(b"\n") - 1 + (raw[len(torn) : len(torn) + 1] == b"\n")
    assert len(card.heats) == whole
    assert len(card.warnings) == (not torn.endswith(b"\n") and raw[len(torn) : len(torn) + 1] != b"\n")
    assert all("torn" in warning for warning in card.warnings)


def test_a_torn_header_is_no_race_card(tmp_path: Path) -> None:
    """A race that died within its first line left no card."""
    path = tmp_path / "card.jsonl"
    path.write_bytes(written(path, [])[:50])

    with pytest.raises(UserError, match="not a race card"):
        RaceCard.read(path)


def test_never_overwrites(tmp_path: Path) -> None:
    """A file that exists is a UserError and stays as it is."""
    path = tmp_path / "card.jsonl"
    path.write_text("precious")

    with pytest.raises(UserError, match="exists already"):
        CardWriter(path, HEAD)
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is a UserError that names it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match=r"file: .*cannot be written there"):
        CardWriter(tmp_path / "file" / "card.jsonl", HEAD)


def test_a_full_disk_leaves_the_card_whole(tmp_path: Path) -> None:
    """What does not fit is taken back, so the card stays valid and later, smaller lines can follow."""
    path = tmp_path / "card.jsonl"
    small, large = finished("aria2", 1.0), finished("aria2", 2.0, log_tail="x" * 10_000)
    with CardWriter(path, HEAD) as writer:
        writer.add(small[0])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5000, limits[1]))
        try:
            with pytest.raises(GamesError, match="the card holds what came before"):
                writer.add(large[0])
            writer.add(small[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    card = RaceCard.read(path)

    assert (card.heats, card.warnings) == ((small[0], small[0]), ())


@given(st.binary(max_size=300))
@example(b"")
@example(b"\n\n")
@example(b"[" * 100_000 + b"\n")
@example(b'{"type":"race"}\n')
@example(b'"text"\n')
@example(b'{"schema_version":' + b"9" * 5000 + b"}\n")
@example("{}".encode("utf-16") + b"\n")
@ON_ONE_PATH
def test_what_is_no_card_is_said_so(tmp_path: Path, garbage: bytes) -> None:
    """Any other file is a UserError of few plain lines that names the file."""
    path = tmp_path / "garbage.jsonl"
    path.write_bytes(garbage)

    with pytest.raises(UserError, match=r"garbage\.jsonl") as error:
        RaceCard.read(path)
    assert len(str(error.value)) < 500 + len(str(path))
    assert str(error.value).isprintable()


@given(st.binary(max_size=60), st.integers(0, 3))
@ON_ONE_PATH
def test_a_damaged_line_never_escapes_as_another_error(tmp_path: Path, garbage: bytes, number: int) -> None:
    """A card with any line replaced is read, or is a UserError."""
    path = tmp_path / "card.jsonl"
    lines = written(path, finished("aria2", 1.0, 2.0)).split(b"\n")
    lines[number] = garbage
    path.write_bytes(b"\n".join(lines))

    try:
        sane = RaceCard.read(path).header == HEAD
    except UserError as error:
        sane = str(error).isprintable()
    assert sane


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    """A card of a later btgames is not misread."""
    path = tmp_path / "card.jsonl"
    path.write_bytes(written(path, []).replace(b'"schema_version":1', b'"schema_version":2,"odds":[]'))

    with pytest.raises(UserError, match="format 2; this btgames reads format 1"):
        RaceCard.read(path)


def test_the_place_of_a_mistake_is_named(tmp_path: Path) -> None:
    """A wrong value in the middle is named by line and field."""
    path = tmp_path / "card.jsonl"
    raw = written(path, finished("aria2", 1.0, 2.0))
    path.write_bytes(raw.replace(b'"round":1', b'"round":"one"'))

    with pytest.raises(UserError, match=r"line 2: round: .*integer"):
        RaceCard.read(path)


def test_two_headers_are_two_races(tmp_path: Path) -> None:
    """Cards glued together are refused, not read as one race."""
    path = tmp_path / "card.jsonl"
    path.write_bytes(written(path, []) * 2)

    with pytest.raises(UserError, match="more than one header"):
        RaceCard.read(path)


@pytest.mark.parametrize("name", [".", "missing.jsonl"])
def test_no_file_is_a_plain_line(tmp_path: Path, name: str) -> None:
    """A folder and a missing file are named with the system's reason."""
    with pytest.raises(UserError, match=r"Is a directory|No such file"):
        RaceCard.read(tmp_path / name)


def test_a_huge_line_is_read(tmp_path: Path) -> None:
    """A heat with megabytes of log comes back whole."""
    path = tmp_path / "card.jsonl"
    heats = finished("aria2", 1.0, log_tail="x\n" * 4_000_000)
    written(path, heats)

    assert RaceCard.read(path).heats == tuple(heats)


def test_any_text_can_be_recorded(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 reach a card as what they are, visibly, and do not stop the race."""
    heats = finished(NASTY, 1.0, reason="\udcff", log_tail=NASTY)
    written(tmp_path / "card.jsonl", heats)

    assert RaceCard.read(tmp_path / "card.jsonl").heats == tuple(heats)
    assert heats[0].reason == r"\udcff"
    assert entrant(NASTY).label == heats[0].contestant


@pytest.mark.parametrize("complete_s", [None, -0.1, float("nan"), float("inf")])
def test_a_finished_heat_has_a_time(complete_s: float | None) -> None:
    """Finished without a time, or with one that is none, cannot be recorded."""
    with pytest.raises(ValidationError):
        Heat(contestant="aria2", round=1, outcome=Outcome.FINISHED, complete_s=complete_s)
