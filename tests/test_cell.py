"""The cell's protocol: what it says of a command, what it obeys, and what it counts. With root and without."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cells import Spoken, cell_in, marked, need_namespaces, python, wait_for
from unprivileged import run_as_other

if TYPE_CHECKING:
    from collections.abc import Callable

    from btgames.containment import Cell

pytestmark = pytest.mark.testbed

MEGABYTE = 1 << 20
SLEEPS = "import time; print('up', flush=True); time.sleep(1000)"


@pytest.fixture(autouse=True)
def _able() -> None:
    need_namespaces()


@pytest.fixture
def speak(tmp_path: Path) -> Callable[..., Spoken]:
    """Return a function that starts a cell for a command and has told it the spec."""

    def started(argv: list[str], **changes: Any) -> Spoken:
        spoken = Spoken(cell_in(tmp_path / "installed"), argv, **{"log": str(tmp_path / "log"), **changes})
        spoken.tell(spoken.text)
        return spoken

    return started


def test_a_command_from_exec_to_empty(speak: Callable[..., Spoken], tmp_path: Path) -> None:
    """Its exec, its exit and the end of all are told in this order, with times of CLOCK_MONOTONIC."""
    before = time.monotonic()
    with speak(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")) as cell:
        began, ended, empty = cell.rest()
        assert cell.status() == 0
    assert [event["event"] for event in (began, ended, empty)] == ["exec", "exit", "empty"]
    assert before < began["at_s"] <= ended["at_s"] <= empty["at_s"] < time.monotonic()
    assert (ended["status"], empty["limit"]) == (3, None)
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_exec_is_just_before_the_command_runs(speak: Callable[..., Spoken], tmp_path: Path) -> None:
    """The command itself reads a clock that is later than the exec, by little."""
    with speak(python("import time; print(time.monotonic())")) as cell:
        began = cell.hear()
        cell.rest()
    assert 0 < float((tmp_path / "log").read_text()) - began["at_s"] < 2, "14 ms on a quiet machine"


def test_a_signal_that_ends_it(speak: Callable[..., Spoken]) -> None:
    """A command ended by a signal has the signal's negative number as its status."""
    with speak(python("import os; os.kill(os.getpid(), 11)")) as cell:
        assert [event.get("status") for event in cell.rest()] == [None, -signal.SIGSEGV, None]


@pytest.mark.parametrize(
    ("argv", "changes", "reason"),
    [
        (["no-such-program"], {}, "no-such-program: No such file or directory"),
        (["/etc/passwd"], {}, "/etc/passwd: Permission denied"),
        (["/usr"], {}, "/usr: Permission denied"),
        (["true"], {"cwd": "/no/such/folder"}, "/no/such/folder: No such file or directory"),
        (["nul\0byte"], {}, "embedded null"),
    ],
)
def test_what_cannot_be_started(
    speak: Callable[..., Spoken], argv: list[str], changes: dict[str, object], reason: str
) -> None:
    """A command that cannot be executed is told with the kernel's word, as the command's own fault."""
    with speak(argv, **changes) as cell:
        (event,) = cell.rest()
        assert cell.status() == 1
    assert (event["event"], event["who"]) == ("failed", "command")
    assert reason in event["reason"]


@pytest.mark.parametrize("text", ["", "no json\n", '{"uid": 1}\n', "[]\n", '{"command": {}, "uid": 1, "else": 2}\n'])
def test_what_is_no_spec(tmp_path: Path, text: str) -> None:
    """A spec that is none is the cell's failure, told in one line."""
    with Spoken(cell_in(tmp_path / "installed"), ["true"]) as cell:
        cell.tell(text)
        cell.let_go()
        (event,) = cell.rest()
        assert (event["event"], event["who"]) == ("failed", "cell")
        assert event["reason"].startswith("no spec: ")
        assert cell.status() == 1


def test_a_log_that_cannot_be_opened(speak: Callable[..., Spoken]) -> None:
    """A log in a folder that is not there is the cell's failure."""
    with speak(["true"], log="/no/such/folder/log") as cell:
        (event,) = cell.rest()
    assert (event["who"], "/no/such/folder/log" in event["reason"]) == ("cell", True)


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL"])
def test_orders_reach_everybody(speak: Callable[..., Spoken], tmp_path: Path, name: str) -> None:
    """A signal goes to the command and to what it has started, in other sessions too."""
    script = f"import os, time\nif not os.fork(): os.setsid()\n{SLEEPS}"
    with speak(python(script, f"order-{name}-{os.getpid()}")) as cell:
        assert cell.hear()["event"] == "exec"
        wait_for(lambda: (tmp_path / "log").read_bytes().count(b"up") == 2, "both run")
        cell.tell(f"{name}\n")
        ended, empty = cell.rest()
    # Python makes of SIGINT an exception, of which its process dies.
    assert ended["status"] == -signal.Signals[f"SIG{name}"]
    assert empty["event"] == "empty"
    assert marked(f"order-{name}-{os.getpid()}") == []


