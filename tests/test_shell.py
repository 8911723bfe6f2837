"""The shell on the client host: as a script and at a terminal, contained, with the swarm alive beside it."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import pytest
from games import SCENARIOS, Games, Ran, need_namespaces
from modules import INSTALL, entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.testbed

DEADLINE_S = 40.0
TINY = str(SCENARIOS / "tiny.yaml")
PROMPT = "client:into$ "

FETCH = """python3 -c 'import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())'"""
PAYLOAD = "http://198.18.0.2:8080/payload.bin"
GOES_ON = (
    "import os, signal; signal.signal(signal.SIGCONT, lambda *_: os.write(1, b'back' + os.linesep.encode()));"
    "os.write(1, b'up' + os.linesep.encode()); [signal.pause() for _ in range(9)]"
)
ANNOUNCE = (
    f"{FETCH} \"$TRACKER?info_hash=$(python3 -c '"
    'import hashlib, os, re, urllib.parse as p; data = open(os.environ["TORRENT"], "rb").read(); '
    'print(p.quote(hashlib.sha1(data[data.index(b"4:info") + 6:-1]).digest()))'
    "')&peer_id=aaaaaaaaaaaaaaaaaaaa&port=4711&left=99&event=started\" >/dev/null"
)


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Games:
    """Return the command line, in a folder of its own."""
    need_namespaces()
    return Games.of(tmp_path_factory)


def _script(games: Games, text: str, *words: str) -> Ran:
    """Have the shell run a script that it reads from stdin."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "btgames", "shell", "--scenario", TINY, *words],
        input=text,
        capture_output=True,
        text=True,
        env=games.environment,
        cwd=games.folder,
        timeout=DEADLINE_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, games.folder / "no-card", time.monotonic() - began)


def test_it_says_what_there_is(games: Games) -> None:
    """Tracker, seeders, HTTP address, torrent, download directory and the way out are told before the shell begins."""
    ran = _script(games, "echo BEGIN; echo TORRENT=$TORRENT; echo INTO=$INTO; pwd; exit 3")
    assert ran.status == 0, ran.out + ran.err
    before, _, after = ran.out.partition("BEGIN\n")
    for text in ("http://198.18.0.1:6969/announce", "198.18.0.2:6881", "seeder-1", PAYLOAD, "exit or Ctrl-D"):
        assert text in before
    torrent, into, where = re.findall(r"TORRENT=(.*)\nINTO=(.*)\n(.*)\n", after)[0]
    assert into == where
    assert torrent in before
    assert into in before
    assert "ended, with status 3" in after, "which is no error of ours"
    assert "the download directory is empty" in after
    assert "saw no announces" in after


def test_it_judges_what_was_downloaded(games: Games) -> None:
    """A payload fetched over HTTP is right; the announce that the referee saw is told."""
    ran = _script(games, f"{FETCH} {PAYLOAD} > payload.bin\n{ANNOUNCE}\n")
    assert ran.status == 0, ran.out + ran.err
    assert "payload.bin, 262144 bytes" in ran.out
    assert "right: all 8 pieces have their hash" in ran.out
    assert re.search(r"announce  +\d+\.\d\d s  http  started +left 99, port 4711", ran.out), ran.out + ran.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("head -c 262144 /dev/zero > payload.bin", "wrong: 8 of 8 pieces"),
        (f"{FETCH} {PAYLOAD} > other", "nothing is named payload.bin"),
        ("echo short > payload.bin", "6 bytes, the torrent says 262144"),
    ],
)
def test_it_says_what_is_wrong(games: Games, script: str, said: str) -> None:
    """Wrong bytes, another name and another size are told."""
    assert said in _script(games, script).out


def test_it_is_contained_as_a_contestant_is(games: Games) -> None:
    """The shell has no rights, sees neither the project nor anyone's home, nor the machine's processes."""
    tried = [
        f"ls {games.folder}",
        "ls /root",
        "touch /usr/x",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "kill -9 1; test ! -d /proc/$$",
        "unshare --user true",
        "mount -t tmpfs none /tmp",
        "test $(id -u) = 0",
        "test $(ls -d /proc/[0-9]* | wc -l) -gt 8",
    ]
    script = "\n".join(f"if {command}; then echo COULD: {command!r}; fi 2>/dev/null" for command in ("true", *tried))
    ran = _script(games, f"{script}\ngrep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status")
    assert re.findall("COULD: (.*)", ran.out) == ["true"], ran.out
    assert re.search(r"CapEff:\s*0+\n", ran.out), ran.out
    assert re.search(r"NoNewPrivs:\s*1\n", ran.out), ran.out


def test_what_it_started_ends_with_it(games: Games) -> None:
    """A daemon that the shell leaves behind is gone when the command has ended, and does not keep it waiting."""
    mark = f"{os.getpid()}777"
    ran = _script(games, f"setsid sleep {mark} >/dev/null 2>&1 &\necho started; exit")
    assert "started" in ran.out
    assert ran.seconds < DEADLINE_S / 2
    listed = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert f"sleep {mark}" not in listed


