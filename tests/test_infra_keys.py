"""The keys of a stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)
from keys import KeyPair, key_file, stack_key

KEY = KeyPair(bytes(range(32)))


def test_private() -> None:
    """The private half is in OpenSSH's format, the same text every time."""
    loaded = load_ssh_private_key(KEY.private.encode(), password=None)
    assert isinstance(loaded, Ed25519PrivateKey)
    assert loaded.private_bytes_raw() == KEY.seed
    assert KEY.private == KeyPair(KEY.seed).private


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_openssh_agrees(tmp_path: Path) -> None:
    """OpenSSH reads the private half, and finds the same public one in it."""
    path = tmp_path / "key"
    path.write_text(KEY.private)
    path.chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout
    assert said.split() == KEY.public.split()


def test_derived() -> None:
    """Each machine has a key of its own, which the stack's key and the machine's name decide."""
    derived = {KEY.derived("client-1").public, KEY.derived("client-2").public, KEY.public}
    assert len(derived) == 3
    assert KEY.derived("client-1") == KEY.derived("client-1")
    assert KeyPair(bytes(32)).derived("client-1") != KEY.derived("client-1")


def test_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is under the state folder that the user has chosen, or under the usual one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert key_file("acme", "btgames", "dev") == tmp_path / "btgames" / "keys" / "acme-btgames-dev"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert key_file("acme", "btgames", "dev") == Path.home() / ".local/state/btgames/keys/acme-btgames-dev"


def test_made_once(tmp_path: Path) -> None:
    """A missing key is made and kept for its user alone; one to be forgotten leaves nothing."""
    path = tmp_path / "keys" / "one"
    stack_key(path, keep=False)
    assert not path.parent.exists()
    made = stack_key(path, keep=True)
    assert stack_key(path, keep=True) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["one"]


def test_readable_by_others(tmp_path: Path) -> None:
    """A key that others may read is refused."""
    path = tmp_path / "one"
    stack_key(path, keep=True)
    path.chmod(0o640)
    with pytest.raises(ValueError, match="one: others may read this key; chmod 600"):
        stack_key(path, keep=True)


def test_no_key(tmp_path: Path) -> None:
    """A file that is no such key is refused, and left as it is."""
    path = tmp_path / "one"
    path.write_text("no key\n")
    path.chmod(0o600)
    with pytest.raises(ValueError, match="one: no private key in OpenSSH's format"):
        stack_key(path, keep=True)
    rsa = generate_private_key(65537, 2048)
    path.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    with pytest.raises(ValueError, match="one: not an ed25519 key"):
        stack_key(path, keep=True)
