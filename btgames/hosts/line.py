"""
An SSH connection to one machine: opened with a pinned or known host key only, and opened again where it broke.

A line that goes dead is noticed after `PATIENCE_S`, by TCP itself: until then what was sent is sent again, and a race
goes on where it was when the network comes back. A line that was cut is opened again for as long.
"""

from __future__ import annotations

import base64
import logging
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko
from fabric import Config, Connection
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import IncompatiblePeer

from btgames.errors import HostError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from btgames.hosts.remote import Remote

PATIENCE_S = 60.0
"""How long a machine that does not answer is waited for."""

CONNECT_S = 10.0  # one attempt
KEEPALIVE_S = 5  # something to be acknowledged, so that TCP notices
RETRY_S = 0.5
_SSH_PORT = 22
CHANNELS = 8
"""Of one connection: sshd allows 10 sessions by default (MaxSessions)."""


# Else Python shows what a thread of paramiko's has to say of a connection that failed, with its traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Line:
    """The connections to one machine; safe to be used by several threads."""

    def __init__(self, remote: Remote, *, patience_s: float = PATIENCE_S) -> None:
        self.remote = remote
        self._patience_s = patience_s
        self._connections: list[tuple[Connection, list[paramiko.Channel]]] = []
        self._lock = threading.Lock()

    def open(self, patience_s: float | None = None) -> None:
        """
        See that the machine can be logged in to, and that root can be had there.

        Raises:
            UserError: it refuses us, or is not the machine that it was; says what to do.
            HostError: it does not answer.

        """
        key = self.remote.key_file
        if key is not None:
            _check_key(key)
        channel = self.channel("true" if self.remote.user == "root" else "sudo -n true", patience_s)
        who = f"{self.remote.name}: {self.remote.user}@{self.remote.address}"
        with channel:
            channel.settimeout(CONNECT_S)
            try:
                words = channel.makefile_stderr("rb").read().decode(errors="replace")
            except TimeoutError as error:
                raise HostError(f"{who} lets us in, but runs no command within {CONNECT_S:g} s") from error
            if channel.recv_exit_status():
                raise UserError(
                    f"{who} may not become root: {' '.join(words.split())[:200]}\n"
                    f"let that user sudo without a password (NOPASSWD in /etc/sudoers.d), or log in as root"
                )

    def channel(self, command: str, patience_s: float | None = None) -> paramiko.Channel:
        """
        Start a command for the user's shell there; return its channel. Connects, again if need be.

        Raises:
            UserError, HostError: as `open`.

        """
        deadline = time.monotonic() + (self._patience_s if patience_s is None else patience_s)
        while True:
            try:
                with self._lock:
                    return self._start(command, deadline)
            except (OSError, EOFError, paramiko.SSHException) as error:
                if refusal := self._refusal(error):
                    raise refusal from error
                if time.monotonic() >= deadline:
                    where = f"{self.remote.address} port {self.remote.port}"
                    raise HostError(
                        f"{self.remote.name} does not answer at {where}: {str(error) or 'no connection'}"
                    ) from error
            time.sleep(RETRY_S)  # between two attempts to connect, which say at once that nobody is there

    def close(self) -> None:
        """Hang up: what runs there sees the end of its stdin."""
        with self._lock:
            for connection, _ in self._connections:
                connection.close()
            self._connections.clear()

    def _start(self, command: str, deadline: float) -> paramiko.Channel:
        connection, channels = self._with_room(deadline)
        transport = connection.transport
        if transport is None:
            raise AssertionError("a connection that is open has a transport")
        channel: paramiko.Channel = transport.open_session(timeout=max(1.0, deadline - time.monotonic()))
        channel.exec_command(command)
        channels.append(channel)
        return channel

    def _with_room(self, deadline: float) -> tuple[Connection, list[paramiko.Channel]]:
        """Return a connection that takes one more session; make one where there is none."""
        alive = [
            (each, channels) for each, channels in self._connections if each.transport and each.transport.is_active()
        ]
        self._connections = [(each, [one for one in channels if not one.closed]) for each, channels in alive]
        for connection, channels in self._connections:
            if len(channels) < CHANNELS:
                return connection, channels
        made: tuple[Connection, list[paramiko.Channel]] = (self._connect(deadline), [])
        self._connections.append(made)
        return made

    def _connect(self, deadline: float) -> Connection:
        remote = self.remote
        pinned = bool(remote.host_key)
        # With a key of its own a machine is a fleet's: nothing of the user's SSH settings is meant for it.
        config = Config(overrides={"load_ssh_configs": not pinned}, lazy=False)
        wait = max(1.0, min(CONNECT_S, deadline - time.monotonic()))
        kwargs: dict[str, Any] = {"banner_timeout": wait, "auth_timeout": CONNECT_S}
        if remote.key_file is not None:
            kwargs |= {"key_filename": str(remote.key_file), "look_for_keys": False, "allow_agent": False}
        connection = Connection(
            remote.address, remote.user, remote.port, config, connect_timeout=wait, connect_kwargs=kwargs
        )
        client = connection.client
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        if pinned:
            key = self._pinned()
            name = remote.address if remote.port == _SSH_PORT else f"[{remote.address}]:{remote.port}"
            client.get_host_keys().add(name, key.get_name(), key)
        else:
            client.load_system_host_keys()
        connection.open()
        transport = connection.transport
        if transport is None:
            raise AssertionError("a connection that was opened has a transport")
        transport.set_keepalive(KEEPALIVE_S)
        if isinstance(transport.sock, socket.socket):  # not where a ProxyCommand leads there
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._patience_s * 1000))
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a command are waited away
        return connection

    def _pinned(self) -> paramiko.PKey:
        """Return the host key that was given."""
        kind, _, rest = self.remote.host_key.partition(" ")
        try:
            return paramiko.PKey.from_type_string(kind, base64.b64decode(rest.partition(" ")[0]))
        except (ValueError, paramiko.SSHException, UnknownKeyType) as error:
            raise UserError(
                f"{self.remote.name}: {self.remote.host_key!r} is no host key: "
                "as in /etc/ssh/ssh_host_ed25519_key.pub, whole"
            ) from error

    def _refusal(self, error: Exception) -> UserError | None:
        """Return the error that waiting does not mend, if it is one, with what to do."""
        remote = self.remote
        who = f"{remote.name}: {remote.user}@{remote.address}"
        if isinstance(error, paramiko.BadHostKeyException):
            known = "the one given" if remote.host_key else "that in ~/.ssh/known_hosts"
            return UserError(
                f"{remote.name}: {remote.address} shows another host key than {known}; nothing was sent to it\n"
                "somebody may sit in between, or it is another machine than it was: find out which"
            )
        if isinstance(error, paramiko.AuthenticationException) or "No authentication methods" in str(error):
            key = f"the key {remote.key_file}" if remote.key_file else "all keys of the SSH agent and of ~/.ssh"
            return UserError(f"{who} refuses {key}\nname the user and the key that it takes")
        if isinstance(error, paramiko.SSHException) and "not found in known_hosts" in str(error):
            port = "" if remote.port == _SSH_PORT else f"-p {remote.port} "
            return UserError(
                f"{remote.name}: the host key of {remote.address} is not known\n"
                f"log in once and compare it: ssh {port}{remote.user}@{remote.address}\n"
                "or write it into the inventory, as host_key"
            )
        if isinstance(error, IncompatiblePeer):
            return UserError(f"{remote.name}: the SSH server of {remote.address} is too old or too new: {error}")
        if isinstance(error, socket.gaierror):
            return UserError(f"{remote.name}: no machine is called {remote.address}")
        return None


def wait_for(condition: Callable[[], bool], deadline: float, pause_s: float = RETRY_S) -> bool:
    """Return whether a condition came true before the deadline (monotonic seconds)."""
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
    return True


def _check_key(path: Path) -> None:
    """Refuse a private key that others may read, as ssh does, or that cannot be used."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"the private key {path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"the private key {path} is no file")
    if mode & 0o077:
        raise UserError(f"the private key {path} can be read by others ({stat.filemode(mode)})\nchmod 600 {path}")
    try:
        paramiko.PKey.from_path(path)
    except TypeError as error:  # of cryptography, which wants the passphrase
        raise UserError(
            f"the private key {path} has a passphrase, which nobody will be there to type\n"
            f"ssh-add {path}, and name no key: the SSH agent's are tried then"
        ) from error
    except (ValueError, OSError, paramiko.SSHException, UnknownKeyType) as error:
        raise UserError(f"the private key {path} is none that SSH knows: ed25519, ecdsa or rsa") from error
