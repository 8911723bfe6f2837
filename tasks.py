"""
The command line of Bittorrent Games: names, help, defaults; what a task does is in the module that it calls.

``./inv TASK`` in a clone, ``btgames TASK`` when installed, or ``invoke TASK`` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from btgames.arguments import remainder, whole
from btgames.program import command

if TYPE_CHECKING:
    from invoke.context import Context

CONTESTANT = "who races, [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]; repeatable"
SCENARIO = "a name that `scenarios` lists, or the path of a YAML file"
STACK = "the fleet of this Pulumi stack; the default is the selected one"
WHERE = {
    "testbed": "auto (the fleet, if there is one; else this machine), local, cloud, or the file of an inventory",
    "stack": STACK,
    "host": "a machine of your own, ROLE=USER@ADDRESS; repeatable: tracker, seeder, client",
    "key": "private key for --host; the default are those that ssh would offer",
}
SPREAD = "deal the contestants among all client machines, one heat at a time all the same"


@command(
    iterable=["contestant", "host"],
    help={
        "scenario": SCENARIO,
        "contestant": f"{CONTESTANT}; the default is four that need no root",
        "heats": "heats of each contestant; the default is the scenario's",
        "card": "file of the race card; the default is results/DATE-SCENARIO-ID.jsonl",
        "keep": "folder for logs, torrent, download and packet capture of each heat",
        "dry-run": "print scenario, hosts, links and commands; start nothing",
        "seed": "of the random order of contestants in each round",
        "retire": "a contestant that fails in its first two heats does not run the others",
        "quiet": "print the leaderboard only",
        **WHERE,
        "spread": SPREAD,
    },
)
def race(
    _: Context,
    *,
    scenario: str = "small",
    contestant: list[str] | None = None,
    heats: str | None = None,
    card: str | None = None,
    keep: str | None = None,
    dry_run: bool = False,
    seed: str | None = None,
    retire: bool = True,
    quiet: bool = False,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
    spread: bool = False,
) -> int:
    """Race contestants on a scenario."""
    heats_each = whole("--heats", heats, least=1, most=1000)
    order_seed = whole("--seed", seed, least=0, most=2**63 - 1)
    from btgames import race
    from btgames.testbeds.wish import Wish

    return race.command(
        scenario=scenario,
        contestants=contestant or [],
        heats=heats_each,
        card=card,
        keep=keep,
        dry_run=dry_run,
        seed=order_seed,
        retire=retire,
        quiet=quiet,
        wish=Wish(testbed, stack, tuple(host or ()), key, spread),
    )


@command(
    iterable=["card"],
    help={
        "card": "a race card; repeatable; the default is the newest of results/",
        "format": "table, markdown, csv or json",
    },
)
def leaderboard(_: Context, *, card: list[str] | None = None, format: str = "table") -> int:  # noqa: A002 - the option's name
    """Rank the contestants of race cards."""
    from btgames import leaderboard

    return leaderboard.command(cards=card or [], format=format, results_dir=Path("results"), out=sys.stdout)


@command(
    iterable=["card", "host"],
    help={
        "heats": "heats of each contestant on each size; the default is the scenario's",
        "card": "race cards of an earlier board, to print its tables again; repeatable",
        "format": "table or markdown",
        "quiet": "print the tables only",
        **WHERE,
    },
)
def board(
    _: Context,
    *,
    heats: str | None = None,
    card: list[str] | None = None,
    format: str = "table",  # noqa: A002 - the option's name
    quiet: bool = False,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Race the contest of 2013 again, with libtorrent, aria2 and webtorrent."""
    heats_each = whole("--heats", heats, least=1, most=1000)
    from btgames import rematch
    from btgames.testbeds.wish import Wish

    wish = Wish(testbed, stack, tuple(host or ()), key)
    return rematch.command(cards=card or [], heats=heats_each, format=format, quiet=quiet, wish=wish)


