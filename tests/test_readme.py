"""README.md and docs/ say what the code does: their tables, their examples, their links."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, get_args

import cards
import pytest
from games import Games, need_namespaces
from pydantic import BaseModel

from btgames import contestant, places, strict_yaml
from btgames.contract import Command, Host, Torrent
from btgames.program import load_tasks
from btgames.result import Announce, CardWriter, Entrant, Header, Heat, Outcome
from btgames.scenario import Scenario, scenarios_table
from btgames.scenario_parts import _bytes_of
from btgames.strict_model import validate

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.fields import FieldInfo

EXAMPLE_LINES = 30
TIME_LIMIT_S = 5.0  # of the tiny scenario


def table(path: Path, heading: str) -> list[list[str]]:
    """Return the cells of the first table whose first heading is `heading`, in the section or file named so far."""
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"{path.name} has no table that begins with {heading}"
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in found[1].splitlines()]


def section(path: Path, title: str, folder: Path) -> Path:
    """Return a file with one section of a document, so that `table` finds the section's."""
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"{path.name} has no section {title}"
    part = folder / "section.md"
    part.write_text(found[1], encoding="utf-8")
    return part


def plain(cell: str) -> str:
    """Return a cell without its code marks."""
    return cell.strip("`")


def code(path: Path, language: str) -> str:
    """Return the first block of code in a language."""
    found = re.search(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{path.name} has no block of {language}"
    return found[1]


def nested(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Return a model's fields by dotted name, those of its parts after each part's own."""
    fields: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        fields[prefix + name] = field
        annotation = field.annotation
        for part in (annotation, *get_args(annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                fields |= nested(part, f"{prefix}{name}.")
    return fields


@pytest.mark.testbed
def test_example_races(root: Path, tmp_path: Path) -> None:
    """The README's example, copied as it stands, installs and finishes a real heat."""
    need_namespaces()
    # The user's own cache: the example is installed once, not in each run of the tests.
    games = Games(tmp_path, places.installed().parents[1])
    module = tmp_path / "my_client.py"
    module.write_text(code(root / "README.md", "python"), encoding="utf-8")
    ran = games.race(str(module), options=("--heats", "1"))
    assert (ran.status, ran.err) == (0, "")
    heat = ran.one("my_client")
    assert (heat.outcome, heat.reason, heat.version, heat.exit_status) == (Outcome.FINISHED, "", "2.1.1", 0)
    assert heat.complete_s is not None
    assert 0 < heat.complete_s < TIME_LIMIT_S


def test_example_is_short(root: Path, tmp_path: Path) -> None:
    """The example is a contestant without a fault, on less than a screen."""
    module = tmp_path / "my_client.py"
    module.write_text(code(root / "README.md", "python"), encoding="utf-8")
    read = contestant.read(module, label="my_client", spec="my_client")
    assert (read.problem, read.pin, read.exits) == ("", "2.1.1", True)
    assert len(module.read_text(encoding="utf-8").splitlines()) < EXAMPLE_LINES


def test_tasks(root: Path) -> None:
    """Each task is in the table of commands, and nothing else is."""
    told = [re.sub(r"`\./inv (\S+)`", r"\1", row[0]) for row in table(root / "README.md", "command")]
    assert sorted(told) == sorted(load_tasks().task_names)


def test_options_of_race(root: Path) -> None:
    """Each option of race is in its table, and nothing else is; what is on by default is told by its opposite."""
    (race,) = [context for context in load_tasks().to_contexts() if context.name == "race"]
    expected = {
        f"--{'no-' if argument.default is True else ''}{argument.name}".replace("_", "-")
        for argument in race.args.values()
    }
    assert {plain(row[0]) for row in table(root / "README.md", "option")} == expected


def test_scenarios(root: Path, tmp_path: Path) -> None:
    """The table of scenarios is what `scenarios` lists."""
    shipped = [
        [row.name, row.size, row.seeders, row.links, row.time_limit, row.description]
        for row in scenarios_table(places.SCENARIOS)
    ]
    assert table(section(root / "README.md", "Scenarios", tmp_path), "name") == shipped


def test_contestants(root: Path, tmp_path: Path) -> None:
    """README names each that ships, once; docs/field.md has what their modules say."""
    files = contestant.contestant_files(places.CONTESTANTS)
    shipped = [contestant.read(path, label=name, spec=name) for name, path in files.items()]
    named = section(root / "README.md", "Contestants", tmp_path).read_text(encoding="utf-8")
    assert sorted(re.findall(r"`(\w+)`", named)) == sorted(files)
    told = [row[:5] for row in table(root / "docs" / "field.md", "name")]
    facts = [
        (one.name, short_pin(one), one.title, one.constants["LANGUAGE"], one.constants["LICENCE"]) for one in shipped
    ]
    assert told == [list(each) for each in facts]
    assert table(root / "docs" / "field.md", "who fails") == [[one.name, one.defect] for one in shipped if one.defect]


def short_pin(one: contestant.Contestant) -> str:
    """Return the pin as people write it: a commit by twelve of its digits."""
    return one.pin[:12] if re.fullmatch(r"[0-9a-f]{40}", one.pin) else one.pin


def test_scenario_fields(root: Path) -> None:
    """Each field of a scenario stands in its table, in order, with what it allows and its default."""
    rows = {plain(name): (allowed, default) for name, allowed, default, _ in table(root / "docs/scenario.md", "field")}
    fields = nested(Scenario)
    assert list(rows) == list(fields)
    for name, field in fields.items():
        allowed, default = rows[name]
        assert allowed == field.description, name
        expected = "required" if field.is_required() else field.default
        assert (default if isinstance(expected, str) else float(_bytes_of(default))) == expected, name


def test_scenario_example(root: Path, tmp_path: Path) -> None:
    """The example of a scenario has no mistakes, and every field there is."""
    path = tmp_path / "mine.yaml"
    text = code(root / "docs" / "scenario.md", "yaml")
    path.write_text(text, encoding="utf-8")
    scenario = validate(strict_yaml.parse(path, text), Scenario)
    used = scenario.model_dump(exclude_unset=True)
    parts = {
        "": used,
        "payload.": used["payload"],
        "seeders.": used["seeders"][0],
        "client.": used["client"],
    }
    assert sorted(f"{part}{name}" for part, names in parts.items() for name in names) == sorted(nested(Scenario))


@pytest.mark.parametrize(
    ("title", "model"),
    [("Header", Header), ("An entrant", Entrant), ("Heat", Heat), ("An announce", Announce)],
)
def test_card_fields(root: Path, tmp_path: Path, title: str, model: type[BaseModel]) -> None:
    """Each field of a race card stands in its table, in order, with the unit that its name carries."""
    rows = {plain(row[0]): row[1] for row in table(section(root / "docs/race-card.md", title, tmp_path), "field")}
    assert list(rows) == list(model.model_fields)
    for name, unit in rows.items():
        nullable = type(None) in get_args(model.model_fields[name].annotation)
        assert unit.endswith(" or null") == nullable, name
        if name.endswith("_s"):
            assert re.fullmatch(r"s(, or null)?", unit), name
        if name.endswith("_bytes"):
            assert re.fullmatch(r"bytes(, or null)?", unit), name


def test_outcomes(root: Path) -> None:
    """Each outcome is explained."""
    assert [plain(row[0]) for row in table(root / "docs/race-card.md", "outcome")] == [each.value for each in Outcome]


def test_reading_a_card(root: Path, tmp_path: Path) -> None:
    """The example of how to read a card without us reads one."""
    card = tmp_path / "card.jsonl"
    head = cards.header("a")
    with CardWriter(card, head) as writer:
        writer.add(Heat(contestant="a", round=1, outcome=Outcome.FINISHED, complete_s=1.5))
        writer.add(Heat(contestant="a", round=2, outcome=Outcome.TIMED_OUT))
    found: dict[str, object] = {"card": card}
    exec(code(root / "docs" / "race-card.md", "python"), found)  # noqa: S102 - the document's own example
    assert (found["times"], found["header"]) == ([1.5], json.loads(head.model_dump_json()))


def test_contract(root: Path, tmp_path: Path) -> None:
    """What the contract gives is told: each constant with its default, what host, torrent and Command have."""
    text = (root / "docs" / "contract.md").read_text(encoding="utf-8")
    constants = {
        name: plain(row[1])
        for row in table(section(root / "docs/contract.md", "Constants, all optional", tmp_path), "name")
        for name in re.findall(r"`(\w+)`", row[0])
    }
    assert set(constants) == set(contestant._CONSTANTS)
    for name in ("EXITS", "YARDSTICK", "SLOW"):
        assert constants[name] == str(contestant._CONSTANTS[name])
    for owner, thing in (("host", Host), ("torrent", Torrent)):
        public = {name for name in {**vars(thing), **thing.__annotations__} if not name.startswith("_")}
        missing = {name for name in public - {"served"} if f"`{owner}.{name}" not in text}
        assert not missing, f"of {owner}"
    assert "Command.shell(" in text
    assert callable(Command.shell)


def test_links(root: Path) -> None:
    """Each link from page to page leads to a file, and to a heading of it."""
    pages = [root / "README.md", *(root / "docs").glob("*.md")]
    links = [
        (page, target, anchor)
        for page in pages
        for target, anchor in re.findall(r"\]\((?!https://)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    ]
    assert links
    for page, target, anchor in links:
        found = (page.parent / target).resolve() if target else page
        assert found.is_file(), f"{page.name}: {target}"
        headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE) if anchor else [""]
        anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
        assert anchor in anchors, f"{page.name}: {target}#{anchor}"
