"""
The referee tracker: tells peers of each other, and keeps a log that is evidence.

``python -m btgames.agents.tracker --bind ADDRESS [--port N] [--udp-port N] [--interval S]`` says
``{"ready": true, "http_port": N, "udp_port": N}`` and then takes, as talk.py has it:

* ``{"do": "expect", "info_hash": HEX}``: forget everything, serve this info hash only;
* ``{"do": "log"}``: ``{"announces": [...], "dropped": count}``, every announce since `expect`, refused ones included:
  the fields of `tracker_swarm.Announce`, and `status`, which is ``ok`` or the reason for refusing.

One heat needs one info hash; anything else that asks gets a `failure reason`, and stands in the log.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from btgames.agents import talk
from btgames.agents.tracker_http import HttpFront
from btgames.agents.tracker_swarm import Swarm
from btgames.agents.tracker_udp import UdpFront

INTERVAL_S = 30
"""
When peers are asked to announce again, and not sooner. Trackers of the wild say half an hour, to save themselves work;
in a race that would mean never, and a client that lost its only peer, or asked at a bad moment, would wait for its time
limit. Every 30 s costs a well-behaved client next to nothing, and most heats are over by then.
"""


async def serve(swarm: Swarm, address: str, http_port: int, udp_port: int, interval_s: int) -> None:
    """
    Serve the network from this thread and stdin from another, until stdin ends.

    Raises:
        OSError: the address or a port cannot be had.

    """

    def expect(request: dict[str, Any]) -> dict[str, Any]:
        swarm.expect(bytes.fromhex(request["info_hash"]))
        return {}

    ports = {
        "http_port": await HttpFront(swarm, interval_s).start(address, http_port),
        "udp_port": await UdpFront(swarm, interval_s).start(address, udp_port),
    }
    await asyncio.to_thread(talk.serve, {"expect": expect, "log": lambda _: swarm.log()}, **ports)


def main() -> int:
    """Serve until stdin ends; the exit status is 1 where a port cannot be had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--bind", required=True, help="the IPv4 address to serve at")
    parser.add_argument("--port", type=int, default=0, help="of HTTP; 0: any free one")
    parser.add_argument("--udp-port", type=int, help="of UDP; 0: any free one (default: as --port)")
    parser.add_argument("--interval", type=int, default=INTERVAL_S, help="seconds between announces (default: 30)")
    arguments = parser.parse_args()
    udp_port = arguments.port if arguments.udp_port is None else arguments.udp_port
    try:
        asyncio.run(serve(Swarm(), arguments.bind, arguments.port, udp_port, arguments.interval))
    except OSError as error:
        talk.say({"error": f"cannot serve at {arguments.bind}: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
