"""
A link that takes its time: two TUN interfaces, and a thread that carries packets from one to the other.

For kernels without netem. It carries some ten thousand packets a second: enough for SSH, not for a race.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import threading
import time
from collections import deque

_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65_536


def link(name: str, pid: int, other: str, one_way_s: float) -> None:
    """
    Make a link between our network namespace, where it is `name`, and that of a process, where it is `other`.

    It lives as long as this process.

    Raises:
        OSError: there is a link of that name.

    """
    near, far = _interface(name), _interface(f"{name}far")
    argv = ["ip", "link", "set", f"{name}far", "netns", str(pid), "name", other]
    subprocess.run(argv, check=True, capture_output=True)
    threading.Thread(target=_carry, args=(near, far, one_way_s), daemon=True).start()


def _interface(name: str) -> int:
    descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _carry(near: int, far: int, one_way_s: float) -> None:
    under_way: deque[tuple[float, int, bytes]] = deque()  # when it arrives, where, what
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([near, far], [], [], wait)
        for descriptor in ready:
            packet = os.read(descriptor, _LARGEST)
            under_way.append((time.monotonic() + one_way_s, far if descriptor == near else near, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, where, packet = under_way.popleft()
            try:
                os.write(where, packet)
            except OSError:  # the interface is down, as the region's is at its start and at its end
                continue
