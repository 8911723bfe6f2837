"""The log of a cell: head and tail of whatever is printed, however it arrives."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from btgames.agents.cell_log import Log


def logged(chunks: list[bytes], keep_bytes: int) -> bytes:
    """Return what a log makes of output that arrives in chunks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        log = Log(str(path), keep_bytes)
        for chunk in chunks:
            log.add(chunk)
        log.close()
        return path.read_bytes()


@given(chunks=st.lists(st.binary(max_size=40), max_size=30), keep_bytes=st.integers(0, 60))
def test_head_and_tail(chunks: list[bytes], keep_bytes: int) -> None:
    """What fits is kept whole; of more, head and tail are, with the number of bytes left out between them."""
    output = b"".join(chunks)
    left_out = len(output) - 2 * keep_bytes
    if left_out <= 0:
        assert logged(chunks, keep_bytes) == output
    else:
        between = f"\n[... {left_out} bytes left out ...]\n".encode()
        assert logged(chunks, keep_bytes) == output[:keep_bytes] + between + output[len(output) - keep_bytes :]


def test_the_head_can_be_followed(tmp_path: Path) -> None:
    """The beginning is in the file at once, before the log is closed."""
    log = Log(str(tmp_path / "log"), 10)
    log.add(b"hello")
    assert (tmp_path / "log").read_bytes() == b"hello"
    log.close()


def test_an_old_log_is_replaced(tmp_path: Path) -> None:
    """A file of that name is emptied first, and is for its owner's eyes."""
    path = tmp_path / "log"
    log = Log(str(path), 10)
    log.add(b"of an earlier heat")
    log.close()
    Log(str(path), 10).close()
    assert path.read_bytes() == b""
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_log_takes_everything() -> None:
    """Without a path all output is taken in and thrown away."""
    log = Log(None, 10)
    log.add(b"x" * 1000)
    log.close()


def test_a_flood_is_no_burden() -> None:
    """A gigabyte in chunks of 64 KiB costs little more than looking at it: 0.1 s on an idle core."""
    log = Log(None, 1 << 20)
    chunk = bytes(1 << 16)
    began = time.process_time()
    for _ in range(1 << 14):
        log.add(chunk)
    log.close()
    assert time.process_time() - began < 5
    assert re.fullmatch("0+", bytes(log._tail[-8:]).hex())
