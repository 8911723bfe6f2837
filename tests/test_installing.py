"""Installing: whole or not at all, once, by one at a time; what is told meanwhile, and why it could not be."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from modules import entry

from btgames import install_folder, install_log, installing, wrapper
from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import Unsupported
from btgames.testbeds.precheck import gather, why_not
from btgames.wrapper import ModuleError, Wrapper

if TYPE_CHECKING:
    from btgames.contestant import Contestant
    from btgames.installing import Installed

PUT = 'def install(host, version="1"): host.put("x", "it")\n'
PATIENCE_S = 20.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return the folder under which contestants are installed; not yet there."""
    return tmp_path / "cache" / "installed"


def ensure(one: Contestant, base: Path, notes: list[str] | None = None) -> Installed:
    """Install, with the module's process of its own."""
    with Wrapper(one) as functions:
        return installing.ensure(one, functions, base, (notes if notes is not None else []).append)


def record(one: Contestant, base: Path) -> Path:
    """Return the file that is there when a contestant is installed whole."""
    return install_folder.record_of(installing.folder_of(one, base))


def log_of(one: Contestant, base: Path) -> Path:
    """Return the log of a contestant's install."""
    return install_log.log_of(installing.folder_of(one, base))


def refusal(one: Contestant, base: Path) -> Unsupported:
    """Return why it cannot be installed; nothing of it is left."""
    with pytest.raises(Unsupported) as caught:
        ensure(one, base)
    assert not installing.folder_of(one, base).exists()
    assert not record(one, base).exists()
    return caught.value


def need_cells() -> None:
    """Skip the test where commands cannot be contained."""
    if reason := why_not(gather()):
        pytest.skip(reason.replace("\n", " "))


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def other_harness(one: Contestant, base: Path) -> subprocess.Popen[str]:
    """Start another harness, which installs the same contestant and prints its notes and then `done`."""
    program = (
        "import sys; from pathlib import Path; from btgames import contestant, installing; "
        "from btgames.wrapper import Wrapper\n"
        "one = contestant.read(Path(sys.argv[1]), label='other', spec='x')\n"
        "say = lambda text: print(text, flush=True)\n"
        "with Wrapper(one) as wrapper: installing.ensure(one, wrapper, Path(sys.argv[2]), say); say('done')\n"
    )
    argv = [sys.executable, "-c", program, str(one.path), str(base)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)


# Whole or not at all.


def test_an_install_happens_once(tmp_path: Path, base: Path) -> None:
    """What is installed is recorded; the second time nothing runs, and the record's facts come back."""
    log = tmp_path / "log"
    text = f'def install(host, version="1"): host.needs("{tmp_path}"); open({str(log)!r}, "a").write("once ")\n'
    one, notes = entry(tmp_path, install=text), list[str]()
    first = ensure(one, base, notes)
    assert ensure(one, base, notes) == first
    assert log.read_text() == "once "
    assert first.folder == str(installing.folder_of(one, base))
    assert first.read_only == (str(tmp_path),)
    assert [note.partition(" in ")[0] for note in notes] == ["mine: installing mine 1", "mine: installed"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" raise Unsupported('no licence')", "no licence"),
        (" 1 / 0", "mine.py:3: ZeroDivisionError: division by zero"),
        (" os._exit(1)", "install() did not return, "),
        (" raise NeedsPackages('frob')", "needs packages of the system: frob"),
    ],
)
def test_a_failing_install_leaves_nothing(tmp_path: Path, base: Path, text: str, words: str) -> None:
    """Without success there is neither folder nor record, and the reason says why."""
    text = f"def install(host, version='1'): host.put('x', 'it');{text}\n"
    assert words in str(refusal(entry(tmp_path, install=text), base))


