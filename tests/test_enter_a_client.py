"""docs/enter-a-client.md: its examples race as they stand there, and so does the template when it is filled in."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from games import CONTESTANTS, Games, need_namespaces

from btgames import contestant, contract, runtimes
from btgames.errors import Unsupported
from btgames.result import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.runtimes import Runtime

NEEDS: dict[str, tuple[Runtime, tuple[int, ...]] | None] = {
    "Python": None,
    "Go": (runtimes.GO, (1, 21)),
    "JavaScript": (runtimes.NODE, (18,)),
}
FOLDERS = {"Python": "python", "Go": "go", "JavaScript": "node"}
TIME_LIMIT_S = 5.0  # of the tiny scenario
INSTALL_S = 600.0  # Go builds its own library first: 38 s of processor time
TEST_S = 800


def examples(root: Path) -> dict[str, str]:
    """Return the page's modules by language."""
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "enter-a-client.md").read_text("utf-8"), re.DOTALL)
    found = {}
    for block in blocks:
        language = re.search(r'^LANGUAGE = "(\w+)"$', block, re.MULTILINE)
        assert language, block
        found[language[1]] = block
    assert len(found) == len(blocks)
    return found


def checkout(root: Path, language: str, folder: Path) -> Path:
    """Return an author's checkout: a small client of ours in that language."""
    made = folder / "checkout"
    shutil.copytree(root / "tests" / "clients" / FOLDERS[language], made)
    if language == "Python":  # the one that the fakes are made of
        shutil.copy(CONTESTANTS / "_client.py", made)
    return made


def repository(made: Path) -> None:
    """Make a checkout a git repository, with the tag that the page's modules pin."""
    for words in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "-q", "-m", "first"),
        ("tag", "v1.0"),
    ):
        subprocess.run(["git", "-C", str(made), *words], check=True, stdin=subprocess.DEVNULL)


def need(language: str) -> None:
    """Skip the test where the machine cannot race a client in this language."""
    need_namespaces()
    if wanted := NEEDS[language]:
        try:
            runtimes.find(*wanted)
        except Unsupported as why:
            pytest.skip(str(why))


def assert_finished(games: Games, entry: str, label: str, version: str) -> None:
    """Install an entry and race one heat of it: it finishes, and ends by itself."""
    installed = games.run("install", "--contestant", entry, timeout_s=INSTALL_S)
    assert installed.status == 0, (installed.out, installed.err)
    ran = games.race(entry)
    assert (ran.status, ran.err) == (0, ""), (ran.out, ran.err)
    heat = ran.one(label)
    assert (heat.outcome, heat.reason, heat.version, heat.exit_status) == (Outcome.FINISHED, "", version, 0)
    assert heat.complete_s is not None
    assert 0 < heat.complete_s < TIME_LIMIT_S


def test_languages(root: Path) -> None:
    """The page has an example for each language, all without a fault, with a pin, from a checkout or its home."""
    assert set(examples(root)) == set(NEEDS)


@pytest.mark.parametrize("language", NEEDS)
def test_example_is_a_contestant(root: Path, tmp_path: Path, language: str) -> None:
    """An example is a contestant without a fault, pinned, and takes a checkout."""
    module = tmp_path / "mine.py"
    module.write_text(examples(root)[language], encoding="utf-8")
    read = contestant.read(module, label="mine", spec="./mine.py", source=tmp_path)
    assert (read.problem, read.pin, read.constants["LANGUAGE"]) == ("", "v1.0", language)


@pytest.mark.testbed
@pytest.mark.timeout(TEST_S)
@pytest.mark.parametrize("language", NEEDS)
def test_example_races_a_checkout(root: Path, tmp_path: Path, language: str) -> None:
    """An example, as it stands in the page, builds a local checkout and finishes a real heat."""
    need(language)
    games = Games(tmp_path, tmp_path / "cache")
    (tmp_path / "mine.py").write_text(examples(root)[language], encoding="utf-8")
    made = checkout(root, language, tmp_path)
    before = sorted(made.rglob("*"))
    assert_finished(games, "./mine.py:checkout", "mine", "v1.0")
    assert sorted(made.rglob("*")) == before  # nothing was built in the author's own folder


@pytest.mark.testbed
@pytest.mark.timeout(TEST_S)
@pytest.mark.parametrize("language", ["Python", "JavaScript"])  # Go would only build the same once more
def test_example_races_its_home(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """An example takes its tag from its home; here git's own insteadOf has a repository on this machine stand in."""
    need(language)
    games = Games(tmp_path, tmp_path / "cache")
    module = examples(root)[language]
    (tmp_path / "mine.py").write_text(module, encoding="utf-8")
    made = checkout(root, language, tmp_path)
    repository(made)
    home = re.search(r'^HOME = "(.*)"$', module, re.MULTILINE)
    assert home
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{made}"]\n\tinsteadOf = {home[1]}\n', encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert_finished(games, "./mine.py", "mine", "v1.0")


def alternatives(root: Path) -> list[str]:
    """Return the other ways to install that the template's comments show."""
    return re.findall(
        r"^    #   \w+ +-> (.*)$", (root / "contestants" / "_template.py").read_text("utf-8"), re.MULTILINE
    )


def test_template_is_complete(root: Path, tmp_path: Path) -> None:
    """The template has every constant that an author may set, at its default, and shows each helper of the contract."""
    text = (root / "contestants" / "_template.py").read_text(encoding="utf-8")
    module = tmp_path / "mine.py"
    module.write_text(text, encoding="utf-8")
    read = contestant.read(module, label="mine", spec="mine")
    assert (read.problem, read.pin) == ("", "1.0")
    for name in set(contestant._CONSTANTS) - {"YARDSTICK"}:
        assert re.search(rf"^{name} = ", text, re.MULTILINE), name
    assert (read.exits, read.constants["SLOW"], read.defect) == (True, False, "")
    calls = {ast.unparse(ast.parse(line, mode="eval").body).partition("(")[0] for line in alternatives(root)}
    assert calls == {"npm", "go", "cargo", "apt", "git", "pip", "host.run"}
    imported = set(re.findall(r"\w+", re.findall(r"^from btgames.contract import (.*)$", text, re.MULTILINE)[0]))
    assert calls - {"host.run"} <= imported & set(contract.__all__)


def test_template_is_no_contestant(root: Path) -> None:
    """A copy races; the template itself is not among those that ship."""
    assert "_template" not in contestant.contestant_files(root / "contestants")


@pytest.mark.testbed
@pytest.mark.timeout(TEST_S)
def test_template_races(root: Path, tmp_path: Path) -> None:
    """A copy of the template, its marked places filled in for a checkout in Python, finishes a real heat."""
    need_namespaces()
    text = (root / "contestants" / "_template.py").read_text(encoding="utf-8")
    assert len(re.findall(r"# yours", text)) == 5
    ways = [line for line in alternatives(root) if line.startswith(("git(", "pip("))]
    for old, new in (
        ('CLIENT = "my-client"', 'CLIENT = "checkout-client"'),
        ("Torrent, pip  #", "Torrent, git, pip  #"),
        ('    pip(host, f"{CLIENT}=={version}")\n', "".join(f"    {way}\n" for way in ways)),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    checkout(root, "Python", tmp_path)
    assert_finished(Games(tmp_path, tmp_path / "cache"), "./mine.py:checkout", "mine", "1.0")
