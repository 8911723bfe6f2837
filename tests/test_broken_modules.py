"""Contestants' modules that are broken, really raced beside one that is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from games import Games, fake, need_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from games import Ran, Running

pytestmark = pytest.mark.testbed

# A module -> what the heat's reason says, with the file in place of FILE.
MODULES = {
    "no_parse": ("def install(host:\n", "FILE:1: '(' was never closed"),
    "no_download": (
        "def install(host, version='1'): ...\ndef torrentfile(host, torrent): ...\n",
        "FILE:1: it has no function download",
    ),
    "few_parameters": (
        "def install(host, version='1'): ...\ndef torrentfile(host): ...\ndef download(torrentfile, into): ...\n",
        "FILE:2: torrentfile() has no parameter torrent",
    ),
    "no_import": ("import nonsense_of_mine\n{}", "FILE:1: ModuleNotFoundError: No module named 'nonsense_of_mine'"),
    "exits": ("import sys\nsys.exit('bye')\n{}", "FILE:2: SystemExit: bye"),
    "raises": ("{}\ndef install(host, version='1'):\n    return 1 / 0\n", "ZeroDivisionError: division by zero"),
    "unsupported": (
        "from btgames.errors import Unsupported\n{}\ndef install(host, version='1'):\n    raise Unsupported('no day')",
        "no day",
    ),
    "install_fails": (
        "{}\ndef install(host, version='1'):\n    host.run('sh', '-c', 'echo one; echo no such library; exit 3')\n",
        "ended with status 3: one | no such library",
    ),
    "install_hangs": (
        "{}\ndef install(host, version='1'):\n    host.run('sh', '-c', 'echo begun; sleep 1000', timeout_s=1)\n",
        "was killed, after 1 s at most: begun",
    ),
    "install_missing": ("{}\ndef install(host, version='1'):\n    host.run('no-such-tool')\n", "no-such-tool"),
    "torrentfile_raises": ("{}\ndef torrentfile(host, torrent):\n    raise OSError('dear\\nme')\n", "OSError: dear"),
    "torrentfile_wrong": (
        "{}\ndef torrentfile(host, torrent):\n    return 7\n",
        "torrentfile() returned int; allowed is a str",
    ),
    "download_wrong": (
        "{}\ndef download(torrentfile, into):\n    return 'aria2c'\n",
        "download() returned str; allowed is a Command",
    ),
    "download_dies": ("import os\n{}\ndef download(torrentfile, into):\n    os.kill(os.getpid(), 9)\n", "download()"),
    "puts_outside": ("{}\ndef torrentfile(host, torrent):\n    return host.put(b'', '../../x')\n", "lies outside"),
    "needs_world": ("{}\ndef install(host, version='1'):\n    host.needs('/')\n", "somebody's whole world"),
}
CRASHES = {
    "no_program": (
        "{}\ndef download(torrentfile, into):\n    return Command('no-such-client')\n",
        "could not be started: no-such-client: No such file or directory",
    ),
}
WELL = """from btgames.contract import Command
def install(host, version="1"): pass
def torrentfile(host, torrent): return host.put(torrent.data, "test.torrent")
def download(torrentfile, into): return Command("true")"""


def _written(folder: Path, modules: dict[str, tuple[str, str]]) -> list[str]:
    """Write modules, what they lack of a whole one in place of {}; return their paths."""
    for name, (text, _) in modules.items():
        (folder / f"{name}.py").write_text(text.replace("{}", WELL))
    return [str(folder / f"{name}.py") for name in modules]


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a race with a module that hangs, which takes its time limit of 20 s, beside the other tests."""
    need_namespaces()
    games = Games.of(tmp_path_factory)
    text = "import time\n{}\ndef torrentfile(host, torrent):\n    time.sleep(1000)\n"
    with games.start_race(*_written(games.folder, {"hangs": (text, "")}), fake("perfect")) as running:
        yield running


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, hanging: Running) -> Ran:
    """Race all broken modules, and one that is not."""
    del hanging
    games = Games.of(tmp_path_factory)
    ran = games.race(*_written(games.folder, {**MODULES, **CRASHES}), fake("perfect"))
    assert list(games.tmp.iterdir()) == []
    return ran


@pytest.mark.parametrize("name", MODULES)
def test_modules(broken: Ran, name: str) -> None:
    """A module that is broken is unsupported once, with one line that names file and line where there is one."""
    heat = broken.one(name)
    says = MODULES[name][1].replace("FILE", f"{name}.py")
    assert heat.outcome == "unsupported"
    assert says in heat.reason
    assert "\n" not in heat.reason
    if "Error" in says:
        assert f"{name}.py:" in heat.reason


@pytest.mark.parametrize("name", CRASHES)
def test_commands_that_cannot_be_started(broken: Ran, name: str) -> None:
    """A command that does not exist has crashed, and is named."""
    assert (broken.one(name).outcome, broken.one(name).reason) == (
        "crashed",
        CRASHES[name][1],
    )


def test_the_others_go_on(broken: Ran) -> None:
    """Beside all that is broken the one that is not has raced; the status says that some could not."""
    assert broken.one("perfect").outcome == "finished"
    assert (broken.status, broken.err) == (1, "")


def test_a_module_that_hangs(hanging: Running) -> None:
    """A function that does not return is ended after its time limit, once, and the others go on."""
    ran = hanging.ended(60)
    assert ran.one("hangs").outcome == "unsupported"
    assert re.search(r"hangs\.py:\d+: .*did not return within 20 s", ran.one("hangs").reason), ran.one("hangs").reason
    assert ran.one("perfect").outcome == "finished"
    assert ran.status == 1
    assert ran.seconds < 40, "it hangs once, not in each of its heats"
