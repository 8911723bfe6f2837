"""A contestant's functions called in a child process: whatever the module does, an answer or an error in words."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from modules import HEAD, entry

from btgames.containment import Cell
from btgames.contract import NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.hosts.namespace import NamespaceHost
from btgames.torrent import Torrent, make
from btgames.wrapper import Argv, ModuleError, Wrapper

CELL = Cell(("true",), None, "/installed")
GONE = NamespaceHost("client", "198.18.0.9", "/nowhere", "python3", "/nowhere", keeper=2**22, user_namespace=False)


def torrent() -> Torrent:
    """Return a torrent of one piece."""
    return make(["http://198.18.0.1:6969/announce"], [("payload.bin", 3)], 1 << 15, b"x" * 20)


def download(folder: Path, body: str, head: str = HEAD) -> Argv:
    """Have a module whose download has this body called, and return its command."""
    with Wrapper(entry(folder, head=head, download=f"def download(torrentfile, into):\n{body}")) as wrapper:
        return wrapper.download("a.torrent", "into")


def refusal(folder: Path, body: str, head: str = HEAD, call_s: float = 20.0) -> str:
    """Return why a module whose download() has this body is broken."""
    one = entry(folder, head=head, download=f"def download(torrentfile, into):\n{body}")
    with Wrapper(one, call_s=call_s) as wrapper, pytest.raises(ModuleError) as caught:
        wrapper.download("a.torrent", "into")
    return str(caught.value)


def test_a_command_comes_back_as_data(tmp_path: Path) -> None:
    """What download() returns arrives whole: argv as text, environment and working directory."""
    made = download(
        tmp_path, " from pathlib import Path\n return Command('a b', Path(into), 3, 'é', env={'N': 1}, cwd='/x')\n"
    )
    assert made == Argv(("a b", "into", "3", "é"), {"N": "1"}, "/x")


def test_a_shell_command_is_one_for_sh(tmp_path: Path) -> None:
    """Command.shell becomes an argument list for /bin/sh."""
    assert download(tmp_path, " return Command.shell('a | b')\n").argv == ("/bin/sh", "-c", "a | b")


def test_install_gets_the_pin_and_tells_what_it_needs(tmp_path: Path) -> None:
    """install() is called with its pin, and what it said it needs comes back; nothing twice, nothing of /usr."""
    text = (
        'def install(host, version="7"):\n'
        " assert (version, host.installed, host.folder) == ('7', '/installed', '/installed')\n"
        " for path in ('/opt/tool/1', '/opt/tool/./1', '/usr/lib/x'): host.needs(path)\n"
    )
    with Wrapper(entry(tmp_path, install=text)) as wrapper:
        assert wrapper.install(CELL) == ("/opt/tool/1",)


@pytest.mark.parametrize("path", ["/", "/home", "tool/of/mine", str(Path.home())])
def test_what_no_runtime_is_cannot_be_needed(tmp_path: Path, path: str) -> None:
    """Somebody's whole home, or a path that leads nowhere in particular, is not shown to a contestant."""
    text = f'def install(host, version="7"): host.needs({path!r})\n'
    with Wrapper(entry(tmp_path, install=text)) as wrapper, pytest.raises(ModuleError, match="ValueError: needs: "):
        wrapper.install(CELL)


def test_the_version_is_the_modules_word(tmp_path: Path) -> None:
    """version() is asked where there is one; a module without has none to tell."""
    with Wrapper(entry(tmp_path, head=HEAD + "def version(host): return ' 1.2 '\n")) as wrapper:
        assert wrapper.version(CELL) == "1.2"
    with Wrapper(entry(tmp_path, name="other")) as wrapper:
        assert wrapper.version(CELL) == ""


def test_torrentfile_sees_the_torrent(tmp_path: Path) -> None:
    """The torrent arrives in the child process as it was made; the path that is returned comes back."""
    check = (
        "def torrentfile(host, torrent):\n"
        " assert isinstance(torrent.data, bytes) and torrent.pieces == b'x' * 20\n"
        " assert torrent.layout == (('payload.bin', 3),)\n"
        " assert (torrent.num_pieces, torrent.name) == (1, 'payload.bin')\n"
        " return f'{host.folder}/{torrent.announce}'\n"
    )
    with Wrapper(entry(tmp_path, torrentfile=check)) as wrapper:
        assert wrapper.torrentfile(GONE, CELL, "/desk", torrent()) == "/desk/http://198.18.0.1:6969/announce"