def test_a_contestant_is_installed_and_its_command_printed(games: Games, tmp_path: Path) -> None:
    """Its programs are on PATH, its directory is read-only, and the printed command runs as it stands."""
    install = INSTALL.replace("pass", "host.put('#!/bin/sh\\necho hello from $1 > done\\n', 'bin/greet', mode=0o755)")
    download = "def download(torrentfile, into): return Command('greet', 'a b', env={'X': '1'})\n"
    one = entry(tmp_path, name="greeter", install=install, download=download).path
    first = _script(games, "command -v greet; touch $INSTALLED/x 2>&1", "--contestant", str(one))
    assert first.status == 0, first.out + first.err
    assert "bin/greet" in first.out
    assert "Read-only" in first.out
    (command,) = re.findall(r"^  command +(.*)$", first.out, re.MULTILINE)
    assert command == "env X=1 greet 'a b'"
    second = _script(games, f"{command}\ncat done", "--contestant", str(one))
    assert "hello from a b" in second.out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--contestant", "all"), 2, "a shell takes one"),
        (("--contestant", "libtorent"), 2, "did you mean libtorrent"),
        (("--scenario", "smal"), 2, "did you mean small"),
    ],
)
def test_mistakes_are_told_before_anything_starts(games: Games, words: tuple[str, ...], status: int, said: str) -> None:
    """A user's mistake is one to three lines and status 2."""
    ran = games.run("shell", *words)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_package_is_told_with_its_line(games: Games, tmp_path: Path) -> None:
    """A contestant that needs packages of the system cannot be had: status 1, and the line that installs it."""
    needs = INSTALL.replace("pass", 'apt(host, "frob-utils", program="no-such-frob")')
    ran = _script(games, "echo NEVER", "--contestant", str(entry(tmp_path, install=needs).path))
    assert ran.status == 1
    assert "NEVER" not in ran.out
    assert "needs frob-utils: ./inv install --contestant" in ran.err


class Terminal:
    """A user at a terminal who has typed ``shell``. A context manager."""

    def __init__(self, games: Games) -> None:
        self.screen = ""
        argv = [sys.executable, "-P", "-m", "btgames", "shell", "--scenario", TINY]
        self.pid, self._keyboard = pty.fork()
        if self.pid == 0:
            os.chdir(games.folder)
            os.execve(argv[0], argv, {**games.environment, "TERM": "dumb"})  # noqa: S606 - no shell is wanted here
        self.settings = termios.tcgetattr(self._keyboard)

    def types(self, text: str) -> None:
        """Type."""
        os.write(self._keyboard, text.encode())

    def sees(self, text: str) -> None:
        """Wait for some text; what stands before it has been seen then."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} is not on the screen:\n{self.screen}"
            over = not self._reads()
            assert not over or text in self.screen, f"it has ended; on the screen:\n{self.screen}"
        self.screen = self.screen.partition(text)[2]

    def _reads(self) -> bool:
        """Read what there is, for a moment; return whether there may be more."""
        if select.select([self._keyboard], [], [], 0.05)[0]:
            try:
                self.screen += os.read(self._keyboard, 65536).decode(errors="replace").replace("\r", "")
            except OSError:  # the program has ended
                return False
        return True

    def settled(self) -> list[object]:
        """Return the terminal's settings."""
        return termios.tcgetattr(self._keyboard)

    def ended(self) -> int:
        """Wait for the end, and return the exit status."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"it does not end; on the screen:\n{self.screen}"
            self._reads()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._keyboard)


@pytest.fixture
def terminal(games: Games) -> Iterator[Terminal]:
    """Return a terminal at which the shell's prompt stands."""
    with Terminal(games) as user:
        user.sees("the files are gone then")
        user.sees(PROMPT)
        yield user


def test_ctrl_c_and_ctrl_z_are_the_jobs(terminal: Terminal) -> None:
    """Ctrl-C ends the job and not the shell, Ctrl-Z stops it, and the shell can go on with it; Ctrl-D leaves."""
    terminal.types("sh -c 'echo up; exec sleep 1000'\n")  # says up itself: what is typed next is for it
    terminal.sees("\nup\n")
    terminal.types("\x03")
    terminal.sees(PROMPT)
    terminal.types("echo was=$?\n")
    terminal.sees("\nwas=130\n")
    terminal.sees(PROMPT)
    terminal.types(f"python3 -c {shlex.quote(GOES_ON)}\n")
    terminal.sees("\nup\n")
    terminal.types("\x1a")
    terminal.sees("Stopped")
    terminal.sees(PROMPT)
    terminal.types("fg\n")
    terminal.sees("\nback\n")
    terminal.types("\x03")
    terminal.sees(PROMPT)
    terminal.types("\x04")
    terminal.sees("The shell has ended")
    terminal.sees("saw no announces from this host")
    assert terminal.ended() == 0


def test_the_users_terminal_is_out_of_reach(terminal: Terminal) -> None:
    """What is pushed back into the terminal from inside is read inside; the user's own gets none of it."""
    push = "import fcntl, termios; [fcntl.ioctl(0, termios.TIOCSTI, bytes([c])) for c in b'echo pushed\\n']"
    terminal.types(f'python3 -c "{push}"; exit\n'.replace("\\n", "\\\\n"))
    terminal.sees("The shell has ended")
    terminal.sees("saw no announces from this host")
    assert terminal.ended() == 0
    assert "pushed" not in terminal.screen
    assert not terminal.screen.strip()


def test_a_signal_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    """SIGTERM while someone types ends all of it with status 130, and the terminal has the settings that it had."""
    assert terminal.settled() != terminal.settings, "raw, as long as the shell has it"
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 130
    assert terminal.settled() == terminal.settings
