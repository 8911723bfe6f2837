"""
The keys of a stack: one to log in with, made here and kept out of the state, and one of each machine's own.

A machine's host key is derived from the stack's key and the machine's name: it needs no storage, is the same in every
run, and is known before the machine is, so that even the first connection is checked.
"""

from __future__ import annotations

import base64
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

ALGORITHM = b"ssh-ed25519"


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key."""

    seed: bytes

    @property
    def public(self) -> str:
        """Return the public half as one line: ``ssh-ed25519 AAAA...``."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    @property
    def private(self) -> str:
        """
        Return the private half in OpenSSH's format, always the same text for the same key.

        Others put random numbers in it, which would replace the machine that the text is handed to in every run.
        """
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        check = 2 * HKDF(SHA256(), 4, None, b"check").derive(self.seed)
        secret = check + b"".join(map(_field, (ALGORITHM, public, self.seed + public, b"")))
        secret += bytes(range(1, 1 + -len(secret) % 8))
        head = b"".join(map(_field, (b"none", b"none", b""))) + struct.pack(">I", 1)
        whole = b"openssh-key-v1\0" + head + _field(_field(ALGORITHM) + _field(public)) + _field(secret)
        text = base64.b64encode(whole).decode()
        lines = [text[at : at + 70] for at in range(0, len(text), 70)]
        begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
        return "\n".join([begin, *lines, end, ""])

    def derived(self, name: str) -> KeyPair:
        """Return the host key of the machine `name`."""
        return KeyPair(HKDF(SHA256(), 32, b"btgames host key", name.encode()).derive(self.seed))


def key_file(organization: str, project: str, stack: str) -> Path:
    """Return where the private half of a stack's key is kept, on this computer only."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "btgames" / "keys" / f"{organization}-{project}-{stack}"


def stack_key(path: Path, *, keep: bool) -> KeyPair:
    """
    Return the key of that file; where there is none a new one, which is written there if `keep` (not in a preview).

    Raises:
        ValueError: the file holds no such key, or others may read it.

    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        made = KeyPair(os.urandom(32))
        if keep:
            _write(path, made.private)
        return made
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: others may read this key; chmod 600 it, or remove it with a new stack")
    try:
        key = load_ssh_private_key(text, password=None)
    except ValueError as error:
        raise ValueError(f"{path}: no private key in OpenSSH's format ({error})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path}: not an ed25519 key")  # noqa: TRY004 - the file's content is wrong, not a type of ours
    return KeyPair(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)  # whole, or not at all


def _field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
