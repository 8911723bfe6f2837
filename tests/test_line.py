"""Lines to machines: opened with a key that is known only, opened again where they broke, refusals told in words."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keys
import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from fleet_rig import SKIP, rig
from games import ROOT
from paramiko.ssh_exception import IncompatiblePeer

from btgames.errors import GamesError, HostError, UserError
from btgames.hosts import line as line_module
from btgames.hosts.line import CHANNELS, Line, wait_for
from btgames.hosts.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ELSEWHERE = Remote("client-1", "client", "192.0.2.1", "me")


@contextmanager
def opened(remote: Remote, *, patience_s: float = 10.0) -> Iterator[Line]:
    """Give a line that is open."""
    line = Line(remote, patience_s=patience_s)
    try:
        line.open()
        yield line
    finally:
        line.close()


def refusal(remote: Remote, kind: type[GamesError] = UserError, *, patience_s: float = 10.0) -> str:
    """Return why a machine cannot be logged in to; it is said soon."""
    began = time.monotonic()
    with pytest.raises(kind) as caught, opened(remote, patience_s=patience_s):
        pass
    assert type(caught.value) is kind
    assert time.monotonic() - began < 8, "waiting mends nothing"
    words = str(caught.value)
    assert len(words.split("\n")) <= 3
    return words


def ask(line: Line, command: str) -> str:
    """Return what a command prints."""
    with line.channel(command) as channel:
        return channel.makefile("rb").read().decode()


# Without a machine.


def test_waiting_ends_when_it_is_true_or_too_late() -> None:
    """What is awaited is looked at once at least, and no more after the deadline."""
    answers = iter([False, True])
    assert wait_for(lambda: next(answers), time.monotonic() + 5, 0.001)
    answers = iter([False])
    assert not wait_for(lambda: next(answers), time.monotonic() - 1)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """As ssh does, and with the command that mends it; no connection is tried."""
    key = tmp_path / "id"
    key.touch(mode)
    key.chmod(mode)
    words = refusal(replace(ELSEWHERE, key_file=key), patience_s=60)
    shown = stat.filemode(stat.S_IFREG | mode)
    assert words == f"the private key {key} can be read by others ({shown})\nchmod 600 {key}"


def test_a_key_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are told as what they are."""
    assert refusal(replace(ELSEWHERE, key_file=tmp_path / "id")) == (
        f"the private key {tmp_path}/id: No such file or directory"
    )
    assert refusal(replace(ELSEWHERE, key_file=tmp_path)) == f"the private key {tmp_path} is no file"


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere is a mistake, not something to wait for."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    words = refusal(replace(ELSEWHERE, address="no-such-machine.example"), patience_s=60)
    assert words == "client-1: no machine is called no-such-machine.example"


def test_nobody_at_a_port_is_waited_for_as_long_as_told() -> None:
    """Where nobody listens, it is tried again until patience ends; machine, address, port and reason are named."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    remote = replace(ELSEWHERE, address="127.0.0.1", port=port)
    words = refusal(remote, HostError, patience_s=1.2)
    assert 1.2 <= time.monotonic() - began < 4
    assert words.startswith(f"client-1 does not answer at 127.0.0.1 port {port}: ")


def test_a_server_that_says_nothing_is_not_waited_for_longer() -> None:
    """Something that listens and is no SSH server, or one that hangs, costs no more than patience."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        remote = replace(ELSEWHERE, address="127.0.0.1", port=listener.getsockname()[1])
        words = refusal(remote, HostError, patience_s=1.0)
        assert words.startswith("client-1 does not answer at 127.0.0.1 port ")


def test_a_failed_connection_prints_no_traceback() -> None:
    """What paramiko's threads think of a connection is not for the user's terminal: the error has it in words."""
    program = (
        "import sys\nfrom btgames.errors import GamesError\nfrom btgames.hosts.line import Line\n"
        "from btgames.hosts.remote import Remote\n"
        "try:\n Line(Remote('a', 'client', '127.0.0.1', 'me', port=int(sys.argv[1])), patience_s=0.5).open()\n"
        "except GamesError as error:\n print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = [sys.executable, "-W", "ignore", "-c", program, str(listener.getsockname()[1])]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a does not answer at 127.0.0.1 port ")
    assert done.stderr == ""


def test_a_server_with_which_we_share_no_cipher_is_told() -> None:
    """What two programs cannot agree upon is not mended by waiting."""
    refused = Line(ELSEWHERE)._refusal(IncompatiblePeer("Incompatible ssh peer (no acceptable ciphers)"))
    assert str(refused) == (
        "client-1: the SSH server of 192.0.2.1 is too old or too new: Incompatible ssh peer (no acceptable ciphers)"
    )