def test_orders_that_come_with_the_spec(tmp_path: Path) -> None:
    """What follows the spec in the same write is not lost."""
    with Spoken(cell_in(tmp_path / "installed"), ["sleep", "1000"]) as cell:
        cell.tell(cell.text + "TERM\n")
        assert [event.get("status") for event in cell.rest()] == [None, -signal.SIGTERM, None]


@pytest.mark.parametrize("how", ["stdin ends", "the cell is killed"])
def test_when_nobody_asks_any_more_all_is_killed(speak: Callable[..., Spoken], tmp_path: Path, how: str) -> None:
    """The end of stdin, and a blow to the cell itself, end the command and the daemon that ignores signals."""
    mark = f"alone-{how}-{os.getpid()}"
    script = (
        "import os, signal, time\n"
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        f"    if os.fork(): os._exit(0)\n{SLEEPS}"
    )
    with speak(python(script, mark)) as cell:
        wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_bytes().count(b"up") == 2, "both run")
        assert len(marked(mark)) == 2
        cell.tell("TERM\n")
        if how == "stdin ends":
            cell.let_go()
            assert cell.rest()[-1]["event"] == "empty"
        else:
            os.kill(cell.pid, signal.SIGKILL)
        wait_for(lambda: not marked(mark), "all of it is dead")


def test_a_daemon_lives_on(speak: Callable[..., Spoken], tmp_path: Path) -> None:
    """The command's end is not the end: what it left running is waited for, unless nobody wants it to linger."""
    script = "import os, time\nif not os.fork():\n    os.setsid(); time.sleep(0.5); print('late')"
    with speak(python(script)) as cell:
        _, ended, empty = cell.rest()
    assert empty["at_s"] - ended["at_s"] > 0.4
    assert (tmp_path / "log").read_text() == "late\n"
    with speak(python(script.replace("0.5", "1000")), lingers=False) as cell:
        _, ended, empty = cell.rest()
    assert (ended["status"], empty["event"]) == (0, "empty")


def test_what_it_costs(speak: Callable[..., Spoken]) -> None:
    """CPU seconds are of all processes, those of grandchildren too; peak memory is of those that ran together."""
    script = (
        "import os, time\n"
        "def work():\n"
        f"    block = bytearray(os.urandom(1)) * {60 * MEGABYTE}\n"
        "    began = time.process_time()\n"
        "    while time.process_time() - began < 0.4: pass\n"
        "    time.sleep(0.5)\n"
        "if not os.fork():\n"
        "    if not os.fork(): work(); os._exit(0)\n"
        "    os.wait(); os._exit(0)\n"
        "work(); os.wait()\n"
    )
    with speak(python(script)) as cell:
        empty = cell.rest()[-1]
    assert 0.8 <= empty["cpu_user_s"] + empty["cpu_system_s"] < 5
    assert 115 * MEGABYTE < empty["peak_rss_bytes"] < 220 * MEGABYTE


def test_a_small_command_costs_little(speak: Callable[..., Spoken]) -> None:
    """The memory of PID 1, of which the command began as a copy, is not the command's."""
    with speak(["true"]) as cell:
        empty = cell.rest()[-1]
    assert empty["peak_rss_bytes"] < 8 * MEGABYTE
    assert empty["cpu_user_s"] + empty["cpu_system_s"] < 0.5


