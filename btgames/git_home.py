"""A client's source from its public home, at a pinned commit, or from a mirror that the user's git settings name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from btgames.errors import CommandFailed, Unsupported
from btgames.recipes import apt

if TYPE_CHECKING:
    from btgames.contract import Host

_FETCH_S = 300.0

_USERS_GIT = r"^(url\..*\.insteadof|https?\.(.*\.)?(proxy|sslcainfo|sslcapath))$"
"""Of the user's git settings, what decides where a fetch goes: mirrors, proxies, certificates."""

_SETTINGS = "settings"
"""Folder for them, while it fetches."""

_SECRET = re.compile(r"://[^/@]+@")


def git(host: Host, url: str, commit: str, source: str | None = None, folder: str = "src") -> str:
    """
    Put a client's source into `folder` of what is installed: a commit of its public home, or the user's own checkout.

    The user's ``url.<base>.insteadOf`` holds, so that a mirror, or a clone on this machine, stands in for a home.

    Args:
        host: as given to install().
        url: of the home.
        commit: all 40 digits, or the name of a branch or tag.
        source: the user's ``:SOURCE_DIR``, as given to install(); None: the home is asked.
        folder: where to put it, beneath what is installed.

    Returns:
        The folder's path.

    Raises:
        NeedsPackages: git is missing.
        Unsupported: the home cannot be reached, or has no such commit; says what git said.

    """
    target = f"{host.installed}/{folder}"
    if source is not None:
        _copy(host, source, target)
        return target
    apt(host, "git", program="git")
    settings = _git_settings()
    for mirror in _here(settings, url):
        host.needs(mirror)
    env = {"GIT_CONFIG_GLOBAL": host.put(_git_config(settings), f"{_SETTINGS}/gitconfig"), "GIT_TERMINAL_PROMPT": "0"}
    host.run("git", "init", "--quiet", target, env=env)
    try:
        host.run("git", "-C", target, "fetch", "--quiet", "--depth=1", url, commit, env=env, timeout_s=_FETCH_S)
    except CommandFailed as why:
        raise Unsupported(f"{url} does not give {commit[:12]}: {str(why).partition(': ')[2] or why}") from why
    host.run("git", "-C", target, "checkout", "--quiet", "--detach", "FETCH_HEAD", env=env)
    host.run("rm", "-rf", _SETTINGS)
    return target


def _copy(host: Host, source: str, target: str) -> None:
    """Copy a checkout, but for its history: Git keeps parts of that for its owner's eyes, and an install is nobody."""
    host.run("mkdir", target)
    beneath = ("-mindepth", "1", "-maxdepth", "1", "!", "-name", ".git")
    host.run("find", source, *beneath, "-exec", "cp", "-r", "-t", target, "{}", "+")
    host.run("chmod", "-R", "u+w", target)  # to be built in


def _git_settings() -> list[tuple[str, str]]:
    """Return what the user's git is told of mirrors and proxies, as it would hold in any new clone; no secrets."""
    found = subprocess.run(
        ["git", "config", "--null", "--get-regexp", _USERS_GIT],
        capture_output=True, text=True, check=False, cwd="/", timeout=_FETCH_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    pairs = [(name, value) for name, _, value in (line.partition("\n") for line in found.stdout.split("\0")) if name]
    return [(name, value) for name, value in pairs if not _SECRET.search(name + value)]


def _git_config(settings: list[tuple[str, str]]) -> str:
    """Return settings as a file of git's; a clone on this machine may belong to anyone."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = ["[safe]", "\tdirectory = *"]
    for name, value in settings:
        section, _, rest = name.partition(".")
        subsection, _, key = rest.rpartition(".")
        lines += [f"[{section} {quoted(subsection)}]" if subsection else f"[{section}]", f"\t{key} = {quoted(value)}"]
    return "\n".join([*lines, ""])


def _here(settings: list[tuple[str, str]], url: str) -> list[str]:
    """Return the folder on this machine that stands in for a home, if one does: the longest match wins, as in git."""
    bases = [
        (len(value), name.partition(".")[2].rpartition(".")[0] + url[len(value) :])
        for name, value in settings
        if name.endswith(".insteadof") and url.startswith(value)
    ]
    path = max(bases)[1].removeprefix("file://") if bases else url.removeprefix("file://")
    return [path] if Path(path).is_dir() else []
