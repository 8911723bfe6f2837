"""
Records a host's packets into a pcap file until stdin ends: ``python -m btgames.agents.capture INTERFACE FILE``.

Of each packet the first 128 bytes are kept: headers and the beginning of a peer message, which is what the author of a
client wants to see. The first line on stdout is a ready line as in talk.py. Format: libpcap's classic one, nanoseconds.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time

from btgames.agents.talk import say

SNAP_BYTES = 128
MOST_BYTES = 1 << 28
"""
Of a file: 256 MiB, about two million packets. What comes later is not kept.
"""

_MAGIC_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1
_ETH_P_ALL = 3


def main() -> int:
    """Capture; return 0 when stdin ended."""
    interface, path = sys.argv[1:3]
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    packets.bind((interface, 0))
    with packets, open(path, "wb") as file:  # noqa: PTH123 - one import less
        file.write(struct.pack("<IHHiIII", _MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAP_BYTES, _LINKTYPE_ETHERNET))
        say({"ready": True})
        buffer = bytearray(1 << 16)
        view = memoryview(buffer)
        sources = [0, packets.fileno()]
        # When stdin has ended, what is queued already is still taken in.
        while ready := select.select(sources, [], [], None if 0 in sources else 0)[0]:
            if 0 in ready:
                sources.remove(0)
                continue
            length = packets.recv_into(buffer)
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            kept = min(length, SNAP_BYTES)
            if file.tell() < MOST_BYTES:
                file.write(struct.pack("<IIII", seconds, nanoseconds, kept, length))
                file.write(view[:kept])
    return 0


if __name__ == "__main__":
    sys.exit(main())
