"""A client's source from its home: pins, mirrors, checkouts, and what cannot be had; the repositories are real."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from games import DEADLINE_S, Games, need_namespaces

from btgames.contract import CommandFailed
from btgames.errors import Unsupported
from btgames.git_home import git

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME = "https://git.client.example/ann/client"
"""Nobody has this address: `example` is reserved (RFC 2606)."""

MODULE = '''\
"""homed: a client whose source has a home. {home}"""

from btgames.contract import Command, Unsupported, git

HOME = "{home}"
LANGUAGE = "POSIX sh"
LICENCE = "none stated"


def install(host, version="{pin}", source=None):
    git(host, HOME, version, source)


def version(host):
    return host.run("cat", "src/client")


def torrentfile(host, torrent):
    raise Unsupported("a client that does nothing")


def download(torrentfile, into):
    return Command("true")
'''


@dataclass
class Machine:
    """A host on which commands run as they are, with an empty environment, as in an install's cell."""

    installed: str
    needed: list[str] = field(default_factory=list)
    configs: list[str] = field(default_factory=list)  # what git was given as the user's settings, at each fetch

    @property
    def folder(self) -> str:
        """Where `put` puts."""
        return self.installed

    def run(self, *argv: object, env: Mapping[str, str] | None = None, timeout_s: float = DEADLINE_S) -> str:
        """Run a command; its failure reads as in an install."""
        words = [str(word) for word in argv]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **(env or {})}
        if "fetch" in words:
            self.configs.append(Path(environment["GIT_CONFIG_GLOBAL"]).read_text())
        ran = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=self.folder, env=environment, timeout=timeout_s
        )
        if ran.returncode:
            raise CommandFailed(f"{words[0]} ended with status {ran.returncode}: {' '.join(ran.stderr.split())}")
        return ran.stdout

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:
        """Write a file."""
        path = Path(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        return str(path)

    def needs(self, path: str) -> None:
        """Note what is to be seen."""
        self.needed.append(path)

    def has(self, text: str) -> bool:
        """Whether the source with this content is there, and nothing of the fetching beside it."""
        return (
            Path(self.installed, "src", "client").read_text() == text and len(list(Path(self.installed).iterdir())) == 1
        )


@dataclass
class Repository:
    """A repository with two commits, `old` on a branch of its own and `new` on main."""

    folder: Path
    old: str = ""
    new: str = ""

    def __post_init__(self) -> None:
        self._git("init", "--quiet", "--initial-branch=main", str(self.folder))
        self.old = self._commit("old")
        self._git("branch", "ancient")
        self.new = self._commit("new")

    def _commit(self, content: str) -> str:
        (self.folder / "client").write_text(content)
        self._git("add", "client")
        self._git("-c", "user.name=Ann", "-c", "user.email=ann@client.example", "commit", "--quiet", "-m", content)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=self.folder).stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with nothing installed."""
    folder = tmp_path / "installed"
    folder.mkdir()
    return Machine(str(folder))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository on this machine; its folder's name has what git's settings must quote."""
    return Repository(tmp_path / 'a "clone" \\ of mine')


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the user's git settings, which are empty, and not those of who runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Settings(tmp_path / "gitconfig")


@dataclass
class Settings:
    """Git settings of the user's."""

    file: Path

    def add(self, name: str, value: str) -> None:
        """Add one, as the user would."""
        subprocess.run(["git", "config", "--file", str(self.file), "--add", name, value], check=True)


def test_a_pin_is_fetched(machine: Machine, repository: Repository) -> None:
    """A commit by its 40 digits comes into src, though it is no branch's newest; nothing else is left."""
    assert git(machine, f"file://{repository.folder}", repository.old) == f"{machine.installed}/src"
    assert machine.has("old")
    assert machine.needed == [str(repository.folder)]


def test_a_branch_is_fetched(machine: Machine, repository: Repository) -> None:
    """A branch's name will do, and the folder may be another."""
    git(machine, str(repository.folder), "ancient", folder="src")
    assert machine.has("old")


def test_a_mirror_stands_in_for_the_home(machine: Machine, repository: Repository, settings: Settings) -> None:
    """The user's insteadOf holds in an install, too, quotes and all; the folder on this machine is seen there."""
    settings.add(f"url.{repository.folder}.insteadOf", HOME)
    git(machine, HOME, repository.new)
    assert machine.has("new")
    assert machine.needed == [str(repository.folder)]


def test_the_longest_match_wins(machine: Machine, repository: Repository, settings: Settings, tmp_path: Path) -> None:
    """Of several mirrors the one for the longest part of the address is asked, as git does, whatever their order."""
    near = Repository(tmp_path / "near" / "ann" / "client")
    settings.add(f"url.{repository.folder.parent}/.insteadOf", "https://git.client.example/ann/")
    settings.add(f"url.{tmp_path / 'near'}/.insteadOf", "https://git.client.example/")
    settings.add(f"url.{near.folder}.insteadOf", HOME)
    settings.add("url./nowhere/.insteadOf", "https://")
    git(machine, HOME, near.new)
    assert machine.has("new")
    assert machine.needed == [str(near.folder)]


