"""What a machine is told when it first starts."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import user_data as module
import yaml
from keys import KeyPair
from roster import ROLES
from user_data import user_data

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = dt.datetime(2026, 11, 24, 22, 0, tzinfo=dt.UTC)
KEY = KeyPair(bytes(32))


def text_of(role: str = "client") -> str:
    """Return the user data of a machine."""
    return user_data(role=role, authorized_key=KEY.public, host_key=KEY.derived("client-1"), expires_at=MOMENT)


def config_of(role: str = "client") -> dict[str, Any]:
    """Return it as data."""
    found: dict[str, Any] = yaml.safe_load(text_of(role))
    return found


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="needs cloud-init")
@pytest.mark.parametrize("role", ROLES)
def test_schema(role: str, tmp_path: Path) -> None:
    """cloud-init finds nothing to complain of."""
    path = tmp_path / "user-data"
    path.write_text(text_of(role))
    ran = subprocess.run(
        ["cloud-init", "schema", "--config-file", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("role", ROLES)
def test_size(role: str) -> None:
    """There is much room left in what EC2 takes."""
    assert text_of(role).startswith("#cloud-config\n")
    assert len(text_of(role)) < module.LIMIT_BYTES / 4


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than EC2 takes is refused here, not there."""
    monkeypatch.setattr(module, "LIMIT_BYTES", 100)
    with pytest.raises(ValueError, match=r"user data of a client: \d+ bytes, of which EC2 takes 100"):
        text_of()


def test_ends_first() -> None:
    """The first thing of all is how the machine ends: at that moment, in seconds since 1970."""
    first = next(iter(config_of().items()))
    assert first[0] == "bootcmd"
    assert first[1][0][:2] == ["sh", "-c"]
    assert str(int(MOMENT.timestamp())) in first[1][0][2]


@pytest.mark.parametrize(("now", "left"), [(0, 7200), (7200 - 1, 1), (7200, 1), (9999999, 1)])
def test_time_left(now: int, left: int, tmp_path: Path) -> None:
    """The timer runs until the moment; one that has passed ends the machine at once."""
    start = int(MOMENT.timestamp()) - 7200
    for name, script in {"date": f"echo {start + now}", "systemd-run": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    argv = config_of()["bootcmd"][0]
    ran = subprocess.run(argv, env={"PATH": str(tmp_path)}, executable="/bin/sh", capture_output=True, check=True)
    assert f"--on-active={left} ".encode() in ran.stdout
    assert ran.stdout.endswith(b"systemctl poweroff\n")


def test_who_may_log_in() -> None:
    """One user with one key, who may become root; neither root nor passwords."""
    config = config_of()
    (user,) = config["users"]
    assert (user["name"], user["lock_passwd"], user["ssh_authorized_keys"]) == ("btgames", True, [KEY.public])
    assert (config["disable_root"], config["ssh_pwauth"]) == (True, False)
    assert "PermitRootLogin no\nPasswordAuthentication no\n" in config["write_files"][0]["content"]


def test_host_key() -> None:
    """The machine's host key is ours, and the only one."""
    config = config_of()
    assert config["ssh_deletekeys"] is True
    assert config["ssh_keys"] == {
        "ed25519_private": KEY.derived("client-1").private,
        "ed25519_public": KEY.derived("client-1").public,
    }


def test_metadata_is_roots() -> None:
    """Who is not root cannot ask for the instance's metadata."""
    assert config_of()["bootcmd"][1] == "ip rule add to 169.254.169.254 uidrange 1-4294967294 prohibit".split()  # noqa: SIM905 - reads better


def test_packages() -> None:
    """Each role has what it needs, and the sign is given when all of it is there."""
    assert "opentracker" in config_of("tracker")["packages"]
    assert "deluged" in config_of("seeder")["packages"]
    assert {"git", "gcc", "libc6-dev", "curl", "python3-venv"} <= {*config_of("client")["packages"]}
    for role in ROLES:
        config = config_of(role)
        assert config["package_update"] is True
        assert config["runcmd"][-1][4:] == config["packages"]


@pytest.mark.parametrize(("installed", "status"), [(3, 0), (2, 1)])
def test_sign(installed: int, status: int, tmp_path: Path) -> None:
    """The sign is only given when every package is installed; the command's status says so, too."""
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\n" + "echo installed\n" * installed + "echo unpacked\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    script = config_of()["runcmd"][-1][2].replace("/var/lib", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(["sh", "-c", script, "sh", "a", "b", "c"], env=environment, check=False)
    assert ran.returncode == status
    assert (tmp_path / "btgames" / "ready").exists() == (status == 0)