def test_a_host_that_is_gone_is_not_the_modules_fault(tmp_path: Path) -> None:
    """When a file cannot be put since the host has died, that is the host's error, and no contestant's."""
    with Wrapper(entry(tmp_path)) as wrapper, pytest.raises(HostError, match=r"client: install .* the host is gone"):
        wrapper.torrentfile(GONE, CELL, "/desk", torrent())


def test_nothing_is_put_outside_the_folder(tmp_path: Path) -> None:
    """A module cannot put a file beside its folder by mistake."""
    text = "def torrentfile(host, torrent): return host.put(b'', '../../etc/passwd')\n"
    with Wrapper(entry(tmp_path, torrentfile=text)) as wrapper, pytest.raises(ModuleError, match="outside the folder"):
        wrapper.torrentfile(GONE, CELL, "/desk", torrent())


def test_a_module_says_unsupported_in_its_own_words(tmp_path: Path) -> None:
    """Unsupported is handed on as it is, and no file or line is blamed."""
    with pytest.raises(Unsupported) as caught:
        download(tmp_path, " raise Unsupported('needs a GPU')\n")
    assert type(caught.value) is Unsupported
    assert str(caught.value) == "needs a GPU"


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """apt() of a program that is not there arrives as the packages that bring it."""
    text = "def install(host): apt(host, 'frob-cli', 'frob-data', program='no-such-program-here')\n"
    with Wrapper(entry(tmp_path, install=text)) as wrapper, pytest.raises(NeedsPackages) as caught:
        wrapper.install(CELL)
    assert caught.value.packages == ("frob-cli", "frob-data")


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        (" return 1 / 0\n", 6, "ZeroDivisionError: division by zero"),
        ("\n sys.exit('enough')\n", 7, "SystemExit: enough"),
        (" raise KeyboardInterrupt\n", 6, "KeyboardInterrupt: "),
        (" raise ValueError('a\\n\\x1b[31mb')\n", 6, "ValueError: a \x1b[31mb"),
        (" class Odd(Exception):\n  def __str__(self): return 1/0\n raise Odd\n", 8, "Odd: (it cannot even say what)"),
        (" return Command()\n", 6, "TypeError: a Command needs at least a program"),
        (" return None\n", 5, "WrongTypeError: download() returned NoneType; allowed is a Command"),
        (" return 'a string'\n", 5, "WrongTypeError: download() returned str; allowed is a Command"),
    ],
)
def test_what_a_module_does_wrong_is_told_with_file_and_line(tmp_path: Path, body: str, line: int, words: str) -> None:
    """Whatever a module raises or returns, the error names its file, its line and what was wrong, on one line."""
    told = refusal(tmp_path, body)
    assert told == f"{tmp_path}/mine.py:{line}: {words}"
    assert "\n" not in told


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("import no_such_thing\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("\nraise SystemExit(4)\n", "mine.py:2: SystemExit: 4"),
        ("import helper\n", "mine.py:1: "),
    ],
)
def test_a_module_that_does_not_import_is_told(tmp_path: Path, head: str, words: str) -> None:
    """An import that fails is told like any other error, however often the module is called."""
    (tmp_path / "helper.py").write_text("def f(:\n")
    one = entry(tmp_path, head=head)
    with Wrapper(one) as wrapper:
        for _ in range(2):
            with pytest.raises(ModuleError) as caught:
                wrapper.download("a", "b")
            assert words in str(caught.value)


def test_what_was_wrong_when_it_was_read_is_told_without_a_process(tmp_path: Path) -> None:
    """A module whose text has a problem is not started at all."""
    one = entry(tmp_path, head=f"open({str(tmp_path / 'ran')!r}, 'w')\n", download="")
    with Wrapper(one) as wrapper, pytest.raises(ModuleError, match="it has no function download"):
        wrapper.download("a", "b")
    assert not (tmp_path / "ran").exists()


def test_a_call_that_hangs_is_ended_with_its_line(tmp_path: Path) -> None:
    """A call over its time limit is told with the line that it was at; the next call has a new process."""
    text = " if torrentfile == 'hang':\n  while True: pass\n return Command('x')\n"
    with Wrapper(entry(tmp_path, download=f"def download(torrentfile, into):\n{text}"), call_s=0.5) as wrapper:
        with pytest.raises(ModuleError) as caught:
            wrapper.download("hang", "b")
        assert str(caught.value) == f"{tmp_path}/mine.py:7: TimeoutError: did not return within 0.5 s"
        assert wrapper.download("go", "b").argv == ("x",)


