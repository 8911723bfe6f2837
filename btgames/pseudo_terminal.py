"""
Runs a program on a terminal of its own, joined to the user's: what happens there cannot reach the user's terminal.

A client under test must not be given the terminal itself: who holds it can push keystrokes back into it, for the shell
that the user returns to. Ctrl-C and its like are plain bytes on their way in; the inner terminal makes signals of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import tty
from typing import TYPE_CHECKING

from btgames.hosts.process import kill_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHUNK_BYTES = 65_536


def run(argv: Sequence[str], env: Mapping[str, str], keys: int, screen: int) -> int:
    """
    Run a program to its end and return its exit status; from the main thread only.

    Args:
        argv: what to run, in a session of its own, without a controlling terminal: it may take this one as such.
        env: its whole environment.
        keys: file descriptor of the user's terminal, raw until the program ends, then as it was.
        screen: file descriptor to write to.

    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(keys)
    termios.tcsetattr(theirs, termios.TCSANOW, before)
    _same_size(keys, ours)
    try:
        program = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        signal.signal(signal.SIGWINCH, lambda *_: _same_size(keys, ours))
        tty.setraw(keys)
        _relay(keys, screen, ours)
        # Nobody holds the inner terminal any more. Those who were in between end in a moment.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.wait(1.0)
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        status = kill_session(program)
        os.close(ours)
    return status


def _same_size(outer: int, inner: int) -> None:
    """Give one terminal the other's rows and columns; its foreground job gets SIGWINCH."""
    size = fcntl.ioctl(outer, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(inner, termios.TIOCSWINSZ, size)


def _relay(keys: int, screen: int, inner: int) -> None:
    """Carry bytes both ways until either end is gone. Never wait for a program that reads late: it may be writing."""
    os.set_blocking(inner, False)
    typed = b""
    while True:
        wanted = [inner] if typed else []
        readable, writable, _ = select.select([keys, inner], wanted, [])
        if inner in readable:
            printed = _read(inner)
            if not printed:
                return
            while printed:
                printed = printed[os.write(screen, printed) :]
        if writable:
            with contextlib.suppress(BlockingIOError):
                typed = typed[os.write(inner, typed) :]
        if keys in readable:
            more = _read(keys)
            if not more:
                return
            typed += more


def _read(fd: int) -> bytes:
    """Read from a terminal; nothing when it is gone, which the kernel calls an I/O error."""
    try:
        return os.read(fd, _CHUNK_BYTES)
    except OSError:
        return b""
