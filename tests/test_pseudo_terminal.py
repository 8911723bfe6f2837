"""A program on a terminal of its own: size, keys, signals, status, and the user's terminal as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from btgames import pseudo_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "TERM": "dumb"}
DEADLINE_S = 20.0


class User:
    """Someone at a terminal: types, and has a log of what the program under it wrote."""

    def __init__(self, log: Path) -> None:
        self.keyboard, self.keys = pty.openpty()
        self.log = log
        self.screen = os.open(log, os.O_WRONLY | os.O_CREAT)
        fcntl.ioctl(self.keys, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))

    def types(self, text: str) -> None:
        """Type."""
        os.write(self.keyboard, text.encode())

    def types_when(self, seen: str, text: str) -> threading.Thread:
        """Type something as soon as something else is on the screen."""

        def watch() -> None:
            pause = threading.Event()
            for _ in range(int(DEADLINE_S / 0.01)):
                if seen in self.sees:
                    self.types(text)
                    return
                pause.wait(0.01)

        thread = threading.Thread(target=watch)
        thread.start()
        return thread

    def runs(self, *argv: str) -> int:
        """Run a program on the terminal."""
        return pseudo_terminal.run(argv, ENV, self.keys, self.screen)

    @property
    def sees(self) -> str:
        """What has been written so far."""
        return self.log.read_text(encoding="utf-8").replace("\r\n", "\n")


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """Return someone at a terminal of 33 rows and 77 columns."""
    someone = User(tmp_path / "screen")
    yield someone
    for fd in (someone.keyboard, someone.keys, someone.screen):
        os.close(fd)


def test_it_has_the_users_size(user: User) -> None:
    """The inner terminal has the rows and columns of the outer one."""
    assert user.runs("stty", "size") == 0
    assert user.sees == "33 77\n"


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_the_status_is_told(user: User, script: str, status: int) -> None:
    """The program's exit status is returned, a signal as its negative number."""
    assert user.runs("sh", "-c", script) == status


def test_the_users_terminal_is_as_it_was(user: User) -> None:
    """Whatever the program did to its terminal, and however it ended, the user's has the settings it had."""
    before = termios.tcgetattr(user.keys)
    user.runs("sh", "-c", "stty raw -echo; kill -KILL $$")
    assert termios.tcgetattr(user.keys) == before
    with pytest.raises(OSError, match="no-such-program"):  # or a folder of PATH that cannot be read
        user.runs("no-such-program")
    assert termios.tcgetattr(user.keys) == before


def test_what_is_typed_arrives(user: User) -> None:
    """Keys reach the program as typed, and Ctrl-D ends its input."""
    typing = user.types_when("ready", "hello\n\x04")
    assert user.runs("sh", "-c", "echo ready; cat; echo end") == 0
    typing.join()
    assert user.sees.endswith("hello\nhello\nend\n")


def test_ctrl_c_is_the_programs(user: User) -> None:
    """Ctrl-C interrupts what runs in the inner terminal, and not us; it has to be a session's own terminal for that."""
    script = "import fcntl, os, sys, termios, time\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nprint('ready', flush=True)\n"
    script += "try:\n    time.sleep(100)\nexcept KeyboardInterrupt:\n    print('caught'); sys.exit(5)\n"
    typing = user.types_when("ready", "\x03")
    assert user.runs("python3", "-c", script) == 5
    typing.join()
    assert "caught" in user.sees


def test_more_output_than_a_terminal_holds_arrives(user: User) -> None:
    """A megabyte goes through whole, while keys are typed that nobody reads."""
    user.types("x" * 1000)
    assert user.runs("sh", "-c", "stty raw -echo; head -c 1000000 /dev/zero | tr '\\0' y; echo end") == 0
    assert user.sees.count("y") == 1_000_000
    assert user.sees.endswith("end\n")


def test_an_exception_ends_the_program(user: User, tmp_path: Path) -> None:
    """When we are interrupted the program is gone, and the terminal is the user's again."""
    before = termios.tcgetattr(user.keys)
    pid = tmp_path / "pid"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGUSR1, interrupt)
    typing = user.types_when("ready", "\n")
    try:
        with pytest.raises(KeyboardInterrupt):
            user.runs("sh", "-c", f"echo $$ > {pid}; echo ready; read x; kill -USR1 {os.getpid()}; exec sleep 1000")
    finally:
        signal.signal(signal.SIGUSR1, old)
    typing.join()
    assert termios.tcgetattr(user.keys) == before
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid.read_text(encoding="ascii")), 0)
        pytest.fail("it lives")
