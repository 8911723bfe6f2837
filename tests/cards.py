"""Race cards for tests: made up, and any at all (hypothesis)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from btgames.result import Entrant, Header, Heat, Outcome, RaceCard

NASTY = "\x1b[31m=cmd|' /C calc'!A0\x1b[0m\n[red]| pipe |[/red] `x` <b>\u202e@you\x00\x9b2J \ud800"
"""
What a hostile contestant may call itself or say: colours, a formula, markup, new lines, cells, a lone surrogate.
"""


def entrant(label: str, **fields: Any) -> Entrant:
    """Return an entrant of that label; `fields` override."""
    return Entrant(
        **{"label": label, "name": label, "title": label, "spec": label, "pin": "1", "module_sha256": "00"} | fields
    )


def header(*labels: str | Entrant, **fields: Any) -> Header:
    """Return the header of a race of `small` by these contestants, 2 heats each; `fields` override."""
    usual: dict[str, Any] = {
        "id": "a-race",
        "started_at": "2026-11-23T01:00:00+00:00",
        "btgames_version": "0.1.0",
        "scenario": "small",
        "scenario_text": "payload: {}\n",
        "scenario_sha256": "ab" * 32,
        "payload_bytes": 2_000_000,
        "entrants": tuple(each if isinstance(each, Entrant) else entrant(each) for each in labels),
        "heats": 2,
        "order_seed": 7,
        "testbed": "local",
        "tracker": "referee",
        "links": {"client": {"up_mbit": 250, "down_mbit": 250}},
        "machine": {"cpu": "a CPU", "cores": 2, "kernel": "Linux 6.18"},
        "libraries": {"libtorrent": "2.1.1"},
    }
    return Header(**usual | fields)


def finished(label: str, *times_s: float, **fields: Any) -> list[Heat]:
    """Return finished heats of these times, in rounds from 1."""
    usual: dict[str, Any] = {"contestant": label, "outcome": Outcome.FINISHED}
    return [
        Heat(**usual | {"round": number, "complete_s": time_s} | fields) for number, time_s in enumerate(times_s, 1)
    ]


def failed(label: str, outcome: Outcome, *rounds: int, **fields: Any) -> list[Heat]:
    """Return heats that ended so, in these rounds."""
    return [Heat(contestant=label, round=number, outcome=outcome, **fields) for number in rounds or (1,)]


def card(head: Header, *heats: list[Heat], path: str = "results/a.jsonl") -> RaceCard:
    """Return a card as if read from `path`."""
    return RaceCard(Path(path), head, tuple(heat for some in heats for heat in some))


TEXTS = st.one_of(
    st.text(max_size=40), st.text(alphabet="=+-@|\\`[]\x1b\n\r,;\"'9.*#<>& ", max_size=12), st.just(NASTY)
)
LABELS = st.one_of(st.sampled_from(["aria2", "libtorrent", "http"]), TEXTS)
SECONDS = st.one_of(st.floats(0, 1e9), st.sampled_from([0.0, 0.1, 1.0]))
MAYBE = st.one_of(st.none(), SECONDS)
HEATS = st.builds(
    Heat,
    contestant=LABELS,
    round=st.integers(1, 9),
    attempt=st.integers(1, 2),
    outcome=st.sampled_from(Outcome),
    reason=TEXTS,
    complete_s=SECONDS,
    done_s=MAYBE,
    exit_s=MAYBE,
    ended_by=st.sampled_from([None, "SIGINT"]),
    ended_at_s=MAYBE,
    version=TEXTS,
    log_tail=TEXTS,
)
FACTS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
HEADERS = st.builds(
    header,
    st.builds(entrant, LABELS, title=TEXTS, pin=TEXTS),
    st.just(entrant("http", yardstick=True)),
    scenario=st.one_of(st.sampled_from(["small", "large"]), TEXTS),
    scenario_sha256=st.sampled_from(["aa", "bb"]),
    payload_bytes=st.integers(0, 1 << 62),
    heats=st.integers(0, 9),
    testbed=TEXTS,
    machine=st.dictionaries(st.text(max_size=9), FACTS, max_size=2),
)
CARDS = st.lists(st.builds(card, HEADERS, st.lists(HEATS, max_size=8), path=LABELS), max_size=4)
"""
Any cards at all, of equal and of other conditions.
"""
