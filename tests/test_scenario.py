"""Scenarios: their files, their mistakes, and what a race computes from them."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from btgames import places
from btgames.errors import UserError
from btgames.scenario import Loaded, Scenario, load, pieces_of, scenarios_table
from btgames.scenario_parts import MAX_PAYLOAD_BYTES, MAX_PIECES, MAX_SEEDERS, MIN_MANY_BYTES, Payload
from btgames.strict_model import validate
from btgames.strict_yaml import parse

FILE = Path("a.yaml")

VALID = """\
description: a file of a test
payload:
  size: 28 MB
  piece_size: 128 KiB
  files: one
tracker: referee
transport: any
seeder: libtorrent
seeders:
  - count: 4
    up_mbit: 250
    has: 1/4
client:
  up_mbit: 100
  down_mbit: 250
time_limit_s: 120
exit_grace_s: 5
heats: 6
"""


def read(text: str) -> Scenario:
    """Return the scenario that `text` is."""
    return validate(parse(FILE, text), Scenario)


def changed(before: str, after: str) -> str:
    """Return the valid text with one part of it replaced."""
    assert VALID.count(before) == 1
    return VALID.replace(before, after)


def mistake(text: str) -> str:
    """Return the one mistake that the text has."""
    with pytest.raises(UserError) as refused:
        read(text)
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix("a.yaml, ")


SHIPPED = {  # name -> bytes, pieces, number of seeders, sum of their Mbit/s, the client's Mbit/s down, floor in seconds
    "small": (2_000_000, 62, 1, 250, 250, 0.064),
    "medium": (28_000_000, 214, 1, 250, 250, 0.896),
    "large": (200_000_000, 763, 1, 250, 250, 6.4),
    "as-in-2013": (28_000_000, 214, 1, 250, 250, 0.896),
    "many-seeders": (28_000_000, 214, 8, 160, 250, 1.4),
    "portions": (28_000_000, 214, 4, 1000, 250, 0.896),
    "drag": (200_000_000, 763, 1, None, None, None),
}


def test_shipped_scenarios() -> None:
    """The scenarios that ship are what the project promises."""
    found = {}
    for row in scenarios_table(places.SCENARIOS):
        scenario = load(row.name, places.SCENARIOS).scenario
        ups = [up for _, up, _ in scenario.seeder_hosts if up is not None]
        floor_s = None if scenario.floor_s is None else round(scenario.floor_s, 6)
        size, pieces, down = scenario.payload.size, scenario.num_pieces, scenario.client.down_mbit
        found[row.name] = (size, pieces, len(scenario.each_seeder), sum(ups) or None, down, floor_s)

    assert found == SHIPPED


def test_portions() -> None:
    """In `portions` each seeder has a different quarter, none has all, and together they have all."""
    scenario = load("portions", places.SCENARIOS).scenario
    held = [pieces_of(scenario, seeder, scenario.num_pieces) for seeder in range(4)]

    assert held == [frozenset(range(*part)) for part in [(0, 53), (53, 107), (107, 160), (160, 214)]]


def test_every_field() -> None:
    """Each field arrives as it is written."""
    scenario = read(VALID)

    assert scenario.model_dump() == {
        "description": "a file of a test",
        "payload": {"size": 28_000_000, "piece_size": 131_072, "files": "one"},
        "tracker": "referee",
        "transport": "any",
        "seeder": "libtorrent",
        "seeders": ({"count": 4, "up_mbit": 250.0, "has": "1/4"},),
        "client": {"up_mbit": 100.0, "down_mbit": 250.0},
        "time_limit_s": 120.0,
        "exit_grace_s": 5.0,
        "heats": 6,
    }


def test_defaults() -> None:
    """A short file is enough; a link alone is never guessed."""
    scenario = read(
        "description: x\npayload: {size: 1}\nseeders: [{up_mbit: null}]\n"
        "client: {up_mbit: null, down_mbit: null}\ntime_limit_s: 10\n"
    )

    assert (scenario.payload.piece_size, scenario.payload.files) == (262_144, "one")
    assert (scenario.tracker, scenario.transport, scenario.exit_grace_s, scenario.heats) == ("referee", "any", 5, 6)
    assert scenario.seeder_hosts == (("seeder-1", None, None),)
    assert mistake(changed("  up_mbit: 100\n", "")) == (
        "line 13: client.up_mbit: missing; it takes "
        "Mbit/s, a number from 0.1 to 10000, or null for a link that is not shaped"
    )


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("1", 1),
        ("2 MB", 2_000_000),
        ("2MB", 2_000_000),
        ("1.5 MB", 1_500_000),
        ("16 KiB", 16_384),
        ("3 kB", 3000),
        ("3 KB", 3000),
        ("7 B", 7),
        ("8 GiB", 8_589_934_592),
        ("'0.5 GB'", 500_000_000),
    ],
)
def test_sizes(written: str, size: int) -> None:
    """A size is bytes, or a number with its unit: M is a million, Mi is 2**20."""
    text = VALID.replace("28 MB", written).replace("128 KiB", "16 MiB").replace("1/4", "all").replace("120", "3600")

    assert read(text).payload.size == size


@pytest.mark.parametrize(
    "written",
    [
        "0",
        "-1",
        "8.1 GiB",
        "1e9",
        "1.5",
        "1.5 B",
        "2 mb",
        "2 Mbit",
        "2 TB",
        "MB",
        "1_000",
        "true",
        "null",
        "'28'",
        "[1]",
    ],
)
def test_wrong_sizes(written: str) -> None:
    """What is no size is refused with what was found and what is allowed."""
    found = {"null": "null", "'28'": '"28"', "[1]": "a list"}.get(written, written)

    assert mistake(changed("size: 28 MB", f"size: {written}")) == (
        f'line 3: payload.size: found {found}; allowed: bytes, or text such as "28 MB"; 1 byte to 8 GiB'
    )


@pytest.mark.parametrize(
    "written",
    ["yes", "true", "1_000", "017", "0o17", "12:30", ".nan", ".inf", "1e999", "0", "-5", "1e5", "'250'", "{}"],
)
def test_wrong_rates(written: str) -> None:
    """YAML's surprises and absurd numbers are no rates, and it is said in words."""
    found = {"'250'": '"250"', "{}": "a group of fields"}.get(written, written)

    assert mistake(changed("up_mbit: 250", f"up_mbit: {written}")) == (
        f"line 11: seeders[0].up_mbit: found {found}; "
        "allowed: Mbit/s, a number from 0.1 to 10000, or null for a link that is not shaped"
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("a file of a test", "", "line 1: description: found nothing; allowed: text in one line of 1 to 200 printable"),
        ("a file of a test", "2013", "line 1: description: found 2013; allowed: text in one line"),
        ("a file of a test", "x" * 201, "line 1: description: found xxxxxx"),
        ("a file of a test", '"\\e[2J"', 'line 1: description: found "\\x1b[2J"; allowed: text in one line'),
        ("128 KiB", "100 KiB", "line 4: payload.piece_size: found 100 KiB; allowed: a power of two"),
        ("128 KiB", "8 KiB", "line 4: payload.piece_size: found 8 KiB; allowed: a power of two"),
        ("128 KiB", "32 MiB", "line 4: payload.piece_size: found 32 MiB; allowed: a power of two"),
        ("files: one", "files: two", "line 5: payload.files: found two; allowed: one or many"),
        ("files:", "fils:", "line 5: payload.fils: no such field - did you mean files?"),
        ("tracker: referee", "tracker: Referee", "line 6: tracker: found Referee; allowed: referee or opentracker"),
        ("transport: any", "transport: udp", "line 7: transport: found udp; allowed: any, tcp or utp"),
        ("seeder: libtorrent", "seeder: Deluge", "line 8: seeder: found Deluge; allowed: libtorrent or deluge"),
        (
            "seeder: libtorrent",
            "seeder: deluge",
            "line 9: seeders: deluge fetches what a seeder lacks, so each has all; shares need libtorrent",
        ),
        (
            "any\nseeder: libtorrent",
            "tcp\nseeder: deluge",
            "line 8: seeder: found deluge; deluge, with its own settings, takes any transport; allowed: libtorrent",
        ),
        ("count: 4", "count: 0", "line 10: seeders[0].count: found 0; allowed: a whole number, 1 to 200"),
        ("count: 4", "count: 4.0", "line 10: seeders[0].count: found 4.0; allowed: a whole number, 1 to 200"),
        ("count: 4", "count: true", "line 10: seeders[0].count: found true; allowed: a whole number, 1 to 200"),
        ("count: 4", "count: 1000000000", "line 10: seeders[0].count: found 1000000000; allowed: a whole number"),
        ("count: 4", "count: 3", "line 9: seeders: together they hold 3/4 of the payload; no client could ever finish"),
        ("1/4", "half", "line 12: seeders[0].has: found half; allowed: all, or a share of the pieces such as 1/4"),
        ("1/4", "0.25", "line 12: seeders[0].has: found 0.25; allowed: all, or a share of the pieces such as 1/4"),
        ("1/4", "0/4", "line 12: seeders[0].has: found 0/4; allowed: all, or a share of the pieces such as 1/4"),
        ("1/4", "4/4", "line 12: seeders[0].has: found 4/4; allowed: all, or a share below 1 of at most 200 parts"),
        ("1/4", "1/201", "line 12: seeders[0].has: found 1/201; allowed: all, or a share below 1 of at most 200"),
        ("size: 28 MB", "size: 3 B", "line 9: seeders: found 4 parts; allowed: at most as many as pieces, which are 1"),
        ("time_limit_s: 120", "time_limit_s: 0", "line 16: time_limit_s: found 0; allowed: seconds, 1 to 86400"),
        ("exit_grace_s: 5", "exit_grace_s: -1", "line 17: exit_grace_s: found -1; allowed: seconds, 0 to 600"),
        ("heats: 6", "heats: 1.5", "line 18: heats: found 1.5; allowed: a whole number per contestant, 1 to 1000"),
        ("heats: 6", "heat: 6", "line 18: heat: no such field - did you mean heats?"),
        ("heats: 6", "delay_ms: 6", "line 18: delay_ms: no such field"),
    ],
)
def test_mistakes(before: str, after: str, message: str) -> None:
    """Each mistake is one line with place, finding and what is allowed."""
    assert mistake(changed(before, after)).startswith(message)