# With one.


@SKIP
@pytest.mark.cloud
class TestMachine:
    """A real machine, its real sshd."""

    @pytest.mark.parametrize("user", ["btgames", "root"])
    def test_whoever_may_be_root_is_let_in(self, user: str) -> None:
        """A user who may sudo unasked, and root itself."""
        with opened(replace(rig().good, user=user)) as line:
            assert ask(line, "whoami") == f"{user}\n"

    def test_another_host_key_is_refused(self) -> None:
        """A machine that shows another key than the pinned one gets nothing, not even the user's name."""
        other = keys.KeyPair(os.urandom(32)).public
        words = refusal(replace(rig().good, host_key=other))
        address = rig().good.address
        assert words.split("\n")[0] == (
            f"good: {address} shows another host key than the one given; nothing was sent to it"
        )

    def test_a_pinned_key_of_another_kind_is_refused(self) -> None:
        """Nor does a key of a kind that the machine does not have lead to one that it has."""
        other = paramiko.ECDSAKey.generate()
        words = refusal(replace(rig().good, host_key=f"{other.get_name()} {other.get_base64()}"))
        assert "shows another host key than the one given; nothing was sent to it" in words

    @pytest.mark.parametrize("host_key", ["ssh-ed25519 AAAA", "ssh-ed25519 A", "frob AAAA", "frob"])
    def test_a_pinned_key_that_is_none_is_told(self, host_key: str) -> None:
        """What is no key is the user's to mend; nothing is connected."""
        words = refusal(replace(rig().good, host_key=host_key))
        assert words == f"good: {host_key!r} is no host key: as in /etc/ssh/ssh_host_ed25519_key.pub, whole"

    def test_an_unknown_host_key_is_not_taken_on_trust(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a pinned key and without known_hosts, what to do is said: log in once, or write it down."""
        monkeypatch.setenv("HOME", str(tmp_path))
        address = rig().good.address
        assert refusal(replace(rig().good, host_key="")) == (
            f"good: the host key of {address} is not known\nlog in once and compare it: ssh btgames@{address}\n"
            "or write it into the inventory, as host_key"
        )

    def test_a_key_in_known_hosts_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who has logged in before needs no pinned key; another one there is refused."""
        monkeypatch.setenv("HOME", str(tmp_path))
        good = rig().good
        known = tmp_path / ".ssh" / "known_hosts"
        known.parent.mkdir()
        known.write_text(f"{good.address} {good.host_key}\n")
        with opened(replace(good, host_key="")) as line:
            assert ask(line, "echo in") == "in\n"
        known.write_text(f"{good.address} {keys.KeyPair(os.urandom(32)).public}\n")
        words = refusal(replace(good, host_key=""))
        assert "shows another host key than that in ~/.ssh/known_hosts" in words

    def test_a_pinned_key_needs_no_ssh_settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine of a fleet is reached whatever the user has written for others in ~/.ssh/config."""
        monkeypatch.setenv("HOME", str(tmp_path))
        settings = tmp_path / ".ssh" / "config"
        settings.parent.mkdir()
        settings.write_text("Host *\n  User nobody\n  Port 9\n  ProxyCommand false\n")
        with opened(rig().good) as line:
            assert ask(line, "echo in") == "in\n"

    def test_a_wrong_user_or_key_is_told(self) -> None:
        """Who is refused, with which key, and what to name."""
        good = rig().good
        words = refusal(replace(good, user="nobody-here"))
        assert words == (
            f"good: nobody-here@{good.address} refuses the key {good.key_file}\nname the user and the key that it takes"
        )
        other = rig().key("other")
        assert f"btgames@{good.address} refuses the key {other}" in refusal(replace(good, key_file=other))

    def test_a_user_without_any_key_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no key is named and ssh would offer none, that is said; no password is asked for."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        words = refusal(replace(rig().good, key_file=None))
        assert "refuses all keys of the SSH agent and of ~/.ssh" in words

    def test_a_key_with_a_passphrase_is_told(self, tmp_path: Path) -> None:
        """A key that wants a passphrase is not called refused: an agent may have it."""
        locked = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"secret")
        )
        key = tmp_path / "locked"
        key.write_bytes(locked)
        key.chmod(0o600)
        words = refusal(replace(rig().good, key_file=key))
        assert words == (
            f"the private key {key} has a passphrase, which nobody will be there to type\n"
            f"ssh-add {key}, and name no key: the SSH agent's are tried then"
        )

    @pytest.mark.parametrize("content", [b"", b"not a key\n", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", b"\xff"])
    def test_a_file_that_is_no_key_is_told(self, tmp_path: Path, content: bytes) -> None:
        """What is no private key is said at once: waiting makes it none."""
        key = tmp_path / "id"
        key.write_bytes(content)
        key.chmod(0o600)
        words = refusal(replace(rig().good, key_file=key))
        assert words == f"the private key {key} is none that SSH knows: ed25519, ecdsa or rsa"

    def test_a_user_whom_sudo_asks_is_told_what_to_do(self) -> None:
        """A race cannot type passwords: what sudo said is quoted, with both ways out."""
        words = refusal(replace(rig().good, user="asker"))
        assert words == (
            f"good: asker@{rig().good.address} may not become root: sudo: a password is required\n"
            "let that user sudo without a password (NOPASSWD in /etc/sudoers.d), or log in as root"
        )

    def test_a_login_that_runs_nothing_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine that lets us in and then hangs is a HostError in time, not a wait for ever."""
        monkeypatch.setattr(line_module, "CONNECT_S", 1.0)
        with opened(rig().root) as line:
            monkeypatch.setattr(line, "channel", lambda *_: Line.channel(line, "sleep 5"))
            with pytest.raises(HostError, match="lets us in, but runs no command within 1 s"):
                line.open()

    def test_more_than_eight_channels_need_another_connection(self) -> None:
        """A machine that allows 10 sessions of a connection carries as many as are wanted, all at once."""
        with opened(rig().good) as line:
            channels = [line.channel("cat") for _ in range(2 * CHANNELS + 1)]
            assert len(line._connections) == 3
            for number, channel in enumerate(channels):
                channel.sendall(f"{number}\n".encode())
                channel.shutdown_write()
            said = [channel.makefile("rb").read() for channel in channels]
            assert said == [f"{number}\n".encode() for number in range(len(channels))]
            for channel in channels:
                channel.close()
            ask(line, "true")
            assert len(line._connections) == 3, "there is room in one that is open"

    def test_small_packets_are_not_held_back(self) -> None:
        """A command is a few small packets each way; TCP, left alone, would wait 40 ms for more of them."""
        with opened(rig().good) as line:
            transport = line._connections[0][0].transport
            assert transport
            assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            took = []
            for _ in range(9):
                began = time.monotonic()
                ask(line, "true")
                took.append(time.monotonic() - began)
            assert sorted(took)[4] < 0.03, "3 ms on a quiet machine"

    def test_it_is_safe_to_be_used_by_several_threads(self) -> None:
        """Commands of threads at the same time do not get into each other's way."""
        with opened(rig().good) as line:
            said: dict[int, str] = {}

            def work(number: int) -> None:
                said[number] = ask(line, f"echo {number}")

            threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert said == {number: f"{number}\n" for number in range(12)}

    def test_a_line_that_broke_is_opened_again(self) -> None:
        """Whether it is cut at our end, or its sshd is killed: the next command goes over a new connection."""
        with opened(rig().root) as line:
            first = line._connections[0][0]
            assert first.transport
            first.transport.sock.close()
            assert ask(line, "echo again") == "again\n"
            with line.channel("kill -9 $(ps -o ppid= -p $$)") as channel:
                assert channel.recv_exit_status() == -1
            assert ask(line, "echo again") == "again\n"

    def test_a_short_silence_is_sat_out(self) -> None:
        """A network that is away for less than patience costs time, and no connection."""
        with opened(rig().good) as line:
            before = line._connections[0][0]
            rig().region.cut("good", 0.8)
            assert ask(line, "echo still") == "still\n"
            assert line._connections[0][0] is before

    def test_a_long_silence_is_noticed(self) -> None:
        """When nothing has been acknowledged for as long as patience, the line is given up; it can be opened again."""
        with opened(rig().good, patience_s=1.0) as line:
            with line.channel("cat") as channel:
                rig().region.cut("good", 3.0)
                began = time.monotonic()
                channel.sendall(b"are you there?\n")
                assert channel.recv_exit_status() == -1
                assert time.monotonic() - began < 5
            with line.channel("echo back", 20.0) as channel:
                assert channel.makefile("rb").read() == b"back\n"

    def test_closing_ends_what_waits_for_input(self) -> None:
        """What runs there sees the end of its stdin."""
        with opened(rig().good) as line:
            line.channel("cat; touch /tmp/saw-the-end")
        with opened(rig().good) as line:
            seen = "test -e /tmp/saw-the-end && echo yes"
            assert wait_for(lambda: ask(line, seen) == "yes\n", time.monotonic() + 10, 0.05)
