"""The Debian that machines start from: like Debian's cloud image, made once by debootstrap and apt, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

RELEASE = "bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP = Path("/etc/pip.conf")

# What Debian's cloud image has and a race, its set-up or someone who debugs it may miss.
BASE = """
    apt-utils bash-completion bind9-host bsdextrautils ca-certificates cloud-guest-utils cloud-init cron curl dbus
    dmidecode ethtool file gdisk gnupg iproute2 iputils-ping iputils-tracepath kmod less libpam-systemd
    locales lsb-release lsof man-db nano netbase openssh-client openssh-server openssh-sftp-server
    pciutils procps psmisc python3 python3-apt rsyslog screen socat sudo systemd systemd-sysv
    tcpdump traceroute tzdata unattended-upgrades uuid-runtime vim-tiny wget xz-utils zstd
"""
# In apt's cache and no more: user data and contestants install them as they do anywhere, without the download.
FETCHED = """
    aria2 build-essential deluged git opentracker python3-dev python3-libtorrent python3-pip python3-venv
    transmission-cli
"""
# They would reach for the kernel, which is not the machine's own, or for the network behind the test's back.
MASKED = """
    apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer systemd-modules-load.service
    systemd-networkd.service systemd-sysctl.service systemd-timesyncd.service systemd-udevd.service
    systemd-udev-trigger.service unattended-upgrades.service
"""
FILES = {
    "etc/cloud/cloud.cfg.d/90_standin.cfg": (
        "datasource_list: [NoCloud, None]\n"
        "network: {config: disabled}\n"
        "apt: {preserve_sources_list: true}\n"  # this machine's way to Debian's packages is known to work
    ),
    "etc/apt/apt.conf.d/90standin": 'APT::Keep-Downloaded-Packages "true";\nAcquire::Languages "none";\n',
    "etc/default/locale": "LANG=C.UTF-8\n",
}
SCRIPT = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update
apt-get install --yes --no-install-recommends {" ".join(BASE.split())}
update-ca-certificates
apt-get install --yes --no-install-recommends --download-only {" ".join(FETCHED.split())}
for unit in {" ".join(MASKED.split())}; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
rm -f /usr/sbin/policy-rc.d /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id
passwd --lock root
cloud-init clean --logs --seed
"""


def folder() -> Path:
    """Return the folder in which images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "btgames" / "standin"


def why_not() -> str:
    """Return why there can be no machines here; empty when there can."""
    if not sys.platform.startswith("linux"):
        return "the stand-in needs Linux"
    if os.geteuid() != 0:
        return "the stand-in needs root"
    missing = [tool for tool in ("debootstrap", "systemd-nspawn", "nft", "ip", "unshare") if not shutil.which(tool)]
    return f"the stand-in needs {', '.join(missing)}" if missing else ""


def image() -> Path:
    """Return the image's root folder, which nobody may write to; make it first where there is none: some minutes."""
    kept = folder()
    kept.mkdir(parents=True, exist_ok=True)
    made = kept / f"debian-12-{_stamp()}"
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            for outdated in kept.glob("debian-12-*"):
                _remove(outdated)
            aside = made.with_suffix(".part")
            with (kept / "image.log").open("wb") as log:
                _make(aside, log.fileno())
            aside.rename(made)
    return made


def hold(root: Path) -> int:
    """Keep an image from being removed while this process, or a copy of the descriptor that is returned, lives."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _remove(root: Path) -> None:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # machines run from it
        return
    finally:
        os.close(descriptor)
    shutil.rmtree(root)


def _stamp() -> str:
    recipe = [RELEASE, SCRIPT, FILES, _authorities(), PIP.read_text() if PIP.exists() else ""]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def _make(root: Path, log: int) -> None:
    # The variant "minbase", and all else by apt: debootstrap's own --include knows no alternatives and fails.
    # debootstrap's default mirror is what the rest uses too: no other is written anywhere here.
    subprocess.run(
        ["debootstrap", "--variant=minbase", RELEASE, str(root)], check=True, stdout=log, stderr=log, timeout=600
    )
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    if PIP.exists():
        shutil.copy(PIP, root / "etc/pip.conf")
    authorities = root / "usr/local/share/ca-certificates"
    authorities.mkdir(parents=True)
    for number, certificate in enumerate(_authorities()):
        (authorities / f"standin-{number}.crt").write_text(certificate)
    argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--directory", str(root)]
    subprocess.run([*argv, "/bin/sh", "-c", SCRIPT], check=True, stdout=log, stderr=log, timeout=1200)


def _authorities() -> list[str]:
    """Return this machine's own certificate authorities: those in its bundle that no package has brought."""
    if not AUTHORITIES.exists():
        return []
    packaged = {_bare(path.read_text()) for path in Path("/usr/share/ca-certificates").rglob("*.crt")}
    end = "-----END CERTIFICATE-----\n"
    bundled = [f"{text}{end}" for text in AUTHORITIES.read_text().split(end) if "BEGIN CERTIFICATE" in text]
    return [text for text in bundled if _bare(text) not in packaged]


def _bare(certificate: str) -> str:
    return "".join(certificate.partition("-----BEGIN")[2].split())


if __name__ == "__main__":
    sys.stdout.write(f"{image()}\n")
