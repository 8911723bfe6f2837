"""
What a machine is told when it first starts, as text for cloud-init: a pure function of its role and keys.

The first thing is how it ends, so that a machine whose set-up fails costs no more than one that works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from datetime import datetime

    from keys import KeyPair

USER = "btgames"  # not `games`, whom Debian has already
LIMIT_BYTES = 16_384
"""
EC2 takes no more user data than this.
"""

READY = "/var/lib/btgames/ready"
"""
The sign that everything below has been done, and that all packages are there.
"""

PACKAGES = {
    "all": "ca-certificates iproute2 python3 python3-venv tcpdump util-linux",
    "tracker": "opentracker",
    "seeder": "deluged",
    "client": "curl gcc git libc6-dev",
}
DISTURBING = ["apt-daily.timer", "apt-daily-upgrade.timer", "man-db.timer", "opentracker.service", "deluged.service"]
"""
What would take CPU or ports in the middle of a heat: Debian starts what it installs. Not every machine has all of them.
"""

SSHD = """\
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
# A connection whose other end is gone is given up after a minute; a race runs many commands over one connection.
ClientAliveInterval 15
ClientAliveCountMax 4
MaxSessions 100
"""


def user_data(*, role: str, authorized_key: str, host_key: KeyPair, expires_at: datetime) -> str:
    """
    Return the user data of a machine.

    Raises:
        ValueError: it is longer than EC2 takes.

    """
    packages = sorted(f"{PACKAGES['all']} {PACKAGES[role]}".split())
    config: dict[str, Any] = {
        "bootcmd": [_end_at(expires_at), _OWN_METADATA],
        "users": [
            {
                "name": USER,
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [authorized_key],
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
        "write_files": [{"path": "/etc/ssh/sshd_config.d/10-btgames.conf", "content": SSHD}],
        "package_update": True,
        "packages": packages,
        "runcmd": [
            ["sh", "-c", 'for unit; do systemctl disable --now "$unit"; done', "sh", *DISTURBING],
            ["sh", "-c", _READY_IF, "sh", *packages],
        ],
    }
    text = "#cloud-config\n" + yaml.dump(config, Dumper=_Readable, sort_keys=False, width=1000)
    if len(text.encode()) > LIMIT_BYTES:
        raise ValueError(f"user data of a {role}: {len(text.encode())} bytes, of which EC2 takes {LIMIT_BYTES}")
    return text


class _Readable(yaml.SafeDumper):
    """Lines as lines: this text is what someone reads when a machine does not come up."""


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _end_at(moment: datetime) -> list[str]:
    """
    Return the command that ends the machine at a moment; at once, when that has passed.

    It is run at every start, before most of the system is up: the timer waits for nothing, and nothing for it.
    """
    script = (
        f"left=$(({int(moment.timestamp())} - $(date +%s))); [ $left -gt 0 ] || left=1; "
        "systemd-run --no-block --unit=btgames-end --on-active=$left --timer-property=AccuracySec=1s "
        "--timer-property=DefaultDependencies=no --property=DefaultDependencies=no systemctl poweroff "
        "|| shutdown -h +$(((left + 59) / 60))"
    )
    return ["sh", "-c", script]


_OWN_METADATA = ["ip", "rule", "add", "to", "169.254.169.254", "uidrange", "1-4294967294", "prohibit"]
"""
Root alone may ask for the instance's metadata: user data holds a host key, and contestants run on this machine.
"""

_READY_IF = (
    # The last of what cloud-init runs, whose status becomes cloud-init's own.
    '[ "$(dpkg-query -W -f=\'${db:Status-Status}\\n\' "$@" | grep -cx installed)" = $# ] '
    f"&& mkdir -p {READY.rpartition('/')[0]} && touch {READY}"
)