@command(iterable=["contestant", "host"], help={"contestant": f"{CONTESTANT}; none: the machine itself", **WHERE})
def check(
    _: Context,
    *,
    contestant: list[str] | None = None,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Examine this machine, or a contestant: a tiny heat, judged in words."""
    from btgames import doctor
    from btgames.testbeds.wish import Wish

    return doctor.command(contestants=contestant or [], wish=Wish(testbed, stack, tuple(host or ()), key))


@command(
    iterable=["contestant", "host"],
    help={
        "contestant": f"{CONTESTANT}; `quick`: all that take under two minutes",
        "yes": "do not ask before apt runs",
        **WHERE,
    },
)
def install(
    _: Context,
    *,
    contestant: list[str] | None = None,
    yes: bool = False,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Install contestants ahead of a race, system packages included."""
    from btgames import install_command
    from btgames.testbeds.wish import Wish

    return install_command.command(contestant or [], yes=yes, wish=Wish(testbed, stack, tuple(host or ()), key))


@command(iterable=["contestant"], help={"contestant": f"{CONTESTANT.replace('who races', 'whom')}; `all`"})
def uninstall(_: Context, *, contestant: list[str] | None = None) -> int:
    """Remove what was installed for contestants on this machine, whatever version or source."""
    from btgames import uninstalling

    return uninstalling.command(contestant or [])


@command(help={"scenario": SCENARIO, "contestant": "one to be installed, its command printed"})
def shell(_: Context, *, scenario: str = "small", contestant: str | None = None) -> int:
    """Open a shell on the client host, the swarm alive beside it."""
    from btgames import shell

    return shell.command(scenario=scenario, contestant=contestant)


@command(
    iterable=["add"],
    help={
        "stack": f"{STACK}; where none is selected, `dev` is made",
        "add": "a single machine, ROLE:NAME; repeatable: client:debug",
        "seeders": "machines of seeders; like the other settings it is kept with the stack",
        "clients": "machines on which contestants race",
        "hours": "hours to live; other ones than before mean new machines",
        "region": "AWS's region; other settings: `pulumi config set KEY VALUE`, docs/cloud.md",
        "yes": "do not ask, whatever it costs or replaces",
    },
)
def up(
    _: Context,
    *,
    stack: str | None = None,
    add: list[str] | None = None,
    seeders: str | None = None,
    clients: str | None = None,
    hours: str | None = None,
    region: str | None = None,
    yes: bool = False,
) -> int:
    """Make a fleet of machines in the cloud, or bring it up to its settings."""
    from btgames.cloud import up

    wanted = {"seeders": seeders, "clients": clients, "hours": hours, "region": region}
    return up.command(stack=stack, wanted=wanted, added=add or [], yes=yes)


@command(help={"stack": STACK, "remove": "the stack and its settings, too"})
def down(_: Context, *, stack: str | None = None, remove: bool = False) -> int:
    """End the fleet: machines, network, key."""
    from btgames.cloud import down

    return down.command(stack=stack, remove=remove)


@command(help={"stack": STACK})
def hosts(_: Context, *, stack: str | None = None) -> int:
    """List the machines of the fleet: addresses, state, time left, cost."""
    from btgames.cloud import hosts

    return hosts.command(stack=stack)


@command(help={"machine": "its name, as `hosts` lists it", "stack": STACK})
def ssh(_: Context, *, machine: str, stack: str | None = None) -> int:
    """Log in to a machine of the fleet; what follows -- runs there."""
    from btgames.cloud import login

    return login.command(stack=stack, machine=machine, words=remainder())


@command(help={"machine": "its name, as `hosts` lists it", "stack": STACK})
def terminate(_: Context, *, machine: str, stack: str | None = None) -> int:
    """End one machine of the fleet, for good."""
    from btgames.cloud import up

    return up.terminate(stack=stack, machine=machine)


@command(help={"machine": "its name, as `hosts` lists it", "stack": STACK})
def replace(_: Context, *, machine: str, stack: str | None = None) -> int:
    """End one machine of the fleet and make a pristine one in its place."""
    from btgames.cloud import up

    return up.replace(stack=stack, machine=machine)


@command(
    help={
        "region": "AWS's region; the default are those of the stacks, and your own",
        "yes": "end them unasked",
        "living": "what still has time to live, too: it may be a colleague's",
    }
)
def leftovers(_: Context, *, region: str | None = None, yes: bool = False, living: bool = False) -> int:
    """Find what no stack owns any more in your AWS account, and offer to end it."""
    from btgames.cloud import leftovers

    return leftovers.command(region=region, yes=yes, living=living)


@command(iterable=["host"], help={"stop": "end it", **WHERE})
def tracker(
    _: Context,
    *,
    stop: bool = False,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Start a tracker that runs on, and print its announce address."""
    from btgames.by_hand import tracker
    from btgames.testbeds.wish import Wish

    return tracker.command(stop=stop, wish=Wish(testbed, stack, tuple(host or ()), key))


@command(
    iterable=["host"],
    help={
        "file": "the file to be seeded, in the place of what was seeded before",
        "torrent": "where to leave its torrent",
        "reach-me": "open tracker and seeder to this computer, until --stop",
        "stop": "end the seeding",
        **WHERE,
    },
)
def seed(
    _: Context,
    *,
    file: str | None = None,
    torrent: str = "test.torrent",
    reach_me: bool = False,
    stop: bool = False,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Seed a file from the seeder machine, and leave its torrent here."""
    from btgames.by_hand import seed
    from btgames.testbeds.wish import Wish

    wish = Wish(testbed, stack, tuple(host or ()), key)
    return seed.command(file=file, torrent=torrent, reach_me=reach_me, stop=stop, wish=wish)


@command(
    iterable=["host"],
    help={
        "contestant": "who downloads, [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]",
        "torrent": "what, as `seed` leaves it",
        "limit": "seconds after which it is ended; the default is 600",
        **WHERE,
    },
)
def download(
    _: Context,
    *,
    contestant: str | None = None,
    torrent: str = "test.torrent",
    limit: str | None = None,
    testbed: str = "auto",
    stack: str | None = None,
    host: list[str] | None = None,
    key: str | None = None,
) -> int:
    """Have a contestant download a torrent, timed from exec to exit."""
    limit_s = whole("--limit", limit, least=1, most=86_400)
    from btgames.by_hand import download
    from btgames.testbeds.wish import Wish

    wish = Wish(testbed, stack, tuple(host or ()), key)
    return download.command(contestant=contestant, torrent=torrent, limit_s=limit_s or download.LIMIT_S, wish=wish)


@command()
def contestants(_: Context) -> int:
    """List the contestants."""
    from btgames import listing

    return listing.contestants()


@command()
def scenarios(_: Context) -> int:
    """List the scenarios."""
    from btgames import listing

    return listing.scenarios()


@command(
    name="test",
    help={
        "suite": "all, unit, testbed, cloud, all-contestants, or the name of a module under test",
        "k": "only tests whose names match this expression of pytest's",
    },
)
def run_tests(_: Context, *, suite: str = "all", k: str | None = None) -> int:
    """Run the tests; what follows -- goes to pytest as it is."""
    from btgames import development

    return development.test(suite=suite, expression=k, extra=remainder())


@command()
def lint(_: Context) -> int:
    """Check style and types of everything."""
    from btgames import development

    return development.lint()


@command(help={"only": "the name of one benchmark"})
def bench(_: Context, *, only: str | None = None) -> int:
    """Run the benchmarks and print their figures."""
    from btgames import development

    return development.bench(only=only)
