"""
The words of the command line, checked before invoke's parser sees them.

What that parser rejects tersely (``No idea what 'rcae' is!``) or lets pass in silence (``--contestant`` at the end of
the line) is answered here by a plain line with the nearest name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from btgames.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke.parser.context import ParserContext

# Of invoke's own options these make sense here; the others are about running shell commands.
OFFERED = ("--help", "-h", "--list", "-l", "--version", "-V")


def whole(option: str, text: str | None, *, least: int, most: int) -> int | None:
    """Return the whole number that the user wrote after `option`; None when the option was not given."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise UserError(f"{option}: found {_short(text)}; allowed is a whole number from {least} to {most}")
    return number


def remainder(argv: Sequence[str] | None = None) -> list[str]:
    """Return what stands after ``--``, word by word; invoke keeps it only as one string."""
    words = list(sys.argv if argv is None else argv)
    return words[words.index("--") + 1 :] if "--" in words else []


def check(words: Sequence[str], tasks: Mapping[str, ParserContext], core: ParserContext) -> None:
    """
    Raise UserError for the first word that is no task, option or value.

    `words` is the command line without the program's name, `tasks` the options of each task, `core` invoke's own.
    """
    context, waiting = core, ""
    given: set[str] = set()
    places: list[str] = []  # names of the words, no options, that the task still wants
    for word in words:
        option, equals, value = word.partition("=")
        is_option = _is_option(option, context)
        if is_option if waiting else word == "--":
            break
        if waiting:
            waiting = ""
        elif is_option:
            waiting = _take(option, value if equals else None, context, core, given)
        elif word.startswith("-"):
            known = ["--help", *context.flags, *context.inverse_flags] if context.name else ["--help", "--list"]
            raise UserError(f"{_of(context)}unknown option {_short(option)}{nearest(option, known)}")
        elif places:
            places.pop(0)
        elif word in tasks:
            context, given = tasks[word], set()
            places = [str(argument.name) for argument in context.positional_args]
        else:
            raise UserError(f"unknown task {_short(word)}{nearest(word, tasks)}")
    if waiting:
        raise UserError(f"{_of(context)}{waiting} needs a value")
    if places and not {"--help", "-h"} & {*words}:
        raise UserError(f"{_of(context)}{places[0].upper()} is missing")


def _is_option(word: str, context: ParserContext) -> bool:
    return word in context.inverse_flags or word in OFFERED or (bool(context.name) and word in context.flags)


def _take(option: str, value: str | None, context: ParserContext, core: ParserContext, given: set[str]) -> str:
    """Check one known option and its ``=value``; return it when its value is still to come, else an empty string."""
    argument = next((level.flags[option] for level in (context, core) if option in level.flags), None)
    if argument is None or not argument.takes_value:  # None: the --no- form of a switch
        if value is not None:
            raise UserError(f"{_of(context)}{option} takes no value")
        return ""
    if option in given and argument.kind is not list:
        raise UserError(f"{_of(context)}{option} is given twice")
    given.add(option)
    if value is not None and _is_option(value, context):
        raise UserError(f"{_of(context)}{option} needs a value")
    return "" if argument.optional or value is not None else option


def _of(context: ParserContext) -> str:
    return f"{context.name}: " if context.name else ""


def _short(text: str) -> str:
    """Quote what the user wrote, on one line and not for ever."""
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004 - what fits beside the rest of a line
