"""Contestants' modules for tests: written to a file, entered as a user would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btgames import contestant

if TYPE_CHECKING:
    from pathlib import Path

    from btgames.contestant import Contestant

HEAD = "import os, sys, time\nfrom btgames.contract import Command, NeedsPackages, Unsupported, apt\n"
INSTALL = 'def install(host, version="1"): pass\n'
TORRENTFILE = "def torrentfile(host, torrent): return host.put(torrent.data, 'test.torrent')\n"
DOWNLOAD = "def download(torrentfile, into): return Command('get', torrentfile, into)\n"


def entry(
    folder: Path,
    *,
    name: str = "mine",
    head: str = HEAD,
    install: str = INSTALL,
    torrentfile: str = TORRENTFILE,
    download: str = DOWNLOAD,
    label: str | None = None,
    source: Path | None = None,
    version: str | None = None,
) -> Contestant:
    """Return the entry of a module made of these parts."""
    path = folder / f"{name}.py"
    path.write_text(head + install + torrentfile + download, encoding="utf-8")
    return contestant.read(path, label=label or name, spec=f"./{name}.py", version=version, source=source)
