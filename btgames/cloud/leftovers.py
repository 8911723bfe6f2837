"""``leftovers``: what costs money in AWS and belongs to no stack any more, ended if the user agrees."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from typing import TYPE_CHECKING

from btgames import places
from btgames.cloud import engine
from btgames.cloud.strays import end, strays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from btgames.cloud.strays import Stray

DEFAULT_REGION = "us-east-1"  # infra/config.py's


def command(*, region: str | None, yes: bool, living: bool) -> int:
    """
    List what no stack owns any more, and end it if the user agrees; return 0.

    What still has time to live is ended with `living` only: it may be somebody else's fleet in the same account, of a
    stack that has even the same name as one of ours.

    Raises:
        UserError: AWS cannot be asked.
        GamesError: something could not be ended; what it was, and why.

    """
    owned, known = _stacks()
    regions = [region] if region else sorted({*known, _own_region()})
    found = [stray for each in regions for stray in strays(each)]
    now = dt.datetime.now(dt.UTC)
    left = [(stray, why) for stray in found if (why := reason(stray, owned, now))]
    if not left:
        print(f"Nothing is left over in {', '.join(regions)}; {len(found)} things there belong to stacks")
        return 0
    for stray, why in left:
        print(f"{stray.region}: {stray.words}: {why}")
    ending = [stray for stray, _ in left if living or not lives(stray, now)]
    if len(ending) < len(left):
        print(
            f"{len(left) - len(ending)} of these still have time to live, and may be a colleague's; "
            f"{places.COMMAND} leftovers --living offers to end these, too"
        )
    if ending and (yes or _agreed(len(ending))):
        end(ending, lambda line: print(f"  {line}", flush=True))
    return 0


def reason(stray: Stray, owned: Mapping[str, set[str]], now: dt.datetime) -> str:
    """
    Return why a thing is left over; empty when it is not.

    Args:
        stray: the thing.
        owned: the ids that the state of each stack of this computer knows, by stack.
        now: the time.

    """
    stack = stray.tags.get("stack", "")
    if any(stray.id in ids for ids in owned.values()):
        return ""
    if stack in owned:
        return f"stack {stack} does not know it"
    whose = f"stack {stack or '?'} of {stray.tags.get('owner', '?')}"
    if lives(stray, now):
        return f"{whose} is none of yours here; it lives until {stray.tags['expires_at']}"
    return f"{whose} is gone, its time is over"


def lives(stray: Stray, now: dt.datetime) -> bool:
    """Tell whether a thing's time is not over yet."""
    try:
        return dt.datetime.fromisoformat(stray.tags.get("expires_at", "")) > now
    except ValueError:
        return False


def _stacks() -> tuple[dict[str, set[str]], set[str]]:
    """Return the ids that the state of each stack knows, by stack, and the regions that they are in."""
    owned: dict[str, set[str]] = {}
    regions: set[str] = set()
    for entry in engine.stacks():
        name = str(entry["name"])
        exported = json.loads(engine.ask("stack", "export", "--stack", name, stack=name))
        resources = (exported.get("deployment") or {}).get("resources") or []
        owned[name.rpartition("/")[2]] = {str(each["id"]) for each in resources if each.get("id")}
        regions |= {
            str(each["inputs"]["region"])
            for each in resources
            if each["type"] == "pulumi:providers:aws" and "region" in each.get("inputs", {})
        }
    return owned, regions


def _own_region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _agreed(number: int) -> bool:
    if not sys.stdin.isatty():
        print(f"{places.COMMAND} leftovers --yes ends {'it' if number == 1 else 'them'}")
        return False
    return input(f"End {'it' if number == 1 else 'them'}? [y/N] ").strip().lower() in {"y", "yes"}