def test_an_import_that_hangs_is_ended(tmp_path: Path) -> None:
    """The module's import has a time limit, too."""
    told = refusal(tmp_path, " return Command('x')\n", head=f"{HEAD}time.sleep(60)\n", call_s=0.5)
    assert told == f"{tmp_path}/mine.py:3: TimeoutError: did not return within 0.5 s"


def test_a_module_that_will_not_hear_is_killed(tmp_path: Path) -> None:
    """Who catches even the time limit's exception is killed; the error says so."""
    body = " while True:\n  try: time.sleep(60)\n  except BaseException: pass\n"
    told = refusal(tmp_path, body, call_s=0.3)
    assert told.startswith(f"{tmp_path}/mine.py: download() did not return, within 0.3 s at most: ")


@pytest.mark.parametrize("body", [" os._exit(3)\n", " os.kill(os.getpid(), 9)\n"])
def test_a_module_that_ends_its_process_is_told(tmp_path: Path, body: str) -> None:
    """The end of the process is no end of the harness; the next call has a new process."""
    told = refusal(tmp_path, body)
    assert told.startswith(f"{tmp_path}/mine.py: download() did not return, ")
    assert "ended (status " in told


def test_a_process_that_is_killed_between_calls_is_replaced(tmp_path: Path) -> None:
    """Whoever killed it while nothing was asked of it: the contestant has done nothing, and goes on."""
    one = entry(tmp_path, download="def download(torrentfile, into):\n return Command(os.getpid())\n")
    with Wrapper(one) as wrapper:
        (first,) = wrapper.download("a", "b").argv
        os.kill(int(first), signal.SIGKILL)
        deadline = time.monotonic() + 5
        while _state(first) != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (second,) = wrapper.download("a", "b").argv
    assert first != second


def test_what_a_module_prints_is_no_answer(tmp_path: Path) -> None:
    """Neither print nor a write to descriptor 1, by the module or a child of it, is taken for an answer."""
    head = HEAD + "print('{\"ready\": true}'); os.write(1, b'hello\\n')\n"
    body = " print('{\"ok\": true}'); os.write(1, b'{}\\n'); os.system('echo x')\n return Command('x')\n"
    assert download(tmp_path, body, head).argv == ("x",)


def test_a_child_that_returns_as_well_gives_no_second_answer(tmp_path: Path) -> None:
    """A module that forks and lets both go on is answered once; requests and answers stay in step."""
    text = "def download(torrentfile, into):\n if torrentfile == 'fork': os.fork()\n return Command(torrentfile)\n"
    with Wrapper(entry(tmp_path, download=text)) as wrapper:
        assert [wrapper.download(word, "b").argv for word in ("fork", "x", "fork", "y")] == [
            ("fork",),
            ("x",),
            ("fork",),
            ("y",),
        ]


def test_a_child_that_lives_on_holds_nobody_up(tmp_path: Path) -> None:
    """A child of the module that sleeps on, all pipes open, delays neither an answer nor the end."""
    body = " pid = os.fork()\n if not pid: time.sleep(60); os._exit(0)\n return Command(pid)\n"
    one = entry(tmp_path, download=f"def download(torrentfile, into):\n{body}")
    began = time.monotonic()
    with Wrapper(one) as wrapper:
        (pid,) = wrapper.download("a", "b").argv
    assert time.monotonic() - began < 10
    os.kill(int(pid), signal.SIGKILL)


def test_a_dying_module_takes_the_children_of_its_session_along(tmp_path: Path) -> None:
    """A call that is ended leaves no child of the module behind that did not hide."""
    marker = tmp_path / "pid"
    body = (
        f" child = os.fork()\n if not child:\n  open({str(marker)!r}, 'w').write(str(os.getpid()))\n  time.sleep(60)\n"
        " while True:\n  try: time.sleep(60)\n  except BaseException: pass\n"
    )
    refusal(tmp_path, body, call_s=0.5)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{marker.read_text()}").exists() and _state(marker.read_text()) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_an_interrupt_ends_what_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a call ends the module's process at once, and stays a KeyboardInterrupt."""
    body = " time.sleep(60)\n"
    one = entry(tmp_path, download=f"def download(torrentfile, into):\n{body}")
    with Wrapper(one) as wrapper:
        timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            wrapper.download("a", "b")
        assert wrapper._agent is None
        assert time.monotonic() - began < 5
        timer.join()