def test_a_mirror_far_away_is_not_shown(machine: Machine, settings: Settings) -> None:
    """A mirror that is no folder of this machine needs nothing to be seen."""
    settings.add("url.file:///nowhere/.insteadOf", "https://git.client.example/")
    with pytest.raises(Unsupported, match="nowhere"):
        git(machine, HOME, "main")
    assert machine.needed == []


def test_a_home_that_cannot_be_reached(machine: Machine, settings: Settings) -> None:
    """The contestant is unsupported; the reason is one line that names the home, the pin and what git said."""
    settings.add("http.proxy", "http://127.0.0.1:1")  # where nobody listens: no name is looked up
    with pytest.raises(Unsupported, match=rf"^{HOME} does not give 0123456789ab: .*127\.0\.0\.1") as why:
        git(machine, HOME, "0123456789abcdef0123456789abcdef01234567")
    assert not isinstance(why.value, CommandFailed)
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("pin", ["0123456789abcdef0123456789abcdef01234567", "no-such-branch"])
def test_a_commit_that_does_not_exist(machine: Machine, repository: Repository, pin: str) -> None:
    """A home without the commit is told in one line, with the home, the pin and what git said."""
    home = f"file://{repository.folder}"
    with pytest.raises(Unsupported, match=rf"does not give {pin[:12]}: .*({pin}|not our ref)") as why:
        git(machine, home, pin)
    assert str(why.value).startswith(home)
    assert "\n" not in str(why.value)


def test_secrets_stay_with_the_user(machine: Machine, repository: Repository, settings: Settings) -> None:
    """Of the user's settings an install gets where fetches go, and neither passwords nor anything else."""
    settings.add(f"url.{repository.folder}.insteadOf", HOME)
    settings.add("url.https://ann:hidden@mirror.example/.insteadOf", "https://git.other.example/")
    settings.add("http.proxy", "http://ann:hidden@proxy.example:3128")
    settings.add("http.https://git.other.example.sslCAInfo", "/etc/other.pem")
    settings.add("http.extraHeader", "Authorization: hidden")
    settings.add("credential.helper", "store --file=/hidden")
    settings.add("user.email", "hidden@client.example")
    git(machine, HOME, repository.new)
    (config,) = machine.configs
    assert "hidden" not in config
    assert "sslcainfo" in config
    assert "/etc/other.pem" in config


def test_a_checkout_of_the_users_own(machine: Machine, repository: Repository) -> None:
    """With a source directory nothing is fetched: what lies there is copied, as it is, changes included."""
    (repository.folder / "client").write_text("in work")
    git(machine, HOME, repository.new, str(repository.folder))
    assert machine.has("in work")
    assert machine.configs == []


def test_what_is_copied_of_a_checkout(machine: Machine, repository: Repository) -> None:
    """Programs may be run and folders written to in the copy; the history stays where it is."""
    folder = repository.folder / "scripts"
    folder.mkdir()
    (folder / "configure").touch(0o755)
    folder.chmod(0o555)
    git(machine, HOME, repository.new, str(repository.folder))
    copy = Path(machine.installed, "src")
    assert {path.name for path in copy.iterdir()} == {"client", "scripts"}
    assert (copy / "scripts").stat().st_mode & 0o700 == 0o700
    assert (copy / "scripts" / "configure").stat().st_mode & 0o100


def test_from_the_command_line(tmp_path_factory: pytest.TempPathFactory, repository: Repository) -> None:
    """
    ``install`` fetches a contestant's pin from the user's mirror, another commit, a checkout, or says why not.

    A home that cannot be reached, or has no such commit, ends in one plain line, and nothing of it is left.
    """
    need_namespaces()
    games = Games.of(tmp_path_factory)
    module = games.folder / "homed.py"
    module.write_text(MODULE.format(home=HOME, pin=repository.new))
    mirrored, alone = games.folder / "mirrored", games.folder / "alone"
    Settings(mirrored).add(f"url.{repository.folder}.insteadOf", HOME)
    Settings(alone).add("http.proxy", "http://127.0.0.1:1")  # where nobody listens: no name is looked up
    for entry in (str(module), f"{module}@{repository.old}", f"{module}:{repository.folder}"):
        ran = games.run("install", "--contestant", entry, GIT_CONFIG_GLOBAL=str(mirrored))
        assert (ran.status, ran.err) == (0, ""), ran.out
    contents = [path.read_text() for path in games.cache.glob("btgames/installed/homed-*/src/client")]
    assert sorted(contents) == ["new", "new", "old"]

    for pin, config in (("0" * 40, mirrored), ("main", alone)):
        ran = games.run("install", "--contestant", f"{module}@{pin}", GIT_CONFIG_GLOBAL=str(config))
        (line,) = ran.err.splitlines()
        assert line.startswith(f"homed: not installed: {HOME} does not give {pin[:12]}: ")
        assert ran.status == 2
    assert len(list(games.cache.glob("btgames/installed/homed-*/src"))) == len(contents)
