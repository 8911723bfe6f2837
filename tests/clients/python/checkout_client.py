"""A small BitTorrent client as an author's checkout has it: ``checkout-client TORRENT INTO``."""

from __future__ import annotations

import sys

from _client import Torrent, fetch, save


def main() -> None:
    """Download, and end."""
    torrent = Torrent(sys.argv[1])
    save(torrent, sys.argv[2], fetch(torrent))