def test_an_install_that_hangs_has_a_time_limit(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install over its limit is broken, with the line that it was at, and leaves nothing."""
    limited = Wrapper.install
    monkeypatch.setattr(Wrapper, "install", lambda self, cell, _, **told: limited(self, cell, 0.5, **told))
    one = entry(tmp_path, install="def install(host, version='1'):\n time.sleep(60)\n")
    error = refusal(one, base)
    assert isinstance(error, ModuleError)
    assert str(error).endswith("mine.py:4: TimeoutError: did not return within 0.5 s")


def test_a_killed_install_is_done_again_from_the_start(tmp_path: Path, base: Path) -> None:
    """What a killed harness left half done is no install; the next one begins with an empty folder."""
    marker = tmp_path / "begun"
    text = (
        'def install(host, version="1"):\n'
        f" if not os.path.exists({str(marker)!r}):\n"
        f"  host.put('half', 'half'); open({str(marker)!r}, 'w'); time.sleep(60)\n"
        " host.put('whole', 'whole')\n"
    )
    one = entry(tmp_path, install=text)
    with other_harness(one, base) as other:
        wait_for(marker)
        other.kill()
    assert (installing.folder_of(one, base) / "half").exists()
    assert not record(one, base).exists()
    done = ensure(one, base)
    assert [path.name for path in Path(done.folder).iterdir()] == ["whole"]


def test_ctrl_c_during_an_install_leaves_nothing(tmp_path: Path, base: Path) -> None:
    """Ctrl-C ends an install at once, its folder is removed, and it stays a KeyboardInterrupt."""
    marker = tmp_path / "begun"
    text = f"def install(host, version='1'): host.put('half', 'half'); open({str(marker)!r}, 'w'); time.sleep(60)\n"
    one = entry(tmp_path, install=text)

    def interrupt() -> None:
        wait_for(marker)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        ensure(one, base)
    thread.join()
    assert not installing.folder_of(one, base).exists()
    assert not record(one, base).exists()


@pytest.mark.parametrize("damage", ["folder", "needed", "torn", "odd"])
def test_what_is_recorded_but_gone_is_installed_again(tmp_path: Path, base: Path, damage: str) -> None:
    """A record whose folder or runtime was removed, or that is no record, is not believed."""
    needed = tmp_path / "runtime"
    needed.mkdir()
    text = f'def install(host, version="1"):\n host.put("x", "it"); os.makedirs({str(needed)!r}, exist_ok=True)\n'
    one = entry(tmp_path, install=f"{text} host.needs({str(needed)!r})\n")
    done, written = ensure(one, base), record(one, base)
    if damage == "folder":
        Path(done.folder, "it").unlink()
        Path(done.folder).rmdir()
    elif damage == "needed":
        needed.rmdir()
    else:
        written.write_text(written.read_text()[:-9] if damage == "torn" else "[]")
    assert ensure(one, base).read_only == (str(needed),)
    assert Path(done.folder, "it").exists()
    assert json.loads(written.read_text())["folder"] == done.folder


def test_a_folder_that_nobody_may_write_to_is_removed_all_the_same(tmp_path: Path, base: Path) -> None:
    """Read-only folders, as Go's cache has them, are no obstacle when a half install is done again."""
    one = entry(tmp_path, install=PUT)
    deep = installing.folder_of(one, base) / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (deep.parent / "away").symlink_to(tmp_path)
    for path in (deep, deep.parent):
        path.chmod(0o555)
    done = ensure(one, base)
    assert [path.name for path in Path(done.folder).iterdir()] == ["it"]
    assert (tmp_path / "mine.py").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A cache that cannot hold anything makes the contestant unsupported, in words."""
    (tmp_path / "file").write_text("")
    one = entry(tmp_path)
    with pytest.raises(Unsupported, match=r"cannot be installed: .*/file.*: Not a directory"):
        ensure(one, tmp_path / "file" / "installed")


@pytest.mark.testbed
def test_a_full_disk_leaves_no_record(tmp_path: Path) -> None:
    """Whether the disk is full during the install or when it is recorded: unsupported, in words, and no record."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "test", str(tmp_path)], check=True)
    try:
        (tmp_path / "modules").mkdir()
        fill = "def install(host, version='1'):\n with open(host.installed + '/it', 'wb', buffering=0) as file:\n"
        one = entry(tmp_path / "modules", install=f"{fill}  while file.write(bytes(4096)): pass\n")
        assert "No space left on device" in str(refusal(one, tmp_path / "installed"))
        fill = f"{fill}  try:\n   while file.write(bytes(4096)): pass\n  except OSError: pass\n"
        one = entry(tmp_path / "modules", install=fill)
        with pytest.raises(Unsupported, match="No space left on device"):
            ensure(one, tmp_path / "installed")
        assert not record(one, tmp_path / "installed").exists()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.testbed
def test_a_disk_without_room_is_said_to_be_full(tmp_path: Path) -> None:
    """Where pip's own words do not say so, the reason does; the others are installed, and later it is whole."""
    need_cells()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    base = tmp_path / "disk" / "installed"
    base.parent.mkdir()
    one = entry(tmp_path, install="from btgames.contract import pip\ndef install(host, version='1'): pip(host, 'x')\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "test", str(base.parent)], check=True)
    try:
        assert str(refusal(one, base)).startswith("the disk is almost full, 0.0 MB are left: ")
        assert not [path for path in base.iterdir() if path.suffix not in {".lock", ".log"}]
        ensure(entry(tmp_path, name="small", install=PUT), base)
    finally:
        subprocess.run(["umount", str(base.parent)], check=True)


@pytest.mark.testbed
@pytest.mark.parametrize("retries", ["0", "1"])
def test_without_the_internet_it_is_told(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, retries: str
) -> None:
    """An index that does not answer is told in words, and nothing is left that looks like an install."""
    need_cells()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", retries)
    text = "from btgames.contract import pip\ndef install(host, version='1'): pip(host, f'pybittorrent=={version}')\n"
    why = str(refusal(entry(tmp_path, install=text), base))
    assert why.startswith("no internet, perhaps, or a mirror that does not answer: venv/bin/pip install ")
    assert "ERROR: No matching distribution found for pybittorrent==1" in why


@pytest.mark.testbed
def test_a_pin_that_does_not_exist_is_told(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index's own words: which there are, and that this one is not among them."""
    need_cells()
    shelf = tmp_path / "shelf" / "frob"
    shelf.mkdir(parents=True)
    wheel = "frob-1.0-py3-none-any.whl"
    (shelf / wheel).touch()
    (shelf / "index.html").write_text(f"<a href='{wheel}'>{wheel}</a>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(shelf.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
        text = "from btgames.contract import pip\ndef install(host, version='1'): pip(host, f'frob=={version}')\n"
        why = str(refusal(entry(tmp_path, install=text, version="9"), base))
        server.shutdown()
    assert "frob==9 (from versions: 1.0) | ERROR: No matching distribution found for frob==9" in why
    assert "internet" not in why


# Which directory.


def test_each_module_pin_and_source_has_its_own_directory(tmp_path: Path, base: Path) -> None:
    """A changed module, another version, another or a changed source: another directory. Only .git does not count."""
    text = 'def install(host, version="1", source=None): pass\n'
    source, other = tmp_path / "build-a", tmp_path / "build-b"
    for folder in (source, other):
        (folder / ".git").mkdir(parents=True)
        (folder / "main.c").write_text("int main;")
    plain = entry(tmp_path, install=text)
    folders = {installing.folder_of(plain, base), installing.folder_of(entry(tmp_path, install=text + "#\n"), base)}
    folders |= {installing.folder_of(entry(tmp_path, install=text.replace("1", "2")), base)}
    one = entry(tmp_path, install=text, source=source)
    folders |= {first := installing.folder_of(one, base)}
    folders |= {installing.folder_of(entry(tmp_path, install=text, source=other), base)}
    (source / ".git" / "index").write_text("x")
    assert installing.folder_of(one, base) == first
    (source / "main.c").write_text("int main; // more")
    folders |= {installing.folder_of(one, base)}
    assert len(folders) == 6


def test_a_source_may_have_any_file_names_and_lie_beneath_git(tmp_path: Path, base: Path) -> None:
    """Names that are no text, links that lead nowhere and a worktree beneath a .git folder are fine."""
    source = tmp_path / ".git" / "worktree"
    source.mkdir(parents=True)
    one = entry(tmp_path, install='def install(host, version="1", source=None): pass\n', source=source)
    before = installing.folder_of(one, base)
    Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9")).write_text("")
    (source / "nowhere").symlink_to("gone")
    assert installing.folder_of(one, base) != before


def test_the_source_is_shown_to_install_and_race(tmp_path: Path, base: Path) -> None:
    """install() gets the source's path, and a race shows that directory beside what is installed."""
    text = 'def install(host, version="1", source=None): host.put(source, "it")\n'
    done = ensure(entry(tmp_path, install=text, source=tmp_path), base)
    assert done.read_only == (str(tmp_path),)
    assert Path(done.folder, "it").read_text() == str(tmp_path)


# One at a time, and whose it is.


def test_two_installs_at_once_are_one(tmp_path: Path, base: Path) -> None:
    """The second of two harnesses waits, says so, and finds what the first has installed."""
    log, go = tmp_path / "log", tmp_path / "go"
    text = (
        f"def install(host, version='1'):\n open({str(log)!r}, 'a').write('once ')\n"
        f" while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    one = entry(tmp_path, install=text)
    with other_harness(one, base) as first:
        wait_for(log)
        with other_harness(one, base) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "other: another install is at it\n"
            go.touch()
            assert second.communicate(timeout=PATIENCE_S)[0] == "done\n"
        assert first.communicate(timeout=PATIENCE_S)[0].endswith("done\n")
    assert log.read_text() == "once "


def test_a_lock_file_alone_holds_nobody_up(tmp_path: Path, base: Path) -> None:
    """The lock is the kernel's: what a killed harness left of it is only a file."""
    one = entry(tmp_path)
    base.mkdir(parents=True)
    lock = installing.folder_of(one, base).with_suffix(".lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    notes: list[str] = []
    ensure(one, base, notes)
    assert "another install" not in " ".join(notes)


def test_under_sudo_all_belongs_to_the_caller(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders, record, log and lock belong to who called sudo; a folder that was there before stays root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root, as sudo has it")
    monkeypatch.setenv("SUDO_UID", "12345")
    monkeypatch.setenv("SUDO_GID", "12345")
    ensure(entry(tmp_path, install=PUT), base)
    made = [base.parent, *base.parent.rglob("*")]
    assert len(made) == 7
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12345)}
    assert tmp_path.stat().st_uid == 0


# Several at once, and what is told meanwhile.


def meeting(tmp_path: Path, own: str, other: str) -> str:
    """Return an install() that waits until another one has begun."""
    return (
        f"def install(host, version='1'):\n open({str(tmp_path / own)!r}, 'w')\n"
        f" while not os.path.exists({str(tmp_path / other)!r}): time.sleep(0.01)\n"
    )


def test_several_are_installed_side_by_side(tmp_path: Path, base: Path) -> None:
    """Two go on at a time at least; what came of each stands in its place; their processes end with them."""
    everyone = [
        entry(tmp_path, name="one", install=meeting(tmp_path, "mark-1", "mark-2")),
        entry(tmp_path, name="two", install=meeting(tmp_path, "mark-2", "mark-1")),
        entry(tmp_path, name="bad", install="def install(host, version='1'): raise Unsupported('no way')\n"),
        entry(tmp_path, name="fine", install=PUT),
    ]
    notes: list[str] = []
    made = installing.side_by_side(everyone, base, notes.append)
    assert [isinstance(each, Unsupported) for each in made] == [False, False, True, False]
    assert str(made[2]) == "no way"
    assert {note.partition(" in ")[0] for note in notes} >= {"one: installed", "two: installed", "fine: installed"}
    again = installing.side_by_side([everyone[0], everyone[3]], base, notes.append)
    assert again == [made[0], made[3]]
    assert [each.before for each in again if not isinstance(each, Unsupported)] == [True, True]


def test_builds_that_take_minutes_come_one_after_the_other(tmp_path: Path, base: Path) -> None:
    """Those with SLOW are installed one at a time, beside the others, and it is said before that it takes long."""
    slowly = (
        "SLOW = True\n"
        "def install(host, version='1'):\n"
        f" mark = {str(tmp_path / 'at-it')!r}\n"
        " os.close(os.open(mark, os.O_CREAT | os.O_EXCL)); time.sleep(0.3); os.unlink(mark)\n"
    )
    everyone = [entry(tmp_path, name=name, install=slowly) for name in ("a", "b", "c")]
    everyone.insert(1, entry(tmp_path, name="quick", install=meeting(tmp_path, "quick", "at-it")))
    notes: list[str] = []
    made = installing.side_by_side(everyone, base, notes.append)
    assert not [why for why in made if isinstance(why, Unsupported)]
    assert "a: installing a 1; this may take minutes" in notes
    assert "quick: installing quick 1" in notes


def test_an_install_that_goes_on_is_told_of(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so often a line says how long it takes and what its log ends with, which no terminal obeys."""
    monkeypatch.setattr(wrapper, "NEWS_S", 0.05)
    text = (
        "def install(host, version='1'):\n"
        f" log = {str(base)!r} + '/' + os.path.basename(host.installed) + '.log'\n"
        " time.sleep(0.2); open(log, 'w').write('$ make\\nCompiling\\x1b[2J tokio\\n'); time.sleep(0.2)\n"
    )
    notes: list[str] = []
    ensure(entry(tmp_path, install=text), base, notes)
    assert notes[0] == "mine: installing mine 1"
    assert re.fullmatch(r"mine: installing, \d s", notes[1])
    assert re.fullmatch(r"mine: installing, \d s, Compiling tokio", notes[-2])
    assert notes[-1].startswith("mine: installed in ")


@pytest.mark.parametrize(("seconds", "words"), [(15.2, "15 s"), (59.7, "1 min 0 s"), (90.0, "1 min 30 s")])
def test_how_long_it_goes_on_in_words(seconds: float, words: str) -> None:
    """Whole seconds; minutes where there are some."""
    assert installing.duration(seconds) == words


def test_what_it_takes_of_the_disk_is_told_and_recorded(tmp_path: Path, base: Path) -> None:
    """When it is installed its size on disk is said, and stands in the record; a record without is not believed."""
    text = "def install(host, version='1'):\n host.put(bytes(30_000_000), 'it'); os.link(host.installed + '/it', "
    one, notes = entry(tmp_path, install=f"{text}host.installed + '/again')\n"), list[str]()
    done = ensure(one, base, notes)
    assert 30_000_000 <= done.bytes < 31_000_000
    assert notes[-1].endswith(" s, 30 MB on disk")
    assert ensure(one, base).bytes == done.bytes
    fields = json.loads(record(one, base).read_text())
    record(one, base).write_text(json.dumps({name: value for name, value in fields.items() if name != "bytes"}))
    assert not ensure(one, base).before


# A real cell.


@pytest.mark.testbed
def test_a_failing_command_is_told_with_its_last_lines(tmp_path: Path, base: Path) -> None:
    """What the failing command printed last is the reason; nothing of the install is left."""
    need_cells()
    text = "def install(host, version='1'): host.run('sh', '-c', 'seq 9; echo no libfoo >&2; exit 3')\n"
    one = entry(tmp_path, install=text)
    error = refusal(one, base)
    assert isinstance(error, CommandFailed)
    log = log_of(one, base)
    assert str(error) == f"sh -c seq 9; echo no libfoo >&2; exit 3 ended with status 3: 8 | 9 | no libfoo; log: {log}"
    assert log.read_text().splitlines() == ["$ sh -c 'seq 9; echo no libfoo >&2; exit 3'", *"123456789", "no libfoo"]


@pytest.mark.testbed
def test_the_reason_leaves_out_the_folder(tmp_path: Path, base: Path) -> None:
    """In the reason the contestant's own folder, which is long and clear, is left out before names of what is in it."""
    need_cells()
    text = "def install(host, version='1'): host.run(host.put('exit 3', 'bin/fail', mode=0o755))\n"
    assert str(refusal(entry(tmp_path, install=text), base)).startswith("bin/fail ended with status 127: ")


@pytest.mark.testbed
def test_a_hanging_command_is_killed_and_told(tmp_path: Path, base: Path) -> None:
    """A command over its own limit is killed, its children included, and its last words are the reason."""
    need_cells()
    text = "def install(host, version='1'): host.run('sh', '-c', 'echo hm; sleep 60 & wait', timeout_s=1)\n"
    began = time.monotonic()
    assert "was killed, after 1 s at most: hm; log: " in str(refusal(entry(tmp_path, install=text), base))
    assert time.monotonic() - began < PATIENCE_S


def test_how_to_names_packages_and_line(tmp_path: Path) -> None:
    """A race says of a contestant whose packages are missing which they are and what to type."""
    one = entry(tmp_path)
    assert installing.how_to(one, NeedsPackages("a", "b")) == "needs a b: ./inv install --contestant ./mine.py"
