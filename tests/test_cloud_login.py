"""Logging in to a machine whose host key is known beforehand."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cloud_fakes import fleet_of

from btgames.cloud import login
from btgames.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Give where a key would be."""
    return tmp_path / "my state" / "keys" / "me-btgames-dev"


def test_options(key_file: Path) -> None:
    """No other key is offered, and no other host key taken, than those that we made."""
    fleet = fleet_of(key_file=str(key_file))
    words = login.options(fleet, fleet.machine("client-1"))
    assert "StrictHostKeyChecking=yes" in words
    assert words[-5:] == ["-i", str(key_file), "-p", "22", "btgames@203.0.113.7"]
    known = (key_file.parent.parent / "known_hosts" / "me-btgames-dev").read_text().splitlines()
    assert known == [f"{name}.dev ssh-ed25519 {name}" for name in ("tracker", "seeder-1", "client-1")]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh")
def test_ssh_agrees(key_file: Path) -> None:
    """The system's ssh understands them, a folder with a blank in its name included."""
    fleet = fleet_of(key_file=str(key_file))
    words = login.options(fleet, fleet.machine("client-1"))
    ran = subprocess.run(["ssh", "-G", "-F", "none", *words], capture_output=True, text=True, check=True)
    found = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    assert found["user"] == "btgames"
    assert found["stricthostkeychecking"] in ("true", "yes")
    assert found["hostkeyalias"] == "client-1.dev"
    assert found["userknownhostsfile"].strip('"') == str(login.known_hosts_of(key_file))


def test_command(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes ssh, with the words that are to run there."""
    became: list[list[str]] = []
    monkeypatch.setattr(login, "existing", lambda _: fleet_of(key_file=str(key_file)))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "execv", lambda path, words: became.append([path, *words]))
    login.command(stack=None, machine="tracker", words=["uptime"])
    assert became[0][:2] == ["/usr/bin/ssh", "ssh"]
    assert became[0][-2:] == ["btgames@203.0.113.7", "uptime"]


def test_no_ssh(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ssh a line says what to install."""
    monkeypatch.setattr(login, "existing", lambda _: fleet_of(key_file=str(key_file)))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="ssh is not on PATH"):
        login.command(stack=None, machine="tracker", words=[])