def test_several_deluges() -> None:
    """Deluges may be as many as other seeders, when each has all."""
    text = changed("seeder: libtorrent", "seeder: deluge").replace("1/4", "all")

    assert read(text).seeder == "deluge"


def test_too_many_seeders() -> None:
    """The seeders of all groups count together."""
    groups = "seeders:\n  - {count: 150, up_mbit: 1}\n  - {count: 150, up_mbit: 1}\n"

    assert mistake(changed("seeders:\n", groups)) == "line 9: seeders: found 304 seeders in all; allowed: 1 to 200"


def test_no_seeders() -> None:
    """An empty list is no swarm."""
    text = changed("seeders:\n  - count: 4\n    up_mbit: 250\n    has: 1/4\n", "seeders: []\n")

    assert mistake(text) == "line 9: seeders: found 0 seeders in all; allowed: 1 to 200"


def test_too_many_pieces() -> None:
    """A torrent of half a million pieces is refused at its piece size."""
    text = VALID.replace("28 MB", "8 GiB").replace("128 KiB", "16 KiB").replace("120", "3600")

    assert mistake(text) == "line 4: payload.piece_size: found 16 KiB; that makes 524288 pieces; allowed: at most 65536"


def test_many_needs_bytes() -> None:
    """Many files need a payload worth splitting."""
    text = VALID.replace("28 MB", "65535").replace("files: one", "files: many").replace("1/4", "all")

    assert mistake(text) == "line 5: payload.files: found many; allowed: many from 64 KiB on, one below"


