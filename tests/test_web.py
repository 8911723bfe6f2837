"""The yardstick's server as a process: whole files, parts of them, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bt_clients import PATIENCE_S, PROJECT, Agent, agent, until
from hypothesis import given, settings
from hypothesis import strategies as st

from btgames.agents.web import CONNECTIONS, part

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "127.0.0.1"
CONTENT = os.urandom(3_000_000)
LARGE = 100 << 20  # bytes, more than fit into the buffers of a connection
patient = settings(deadline=10_000)  # ms for an example that takes a few: the machine may be busy


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a seeder's folder with one payload, something beside it, and traps in it."""
    parent = tmp_path_factory.mktemp("seeder")
    folder = parent / "heat"
    (folder / "payload" / "deep").mkdir(parents=True)
    (folder / "payload" / "deep" / "file ü.bin").write_bytes(CONTENT)
    (folder / "payload" / "empty").touch()
    with (folder / "large").open("wb") as large:
        large.truncate(LARGE)
    (parent / "secret").write_text("secret")
    (folder / "link").symlink_to(parent / "secret")
    (folder / "up").symlink_to(parent)
    os.mkfifo(folder / "fifo")
    return parent


@pytest.fixture(scope="module")
def web(parent: Path) -> Iterator[Agent]:
    """Run a server that serves the payload."""
    with agent("web", "--bind", HERE, "--port", "0", "--folder", str(parent)) as running:
        assert running.ask(do="serve", folder=str(parent / "heat")) == {"ok": True}
        yield running


FILE = "/payload/deep/file%20%C3%BC.bin"