def test_its_environment_is_what_was_said(speak: Callable[..., Spoken], tmp_path: Path) -> None:
    """Nothing of ours is in it; stdin is empty, no terminal is there, and nothing is open but the three."""
    script = (
        "import os, sys\n"
        "print(sorted(os.environ), repr(sys.stdin.read()), os.getsid(0) == os.getpid(), end=' ')\n"
        "print(sorted(os.listdir('/proc/self/fd')))\n"
        "try: os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    with speak(python(script)) as cell:
        cell.rest()
    # 3 is the listing's own.
    expected = "['HOME', 'INSTALLED', 'LANG', 'PATH', 'TMPDIR'] '' True ['0', '1', '2', '3']"
    assert (tmp_path / "log").read_text() == f"{expected}\nNo such device or address\n"


def patched(cell: Cell, patch: str) -> Cell:
    """Return a cell that finds another machine than there is."""
    program = f"import sys\nfrom btgames.agents import cell, cellroot, kernel\n{patch}\nsys.exit(cell.main())"
    return replace(cell, argv=(*cell.argv[: cell.argv.index("-m")], "-c", program))


@pytest.mark.parametrize("unkind", ["mount_setattr", "mount point", "user namespace"])
def test_kernels_that_lack_something(tmp_path: Path, unkind: str) -> None:
    """Without mount_setattr, without /sys, and, for root, without user namespaces, all of it holds."""
    if unkind == "user namespace" and os.geteuid() != 0:
        unkind = "mount_setattr"  # without root there is no cell at all
    lacking = {
        "mount_setattr": "kernel._SYS_MOUNT_SETATTR = 1 << 20",
        "mount point": "cellroot._MOUNT_POINTS = ('/no/such/folder', '/etc/hostname', '/media', '/srv', '/mnt')",
        "user namespace": (
            "unshare = kernel.unshare\n"
            "def refuse(flags):\n"
            "    if flags & kernel.CLONE_NEWUSER: raise OSError(28, 'No space left on device')\n"
            "    unshare(flags)\n"
            "kernel.unshare = refuse"
        ),
    }[unkind]
    script = (
        "import os\n"
        "words = dict(line.split(':\\t') for line in open('/proc/self/status') if line.startswith('Cap'))\n"
        "devices = ('/dev/', '/proc/key')\n"
        "mounts = [line.split() for line in open('/proc/self/mountinfo')]\n"
        "mounts = {words[4]: words[5].split(',') for words in mounts if not words[4].startswith(devices)}\n"
        "plain = [place for place, words in mounts.items() if not {'nosuid', 'nodev'} <= set(words)]\n"
        "loose = [place for place in ('/', '/usr', '/etc', '/dev', '/run') if 'ro' not in mounts[place]]\n"
        "print(os.getuid() != 0, {word.strip() for word in words.values()} == {'0' * 16}, plain, loose)\n"
        f"open({str(tmp_path / 'installed' / 'file')!r}, 'w')\n"
        "try: open('/usr/file', 'w')\n"
        "except OSError as error: print(error.strerror)\n"
    )
    with Spoken(patched(cell_in(tmp_path / "installed"), lacking), python(script), log=str(tmp_path / "log")) as spoken:
        spoken.tell(spoken.text)
        assert [event["event"] for event in spoken.rest()] == ["exec", "exit", "empty"]
    assert (tmp_path / "log").read_text() == "True True [] []\nRead-only file system\n"
    assert (tmp_path / "installed" / "file").exists()


@pytest.mark.parametrize("there", [True, False])
def test_where_names_are_looked_up(tmp_path: Path, *, there: bool) -> None:
    """Of the folder that resolv.conf leads to, that one file is seen; where it leads nowhere, nothing is amiss."""
    real = tmp_path / "resolver" / "stub.conf"
    link = tmp_path / "resolv.conf"
    link.symlink_to(real)
    real.parent.mkdir()
    (real.parent / "socket").write_text("private")
    if there:
        real.write_text("nameserver 192.0.2.1\n")
    script = f"import os; folder = {str(real.parent)!r}; print(os.listdir(folder) if os.path.exists(folder) else None)"
    cell = patched(cell_in(tmp_path / "installed"), f"cellroot._RESOLV_CONF = {str(link)!r}")
    with Spoken(cell, python(script), log=str(tmp_path / "log")) as spoken:
        spoken.tell(spoken.text)
        assert spoken.rest()[1]["status"] == 0
    assert (tmp_path / "log").read_text() == ("['stub.conf']\n" if there else "None\n")


@pytest.mark.parametrize("name", ["with space", "schön", "back\\slash", "tab\tand\nnewline", "\udcff\udcfe"])
@pytest.mark.parametrize("where", ["tmp_path", "/mnt", "/var/tmp", "/srv"])
def test_folders_of_any_name(tmp_path: Path, where: str, name: str) -> None:
    """Folders are seen at their own paths, whatever they are called and wherever they lie."""
    if where == "tmp_path" or not os.access(where, os.W_OK):
        where = str(tmp_path)
    folder = Path(where, f"btgames {os.getpid()} {name}")
    folder.mkdir()
    try:
        shown = folder / "shown"
        shown.mkdir()
        (shown / "file").write_text("hello")
        shown.chmod(0o755)
        folder.chmod(0o755)
        cell = cell_in(folder / "installed")
        script = (
            "import sys\nfolder = sys.argv[1]\n"
            "print(open(folder + '/shown/file').read())\n"
            "open(folder + '/installed/made', 'w').write('here')\n"
            "try: open(folder + '/shown/made', 'w')\n"
            "except OSError as error: print(error.strerror)\n"
        )
        argv = python(script, str(folder))
        with Spoken(cell, argv, read_only=[*cell.read_only, str(shown)], log=str(tmp_path / "log")) as spoken:
            spoken.tell(spoken.text)
            assert spoken.rest()[1]["status"] == 0, (tmp_path / "log").read_text()
        assert (tmp_path / "log").read_text() == "hello\nRead-only file system\n"
        assert (folder / "installed" / "made").read_text() == "here"
    finally:
        shutil.rmtree(folder)


def test_without_root_all_of_this_holds_too(root: Path) -> None:
    """The tests of this file pass for an unprivileged user."""
    run_as_other(root, ("test_cell",), but="test_cell.py::test_without_root_all_of_this_holds_too")