def test_unreachable_time_limit() -> None:
    """A time limit that the links alone exceed is a mistake: nobody could finish."""
    assert mistake(VALID.replace("28 MB", "280 MB").replace("120", "8")) == (
        "line 16: time_limit_s: found 8; the links alone take 8.96 s; allowed: more than that"
    )


def test_all_mistakes_at_once() -> None:
    """A file full of mistakes is told in one go, and not one mistake twice."""
    text = VALID.replace("28 MB", "-1").replace("count: 4", "cuont: 4").replace("any", "TCP").replace("heats: 6", "")

    with pytest.raises(UserError) as refused:
        read(text.replace("up_mbit: 100", "up_mbit: off"))

    assert [line.partition(";")[0] for line in str(refused.value).split("\n")] == [
        "a.yaml: 4 mistakes",
        "  line 3: payload.size: found -1",
        "  line 7: transport: found TCP",
        "  line 10: seeders[0].cuont: no such field - did you mean count?",
        "  line 14: client.up_mbit: found off",
    ]


def test_load_by_name_and_path(tmp_path: Path) -> None:
    """A scenario is found by name in its folder, or by path anywhere; its text is kept as it is."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(VALID.encode())
    expected = Loaded("mine", path, VALID, read(VALID))

    assert load("mine", tmp_path) == expected
    assert load(str(path), Path("elsewhere")) == expected


def test_unknown_name(tmp_path: Path) -> None:
    """An unknown name gets the nearest and the list; editors' hidden files are no scenarios."""
    for name in ("medium", "small", ".#small"):
        (tmp_path / f"{name}.yaml").write_text(VALID)

    with pytest.raises(UserError) as refused:
        load("medum", tmp_path)
    assert str(refused.value).split("\n") == [
        "unknown scenario medum - did you mean medium?",
        "known: medium, small; a file of your own is given as ./NAME.yaml",
    ]
    with pytest.raises(UserError, match="nowhere has none"):
        load("medium", Path("nowhere"))


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\x1b[2J", "x" * 10_000, "caf\udce9", "small ", "*"])
def test_odd_names(name: str) -> None:
    """No name is a way out of the folder, or drives the terminal."""
    with pytest.raises(UserError, match="unknown scenario") as refused:
        load(name, places.SCENARIOS)

    assert all(line.isprintable() and len(line) < 200 for line in str(refused.value).split("\n"))


def test_odd_paths(tmp_path: Path) -> None:
    """A folder named like a scenario, and paths that lead nowhere, are one line."""
    (tmp_path / "folder.yaml").mkdir()

    for path in (tmp_path, tmp_path / "folder.yaml", tmp_path / "none.yaml", tmp_path / "a\0.yaml", Path("/dev/zero")):
        with pytest.raises(UserError) as refused:
            load(str(path), tmp_path)
        assert "\n" not in str(refused.value)


def test_table(tmp_path: Path) -> None:
    """The table has a row for each file, by size; a broken file is a row with its mistake."""
    (tmp_path / "b.yaml").write_text(VALID)
    (tmp_path / "a.yaml").write_text(changed("28 MB", "29 MB"))
    (tmp_path / "0.yaml").write_text("")
    rows = scenarios_table(tmp_path)

    assert [row.name for row in rows] == ["b", "a", "0"]
    assert rows[0].description == "a file of a test"
    assert (rows[0].size, rows[0].seeders, rows[0].time_limit, rows[0].heats) == (
        "28 MB",
        "4 with 1/4 each",
        "120 s",
        "6",
    )
    assert rows[0].links == "seeders 250 Mbit/s; client 250 Mbit/s down, 100 Mbit/s up"
    assert rows[2].mistake == f"{tmp_path}/0.yaml, line 1: the file is empty"
    assert scenarios_table(tmp_path / "nowhere") == []


def test_layout_one() -> None:
    """One file is the payload itself."""
    assert read(VALID).layout == (("payload.bin", 28_000_000),)


@settings(deadline=None)
@given(st.integers(MIN_MANY_BYTES, MAX_PAYLOAD_BYTES))
@example(MIN_MANY_BYTES)
def test_layout_many(size: int) -> None:
    """Many files sum to the payload, lie in folders, and begin amid a block; one is far smaller than a block."""
    layout = Payload(size=size, files="many").layout
    starts = [sum(length for _, length in layout[:index]) for index in range(1, len(layout))]

    assert sum(length for _, length in layout) == size
    assert min(length for _, length in layout) == 18
    assert all(start % 2 for start in starts)
    assert len({path for path, _ in layout}) == len(layout) == 5
    assert {PurePosixPath(path).parts[0] for path, _ in layout} == {"payload"}
    assert {len(PurePosixPath(path).parts) for path, _ in layout} == {2, 3, 4}


rates = st.none() | st.floats(0.1, 10_000)
shares = st.integers(2, 12).flatmap(lambda parts: st.tuples(st.integers(1, parts - 1), st.just(parts)))
groups = st.fixed_dictionaries(
    {"up_mbit": rates},
    optional={"count": st.integers(1, 20), "has": st.just("all") | shares.map(lambda share: f"{share[0]}/{share[1]}")},
)
fields = st.fixed_dictionaries(
    {
        "description": st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable() and not text.isspace()),
        "payload": st.fixed_dictionaries(
            {"size": st.integers(12 * 2**24, MAX_PAYLOAD_BYTES)},
            optional={
                "piece_size": st.integers(17, 24).map(lambda power: 2**power),
                "files": st.sampled_from(["one", "many"]),
            },
        ),
        "seeders": st.lists(groups, min_size=1, max_size=10),
        "client": st.fixed_dictionaries({"up_mbit": rates, "down_mbit": rates}),
        "time_limit_s": st.integers(1, 86_400) | st.floats(1, 86_400),
    },
    optional={
        "tracker": st.sampled_from(["referee", "opentracker"]),
        "transport": st.sampled_from(["any", "tcp", "utp"]),
        "seeder": st.sampled_from(["libtorrent", "deluge"]),
        "exit_grace_s": st.floats(0, 600),
        "heats": st.integers(1, 1000),
    },
)


