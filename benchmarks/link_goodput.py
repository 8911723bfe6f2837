"""
What a shaped link really carries: TCP goodput against the stated rate, both directions, by our probe and by iperf3.

TCP carries 1448 bytes of payload in a packet of 1514 on the wire, so 0.957 of the stated rate is all there is.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone needs no installation

from btgames.hosts import Agent
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed

if TYPE_CHECKING:
    from btgames.hosts import Host

RATES_MBIT = (10.0, 100.0, 250.0, 1000.0)
WANTED = 0.957
TOLERANCE = 0.02
SETTLE_S = 0.5
SECONDS = 2.5


def goodput_mbit(sender: Host, receiver: Host, *, seconds: float = SECONDS) -> tuple[float, int]:
    """Return TCP goodput from one host to another in Mbit/s, by our probe, and how many segments were resent."""
    with Agent(receiver, "stream") as sink, Agent(sender, "stream") as source:
        port = sink.ask("listen")["port"]
        sink.tell("receive", settle_s=SETTLE_S)
        sent = source.ask("send", address=receiver.address, port=port, seconds=seconds, timeout_s=seconds + 10)
        received = sink.hear(timeout_s=10)
        if received is None:
            raise TimeoutError("the stream did not end")
        return float(received["mbit"]), int(sent["resent_segments"])


def iperf3_mbit(sender: Host, receiver: Host, *, seconds: float = SECONDS) -> float:
    """Return the same by iperf3, which must be installed."""
    server = receiver.start(["iperf3", "--server", "--one-off", "--forceflush"])
    try:
        while b"listening" not in (line := server.receive(10) or b""):
            if not line:
                raise TimeoutError("iperf3 does not listen")
        client = ["iperf3", "--client", receiver.address, "--json", "--omit", "1", "--time", str(round(seconds))]
        report = json.loads(sender.run(client, timeout_s=seconds + 20).out)
        return float(report["end"]["sum_received"]["bits_per_second"]) / 1e6
    finally:
        server.stop(grace_s=0)


def measure(rate_mbit: float) -> bool:
    """Print both directions of one rate; return whether our probe found what is wanted."""
    right = True
    shaped = HostPlan("shaped", up_mbit=rate_mbit, down_mbit=rate_mbit)
    with LocalTestbed([shaped, HostPlan("free")], memory_bytes=1 << 20) as testbed:
        here, there = testbed.hosts["shaped"], testbed.hosts["free"]
        for direction, sender, receiver in (("up", here, there), ("down", there, here)):
            mbit, resent = goodput_mbit(sender, receiver)
            share = mbit / rate_mbit
            fine = abs(share / WANTED - 1) <= TOLERANCE
            right = right and fine
            other = f"{iperf3_mbit(sender, receiver) / rate_mbit:.4f}" if shutil.which("iperf3") else "-"
            verdict = "" if fine else f"  NOT within {TOLERANCE:.0%} of {WANTED}"
            print(f"{rate_mbit:6g} Mbit/s {direction:5}{share:8.4f}{other:>10}{resent:10}{verdict}", flush=True)
    return right


def main() -> int:
    """Measure every rate; exit status 1 when one is off."""
    print("link                 probe    iperf3    resent   (goodput / stated rate)")
    right = [measure(rate) for rate in RATES_MBIT]
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
