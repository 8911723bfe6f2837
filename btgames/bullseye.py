"""
CPython 2.7 as Debian 11 (bullseye) has it, unpacked beside the contestant that needs it: Debian 12 has none.

apt fetches and verifies the packages, as any user and with directories of its own: the system stays as it is. They come
from the machine's own mirror, or from Debian's archive of old releases once bullseye has moved there.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from btgames.errors import Unsupported

if TYPE_CHECKING:
    from btgames.contract import Host

_PACKAGES = (
    *("python2.7-minimal", "libpython2.7-minimal", "libpython2.7-stdlib"),
    "libpython2.7-dev",  # headers, for packages written in C
    *("libffi7", "libssl1.1"),  # Debian 12 has newer ones; what else CPython 2.7 links to, it has itself
)

_SOURCE = (
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no target=Packages]"
    " {mirror} bullseye main\n"
)

_APT = """\
APT::Update::Error-Mode "any";
Dir::State "{work}";
Dir::State::status "/dev/null";
Dir::Cache "{work}";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""
"""Proxies and the like, set in files of the system's, stay in force."""

_LIBRARIES = '''\
"""
Have the loader know the libraries that were unpacked with this Python, in a virtual environment, too.

They are no modules of Python, so each import fails, and leaves the library loaded, under the name that modules ask for.
"""
import glob
import imp
import os

for name in ("libffi.so.7", "libcrypto.so.1.1", "libssl.so.1.1"):
    for path in glob.glob(os.path.join(os.path.dirname(os.path.dirname(__file__)), "*-linux-gnu*", name)):
        try:
            imp.load_dynamic(name, path)
        except ImportError:
            pass
'''

_HEADERS = '''\
"""Have distutils find the headers where they were unpacked."""
import os

from _sysconfigdata_nd import build_time_vars

_usr = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
build_time_vars["INCLUDEPY"] = build_time_vars["CONFINCLUDEPY"] = os.path.join(_usr, "include", "python2.7")
'''


def unpack(host: Host) -> str:
    """
    Unpack CPython 2.7 into ``python2.7`` of what is installed; return the interpreter's path.

    Raises:
        Unsupported: no mirror has the packages, or none can be reached; with what apt said of the first.

    """
    root, work = f"{host.installed}/python2.7", f"{host.installed}/apt"
    _fetch_from_any(host, work)
    for deb in sorted(Path(work).glob("*.deb")):
        host.run("dpkg-deb", "--extract", deb, root)
    host.run("rm", "-r", work)
    # The one in python2.7 includes that of the architecture, by a name that only compilers for /usr find.
    (config,) = Path(root).glob("usr/include/*-linux-gnu*/python2.7/pyconfig.h")
    host.run("mv", config, f"{root}/usr/include/python2.7")
    host.put(_HEADERS, "python2.7/usr/lib/python2.7/_sysconfigdata.py")
    host.put(_LIBRARIES, "python2.7/usr/lib/python2.7/sitecustomize.py")
    python = f"{root}/usr/bin/python2.7"
    host.run(python, "-m", "compileall", "-q", f"{root}/usr/lib/python2.7")  # a race cannot write there
    return python


def _fetch_from_any(host: Host, work: str) -> None:
    """Fetch the packages into `work` from the first mirror that has them all."""
    failed = []
    for mirror in _mirrors(host):
        try:
            return _fetch(host, work, mirror)
        except Unsupported as why:
            failed.append(str(why))
            host.run("rm", "-r", work)
    reason = failed[0] if failed else "apt has no mirror"
    raise Unsupported(f"needs CPython 2.7: none is on PATH or under pyenv, and Debian 11's cannot be fetched: {reason}")


def _fetch(host: Host, work: str, mirror: str) -> None:
    host.put(_SOURCE.format(mirror=mirror), "apt/sources.list")
    env = {"APT_CONFIG": host.put(_APT.format(work=work), "apt/apt.conf")}
    host.run("apt-get", "update", env=env)
    host.run("env", f"--chdir={work}", "apt-get", "download", *_PACKAGES, env=env)


def _mirrors(host: Host) -> list[str]:
    """Return where bullseye may be: the mirrors that apt is told to use, then the archive of who made this system."""
    # Without the lists that apt keeps in /var, which are out of sight, this names what it would ask first.
    addresses = host.run("apt-get", "update", "--print-uris")
    mirrors = re.findall(r"^'(\S+)/dists/", addresses, re.MULTILINE)
    home = urlsplit(platform.freedesktop_os_release().get("HOME_URL", "")).hostname
    if home:
        mirrors.append(f"http://{home.replace('www', 'archive', 1)}/debian")
    return list(dict.fromkeys(mirrors))
