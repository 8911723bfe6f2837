"""``race --dry-run``: scenario, hosts, links and commands in words; nothing is installed or started."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, TextIO

from btgames.errors import Unsupported
from btgames.report.figures import plain
from btgames.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from btgames.contestant import Contestant
    from btgames.scenario import Loaded, SeederHost


def describe(loaded: Loaded, everyone: Sequence[Contestant], heats: int, out: TextIO) -> int:
    """Write what a race would do. Only the modules' download() is called, to learn the commands."""
    scenario = loaded.scenario
    client = scenario.client
    floor = "" if scenario.floor_s is None else f", at least {scenario.floor_s:.3g} s for the links"
    lines = [
        f"scenario    {loaded.name}: {scenario.description}",
        f"payload     {scenario.payload.size} bytes, {scenario.num_pieces} pieces{floor}",
        f"hosts       tracker    {scenario.tracker}, link not shaped",
        *(f"            {_seeder(host, scenario.seeder)}" for host in scenario.seeder_hosts),
        f"            client     up {_rate(client.up_mbit)}, down {_rate(client.down_mbit)}",
        f"heats       {heats} of each contestant, {scenario.time_limit_s:g} s at most each",
        "commands",
    ]
    lines += [f"            {one.label}: {_command(one)}" for one in everyone]
    out.write("\n".join(lines) + "\n")
    return 0


def _seeder(host: SeederHost, program: str) -> str:
    return f"{host.name:<10} {program}, up {_rate(host.up_mbit)}, down {_rate(host.down_mbit)}"


def _rate(mbit: float | None) -> str:
    return "not shaped" if mbit is None else f"{mbit:g} Mbit/s"


def _command(one: Contestant) -> str:
    try:
        with Wrapper(one) as wrapper:
            command = wrapper.download("DESK/test.torrent", "INTO")
    except Unsupported as why:
        return plain(f"unsupported: {why}")
    return plain(shlex.join(command.argv))
