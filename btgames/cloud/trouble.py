"""What the engine, AWS and our program say when something is wrong, in words that say what to do: trouble.yaml."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import yaml

from btgames import places
from btgames.errors import UserError

ERROR_LINES = 3  # of what nobody has words for, from the end
_NOISE = re.compile(
    r"update failed|preview failed|an unhandled error occurred|.*: resource .* failed|code: \d+|std(?:out|err):"
)
_HEAD = re.compile(r"^\s*\|?\s*(?:.* )?error: ")


def explain(said: str, stack: str) -> UserError:
    """Return what to tell the user of what was said: our words for it, or the last errors as they are."""
    lines = [_HEAD.sub("", line).strip() for line in said.splitlines()]
    for pattern, words in _table():
        if found := pattern.search("\n".join(lines)):
            caught = next((each for each in found.groups() if each), "")
            known = {"stack": stack or "NAME", "inv": places.COMMAND, "0": found[0], "1": caught}
            for name, text in known.items():
                words = words.replace(f"{{{name}}}", text)  # noqa: PLW2901 - no str.format: what was said has braces
            return UserError(words.strip())
    errors = [_HEAD.sub("", line).strip() for line in said.splitlines() if _HEAD.match(line)]
    telling = [line for line in errors or lines if line and not _NOISE.match(line)]
    return UserError("\n".join(list(dict.fromkeys(telling))[-ERROR_LINES:]) or "Pulumi failed and did not say why")


@functools.cache
def _table() -> list[tuple[re.Pattern[str], str]]:
    entries = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return [(re.compile(entry["says"]), entry["tell"]) for entry in entries]