def scenario_of(data: object) -> Scenario:
    """Return the scenario that `data` is, or let hypothesis try another where only the whole makes no sense."""
    try:
        return read(json.dumps(data, ensure_ascii=False))
    except UserError as error:
        message = str(error)
    assert any(words in message for words in ("together they hold", "the links alone take", "deluge")), message
    assume(False)
    raise AssertionError


@settings(deadline=None)
@given(fields)
def test_round_trip(data: object) -> None:
    """Whatever is valid is read, written and read again as the same scenario."""
    scenario = scenario_of(data)

    assert read(json.dumps(scenario.model_dump(mode="json"), ensure_ascii=False)) == scenario


@settings(deadline=None)
@given(st.lists(groups, min_size=1, max_size=10), st.integers(12, 5000))
def test_pieces_cover_all(swarm: list[dict[str, object]], num_pieces: int) -> None:
    """
    The seeders of a valid scenario hold every piece; those that are refused for it lack some.

    The judgement is by parts and the test's by pieces, so that each checks the other.
    """
    data = {
        "description": "x",
        "payload": {"size": num_pieces * 2**17, "piece_size": 2**17},
        "seeders": swarm,
        "client": {"up_mbit": None, "down_mbit": None},
        "time_limit_s": 86_400,
    }
    unchecked = Scenario.model_construct(
        seeders=read(json.dumps({**data, "seeders": [*swarm, {"up_mbit": 1}]})).seeders[:-1]
    )
    held = [pieces_of(unchecked, seeder, num_pieces) for seeder in range(len(unchecked.each_seeder))]
    whole = None in held or frozenset().union(*(each for each in held if each)) == set(range(num_pieces))

    if whole:
        assert read(json.dumps(data)).num_pieces == num_pieces
    else:
        assert "no client could ever finish" in mistake(json.dumps(data))
    assert all(each is None or 0 < len(each) < num_pieces for each in held)


