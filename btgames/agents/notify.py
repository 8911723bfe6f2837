"""Tells systemd that a program which it started is ready: sd_notify(3), for units of ``Type=notify``."""

from __future__ import annotations

import os
import socket


def ready() -> None:
    """Say so, where systemd wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b"READY=1", f"\0{address[1:]}" if address.startswith("@") else address)
