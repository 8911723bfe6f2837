"""CPython 2.7 out of Debian 11's packages: where they are looked for, and how what is unpacked becomes usable."""

from __future__ import annotations

import platform
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from btgames import bullseye
from btgames.contract import CommandFailed
from btgames.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKED_FIRST = """\
W: something about a key
'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_debian 0
'mirror+file:/etc/apt/mirrors/near.list/dists/bookworm/InRelease' near.list 0
'https://flat.example/./InRelease' flat.example_._InRelease 0
"""
MIRROR, NEAR, ARCHIVE = (
    "http://mirror.example/debian",
    "mirror+file:/etc/apt/mirrors/near.list",
    "http://archive.sys.example/debian",
)


class Machine:
    """A host whose apt and dpkg-deb are played; the files are real."""

    def __init__(self, folder: Path, *, having: tuple[str, ...], incomplete: tuple[str, ...] = ()) -> None:
        self.installed = self.folder = str(folder)
        self.asked: list[str] = []
        self.compiled: list[str] = []
        self._having = having
        self._incomplete = incomplete

    def run(self, *argv: object, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> str:  # noqa: ARG002 - the protocol's signature
        """Play a command."""
        words = [str(word) for word in argv]
        match words:
            case ["apt-get", "update", "--print-uris"]:
                return ASKED_FIRST
            case ["apt-get", "update"]:
                self._update(Path((env or {})["APT_CONFIG"]))
            case ["env", chdir, "apt-get", "download", *packages]:
                self._download(Path(chdir.partition("=")[2]), packages)
            case ["dpkg-deb", "--extract", deb, to]:
                _extract(Path(deb).stem, Path(to))
            case [python, "-m", "compileall", *_]:
                self.compiled.append(python)
            case _:
                subprocess.run(words, check=True)
        return ""

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:
        """Write a file as an install does: over a symlink, not through it."""
        path = Path(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        return str(path)

    def needs(self, path: str) -> None:
        """Nothing outside the installed things is needed."""
        raise AssertionError(path)

    def _update(self, config: Path) -> None:
        source = config.with_name("sources.list")
        assert f'Dir::Etc::sourcelist "{source}";' in config.read_text()
        (line,) = source.read_text().splitlines()
        assert "signed-by=/usr/share/keyrings/" in line
        mirror, *suite = line.partition("] ")[2].split()
        assert suite == ["bullseye", "main"]
        self.asked.append(mirror)
        if mirror not in self._having:
            raise CommandFailed(f"{mirror} has no bullseye")

    def _download(self, folder: Path, packages: list[str]) -> None:
        if self.asked[-1] in self._incomplete:
            (folder / "stale.deb").touch()
            raise CommandFailed("half of it is missing")
        for package in packages:
            (folder / f"{package}.deb").touch()


def _extract(package: str, root: Path) -> None:
    """Unpack what matters of a package."""
    assert package != "stale"
    library, headers = root / "usr/lib/python2.7", root / "usr/include"
    if package == "libpython2.7-minimal":
        library.mkdir(parents=True, exist_ok=True)
        (library / "sitecustomize.py").symlink_to("/etc/python2.7/sitecustomize.py")
    if package == "libpython2.7-dev":
        for folder in (headers / "python2.7", headers / "riscv-linux-gnu/python2.7"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "pyconfig.h").write_text(str(folder.relative_to(headers)))


@pytest.fixture(autouse=True)
def _a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"HOME_URL": "https://www.sys.example/"})


def test_the_first_mirror_that_has_it_is_used(tmp_path: Path) -> None:
    """Each mirror of the machine's own is asked once, in apt's order; nothing of the fetching is left."""
    machine = Machine(tmp_path, having=(NEAR, ARCHIVE))
    python = bullseye.unpack(machine)
    assert python == f"{tmp_path}/python2.7/usr/bin/python2.7"
    assert machine.asked == [MIRROR, NEAR]
    assert machine.compiled == [python]
    assert [path.name for path in tmp_path.iterdir()] == ["python2.7"]


def test_the_archive_comes_last(tmp_path: Path) -> None:
    """Where no mirror has it any more, the archive of who made the system is asked."""
    machine = Machine(tmp_path, having=(ARCHIVE,))
    bullseye.unpack(machine)
    assert machine.asked == [MIRROR, NEAR, ARCHIVE]


def test_half_a_mirror_is_none(tmp_path: Path) -> None:
    """What a mirror brought before it failed is not mixed with the next one's."""
    machine = Machine(tmp_path, having=(MIRROR, NEAR), incomplete=(MIRROR,))
    bullseye.unpack(machine)
    assert machine.asked == [MIRROR, NEAR]


def test_nobody_has_it(tmp_path: Path) -> None:
    """The contestant is unsupported; the reason is what is needed and what the first mirror said."""
    with pytest.raises(Unsupported, match=rf"needs CPython 2\.7: .* Debian 11's cannot be fetched: {MIRROR} has no"):
        bullseye.unpack(Machine(tmp_path, having=()))
    assert list(tmp_path.iterdir()) == []


def test_no_mirror_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that tells neither mirrors nor who made it has no such packages."""
    monkeypatch.setattr(platform, "freedesktop_os_release", dict)
    monkeypatch.setattr(sys.modules[__name__], "ASKED_FIRST", "")
    with pytest.raises(Unsupported, match="apt has no mirror"):
        bullseye.unpack(Machine(tmp_path, having=()))


def test_headers_are_found_where_they_were_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distutils is told the unpacked folder, and the architecture's own pyconfig.h lies in it."""
    bullseye.unpack(Machine(tmp_path, having=(MIRROR,)))
    headers = tmp_path / "python2.7/usr/include/python2.7"
    assert (headers / "pyconfig.h").read_text() == "riscv-linux-gnu/python2.7"
    told = {"INCLUDEPY": "/usr/include/python2.7", "CC": "cc"}
    nd = types.ModuleType("_sysconfigdata_nd")
    nd.build_time_vars = told  # type: ignore[attr-defined] # as Python's own build writes it
    monkeypatch.setitem(sys.modules, "_sysconfigdata_nd", nd)
    _run(tmp_path / "python2.7/usr/lib/python2.7/_sysconfigdata.py")
    assert told == {"INCLUDEPY": str(headers), "CONFINCLUDEPY": str(headers), "CC": "cc"}


def test_libraries_are_loaded_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were unpacked are loaded, each after what it needs, though none of them is a module of Python."""
    bullseye.unpack(Machine(tmp_path, having=(MIRROR,)))
    libraries = tmp_path / "python2.7/usr/lib/riscv-linux-gnu"
    libraries.mkdir()
    for name in ("libssl.so.1.1", "libcrypto.so.1.1"):
        (libraries / name).touch()
    loaded = []

    def load_dynamic(name: str, path: str) -> None:
        loaded.append(path)
        raise ImportError(name)

    imp = types.ModuleType("imp")
    imp.load_dynamic = load_dynamic  # type: ignore[attr-defined] # as CPython 2.7 has it
    monkeypatch.setitem(sys.modules, "imp", imp)
    custom = tmp_path / "python2.7/usr/lib/python2.7/sitecustomize.py"
    assert not custom.is_symlink()
    _run(custom)
    assert loaded == [str(libraries / "libcrypto.so.1.1"), str(libraries / "libssl.so.1.1")]


def _run(file: Path) -> None:
    exec(compile(file.read_bytes(), str(file), "exec"), {"__file__": str(file)})  # noqa: S102 - our own, valid in both