@settings(deadline=None)
@given(st.integers(2, MAX_SEEDERS), st.integers(0, MAX_PIECES))
def test_portions_differ(parts: int, more: int) -> None:
    """N seeders of 1/N hold disjoint stretches of equal size, up to a piece, in the order of the payload."""
    num_pieces = min(parts + more, MAX_PIECES)
    text = VALID.replace("120", "86400").replace("28 MB", str(num_pieces * 16_384)).replace("128 KiB", "16 KiB")
    scenario = read(text.replace("count: 4", f"count: {parts}").replace("1/4", f"1/{parts}"))
    held = [sorted(pieces_of(scenario, seeder, num_pieces) or ()) for seeder in range(parts)]

    assert [piece for part in held for piece in part] == list(range(num_pieces))
    assert {len(part) for part in held} <= {num_pieces // parts, num_pieces // parts + 1}


def test_dealing() -> None:
    """Parts are dealt like cards over the groups, for each number of parts apart, and begin again when all are out."""
    groups_text = "[{up_mbit: 1, has: 2/4}, {up_mbit: 1, has: 1/2}, {up_mbit: 1}, {up_mbit: 1, count: 2, has: 3/4}]"
    text = changed("seeders:\n  - count: 4\n    up_mbit: 250\n    has: 1/4\n", f"seeders: {groups_text}\n")
    held = [pieces_of(read(text), seeder, 8) for seeder in range(5)]

    assert held == [{0, 1, 2, 3}, {0, 1, 2, 3}, None, {4, 5, 6, 7, 0, 1}, {2, 3, 4, 5, 6, 7}]


def test_floor() -> None:
    """The floor is the payload's bits over the narrower of all seeders' uplinks and the client's downlink."""
    assert read(VALID).floor_s == pytest.approx(28e6 * 8 / 250e6)
    assert read(changed("up_mbit: 250", "up_mbit: 50")).floor_s == pytest.approx(28e6 * 8 / 200e6)
    assert read(changed("down_mbit: 250", "down_mbit: null")).floor_s == pytest.approx(28e6 * 8 / 1000e6)
    assert read(changed("up_mbit: 250", "up_mbit: null")).floor_s == pytest.approx(28e6 * 8 / 250e6)
    assert read(VALID.replace("250", "null")).floor_s is None


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Arbitrary bytes are refused in plain lines: bytes that are a scenario do not come up by chance."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)

    with pytest.raises(UserError) as refused:
        load(str(path), path.parent)
    assert all(line.isprintable() for line in str(refused.value).split("\n"))


@settings(deadline=None)
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """A valid file with a stretch of it replaced by anything is valid or refused in plain lines."""
    start = data.draw(st.integers(0, len(VALID)))
    end = data.draw(st.integers(start, min(len(VALID), start + 40)))
    words = st.sampled_from([*"0123456789.:-[]{}&*!#%@,?|>'\"\n\t ", "null", "yes", "- ", ": ", "1e9", ".nan", "\n  "])
    middle = "".join(data.draw(st.lists(words, max_size=8))) + data.draw(st.text(max_size=3))
    message = ""
    try:
        read(VALID[:start] + middle + VALID[end:])
    except UserError as error:
        message = str(error)

    assert all(line.isprintable() for line in message.split("\n"))