def get(web: Agent, path: str, *, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Return status, headers and body of one request."""
    connection = http.client.HTTPConnection(HERE, web.ready["port"], timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def test_a_file_is_served_whole(web: Agent) -> None:
    """The body is the file, byte by byte, and its length is said; HEAD says the same and sends nothing."""
    status, headers, body = get(web, FILE)
    assert (status, headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert body == CONTENT
    status, headers, body = get(web, FILE, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(CONTENT)), b"")
    assert get(web, "/payload/empty")[::2] == (200, b"")


def test_a_connection_is_used_again(web: Agent) -> None:
    """HTTP/1.1: one connection takes many requests, refused ones in between."""
    connection = http.client.HTTPConnection(HERE, web.ready["port"], timeout=PATIENCE_S)
    with contextlib.closing(connection):
        for path, status in [(FILE, 200), ("/none", 404), ("/payload/empty", 200), (FILE, 200)]:
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, len(response.read())) == (status, len(CONTENT) if path == FILE else 0)
            assert not response.will_close


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "expected"),
    [
        ("bytes=0-0", 206, "bytes 0-0/3000000", CONTENT[:1]),
        ("bytes=1000000-", 206, "bytes 1000000-2999999/3000000", CONTENT[1_000_000:]),
        ("bytes=-5", 206, "bytes 2999995-2999999/3000000", CONTENT[-5:]),
        ("bytes=2999999-9999999", 206, "bytes 2999999-2999999/3000000", CONTENT[-1:]),
        ("bytes=3000000-", 416, "bytes */3000000", b""),
        ("bytes=0-", 200, None, CONTENT),
        ("bytes=5-4", 200, None, CONTENT),
        ("bytes=0-1,3-4", 200, None, CONTENT),
        ("lines=1-2", 200, None, CONTENT),
    ],
)
def test_one_range_is_served(web: Agent, asked: str, status: int, content_range: str | None, expected: bytes) -> None:
    """A single range gets its bytes; a range of nothing gets 416; anything else gets the whole file (RFC 9110)."""
    found, headers, body = get(web, FILE, Range=asked)
    assert (found, headers["Content-Range"]) == (status, content_range)
    assert body == expected
    assert get(web, FILE, Range=asked, If_Range='"version"')[::2] == (200, CONTENT)


@patient
@given(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 60)), st.one_of(st.none(), st.integers(0, 60)))
def test_a_range_is_what_the_rfc_says(size: int, first: int | None, last: int | None) -> None:
    """Every range of bytes means the slice that RFC 9110 gives it, or nothing where that is empty."""
    data = list(range(size))
    wanted = part(f"bytes={'' if first is None else first}-{'' if last is None else last}", size)
    if first is None:
        expected = data if last is None else data[-last:] if last else []
    elif last is None:
        expected = data[first:]
    else:
        expected = data if last < first else data[first : last + 1]
    assert (list(wanted) if wanted else []) == expected


@patient
@given(st.text(max_size=30), st.integers(0, 50))
def test_no_range_is_too_strange(header: str, size: int) -> None:
    """Whatever a client sends, it gets bytes that exist, or none."""
    wanted = part(header, size)
    assert wanted is None or 0 <= wanted.start <= wanted.stop <= size


@pytest.mark.parametrize(
    "path",
    ["/", "/payload", "/payload/deep/", "/none", "*", "/link", "/up/secret", "/fifo", "/payload/empty/x"],
)
def test_nothing_else_is_served(web: Agent, path: str) -> None:
    """No listing, nothing outside the folder, no symlink, no device, no two spellings: 404, at once."""
    with socket.create_connection((HERE, web.ready["port"]), PATIENCE_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "/payload/../../secret", "//etc/passwd", "/%2fetc/passwd"]
)
def test_no_path_leads_outside(web: Agent, path: str) -> None:
    """Dots, slashes and their escapes lead nowhere."""
    test_nothing_else_is_served(web, path)


@pytest.mark.parametrize("path", ["/%00", "/%ff", "/" + "x" * 5000, "/payload//empty", "/./payload/empty"])
def test_strange_names_are_not_found(web: Agent, path: str) -> None:
    """What no file is called, or a second spelling of what one is called, is a 404 as well."""
    test_nothing_else_is_served(web, path)


def test_after_forget_nothing_is_served_and_nobody_connected(parent: Path) -> None:
    """Between heats every path is a 404, and a connection of the last heat is gone, in mid-download too."""
    with agent("web", "--bind", HERE, "--port", "0", "--folder", str(parent)) as web:
        assert get(web, FILE)[0] == 404
        web.ask(do="serve", folder=str(parent / "heat"))
        with socket.create_connection((HERE, web.ready["port"]), PATIENCE_S) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            assert connection.recv(10).startswith(b"HTTP/1.1 2")
            assert web.ask(do="forget") == {"ok": True}
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    received += len(chunk)
            assert received < LARGE
        assert get(web, FILE)[0] == 404
        web.ask(do="serve", folder=str(parent / "heat"))
        assert get(web, FILE)[0] == 200


def test_idle_connections_hold_up_no_later_heat(parent: Path) -> None:
    """With as many idle connections as are served at a time, `forget` frees them all for the next heat."""
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(agent("web", "--bind", HERE, "--port", "0", "--folder", str(parent)))
        address = (HERE, web.ready["port"])
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(address, PATIENCE_S))
        until(lambda: threads(web) > CONNECTIONS, "a thread for each connection")
        late = stack.enter_context(socket.create_connection(address, PATIENCE_S))
        late.sendall(f"GET {FILE} HTTP/1.0\r\n\r\n".encode())
        web.ask(do="forget")
        web.ask(do="serve", folder=str(parent / "heat"))
        assert get(web, FILE)[0] == 200


def threads(web: Agent) -> int:
    """Return how many threads the server has."""
    return len(list(Path(f"/proc/{web.process.pid}/task").iterdir()))


@pytest.mark.parametrize("folder", ["..", ".", "none", "secret", "heat/up"])
def test_a_folder_elsewhere_is_not_served(web: Agent, parent: Path, folder: str) -> None:
    """Only a folder beneath the seeder's is served; what is asked otherwise is an error in words."""
    assert "Error: " in web.ask(do="serve", folder=str(parent / folder))["error"]
    assert get(web, "/secret")[0] == get(web, "/payload/empty")[0] == 404
    assert web.ask(do="serve", folder=str(parent / "heat")) == {"ok": True}


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_resumes_a_download(web: Agent, tmp_path: Path) -> None:
    """A real client gets the file, and the rest of a file that it has in part."""
    target = tmp_path / "file"
    target.write_bytes(CONTENT[:1_234_567])
    address = f"http://{HERE}:{web.ready['port']}{FILE}"
    subprocess.run(["curl", "-sSf", "-C", "-", "-o", str(target), address], check=True, timeout=PATIENCE_S)
    assert target.read_bytes() == CONTENT


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """A server that cannot have its port ends with one line."""
    with socket.create_server((HERE, 0)) as taken:
        arguments = ["--bind", HERE, "--port", str(taken.getsockname()[1]), "--folder", str(tmp_path)]
        argv = [sys.executable, "-m", "btgames.agents.web", *arguments]
        ended = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 1
    assert re.fullmatch(r"web: 127.0.0.1:\d+: Address already in use\n", ended.stderr)
