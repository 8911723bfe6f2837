"""
Small YAML files that people write: read strictly, every mistake told with its line.

The YAML here is the part of YAML that means what it looks like: mappings, lists, text, plain decimal numbers, true,
false and null. What YAML 1.1 turns into something else behind the writer's back (``yes``, ``1_000``, ``017``,
``12:30``, ``.nan``, dates) stays the text it is, and so is refused wherever a number is wanted. Anchors, aliases and
tags, the means of bombs, are refused everywhere, and so is a key that is given twice.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from btgames.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LIMIT_BYTES = 64 * 1024  # a file that a person wrote for us is a hundredth of this
_DEEPEST = 8  # levels of nesting; twice what any file of ours has
_SHOWN_CHARS = 48  # of a value that is quoted in a message

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_SURROGATE = re.compile("[\ud800-\udfff]")

Loc = tuple[int | str, ...]
"""
Where a value stands: the keys and list indices that lead to it.
"""


class Place(NamedTuple):
    """Where a value stands in the text (lines count from 1), and how it is written there."""

    line: int
    found: str


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data: dicts, tuples, str, int, float, bool, None. `mistakes` are those seen so far."""

    path: Path
    text: str
    data: dict[str, Any]
    places: Mapping[Loc, Place]
    mistakes: tuple[tuple[int, str], ...]  # (line, words)


class _Refused(Exception):  # noqa: N818 - a word of this file; it never leaves it
    """The text cannot be read on from here."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


def shown(value: str) -> str:
    """Return `value` fit for one line of a terminal: short, and free of control characters."""
    clean = value if value.isprintable() else ascii(value)[1:-1]
    return clean if len(clean) <= _SHOWN_CHARS else clean[: _SHOWN_CHARS - 3] + "..."


def read_text(path: Path) -> str:
    """
    Return the text of a small regular file, untouched.

    Raises:
        UserError: missing, not a regular file, not readable, above `LIMIT_BYTES` (it is not read then), not UTF-8.

    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # looked at before it is opened: opening a FIFO would wait for a writer
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UserError(f"{path}: is {kind}; a YAML file is wanted")
        if status.st_size > LIMIT_BYTES:
            raise UserError(f"{path}: has {status.st_size} bytes; at most {LIMIT_BYTES} are allowed")
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        beside = (each.name for each in path.parent.glob("*.y*ml"))
        raise UserError(f"{path}: no such file{nearest(path.name, beside)}") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise UserError(f"{_one_line(str(path))}: not a file name") from error
    if len(content) > LIMIT_BYTES:
        raise UserError(f"{path}: has more than {LIMIT_BYTES} bytes, the most that is allowed")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not text: byte {error.start} is not UTF-8") from error


def parse(path: Path, text: str) -> Document:
    """
    Return the text of `path` as plain data with the place of each value.

    Raises:
        UserError: not YAML, or not the part of YAML that is read here; one line, with its line number.

    """
    reader = _Reader()
    try:
        data = reader.document(text)
    except _Refused as error:
        raise UserError(f"{path}, line {error.line}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        tab = mark and text[mark.index : mark.index + 1] == "\t"
        words = "a tab; YAML wants spaces there" if tab else f"not YAML: {error.problem}"
        raise UserError(f"{path}, line {mark.line + 1 if mark else 1}: {_one_line(words)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {line}: not text: it holds a control character") from error
    except (ValueError, ArithmeticError) as error:  # PyYAML trips over these itself
        raise UserError(f"{path}: not YAML: an escape such as \\UFFFFFFFF, or a version, is out of range") from error
    return Document(path, text, data, reader.places, tuple(reader.mistakes))


def _one_line(words: str) -> str:
    one_line = " ".join(words.split())
    return one_line if one_line.isprintable() else ascii(one_line)[1:-1]


@dataclass
class _Reader:
    """Turns PyYAML's events into data. Events, because they come one by one: a bomb is refused as it is read."""

    places: dict[Loc, Place] = field(default_factory=dict)
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def document(self, text: str) -> dict[str, Any]:
        """Return the one mapping that `text` consists of."""
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        documents = (event for event in events if not isinstance(event, yaml.StreamStartEvent))
        if isinstance(next(documents), yaml.StreamEndEvent):
            raise _Refused(1, "the file is empty")
        data = self.value(next(documents), documents, ())
        if data is None:
            raise _Refused(1, "the file is empty")
        if not isinstance(data, dict):
            raise _Refused(self.places[()].line, f"found {self.places[()].found}; fields are wanted, one a line")
        next(documents)  # the document's end
        if not isinstance(after := next(documents), yaml.StreamEndEvent):
            raise _Refused(_line(after), "a second document begins; one is allowed")
        return data

    def value(self, event: yaml.Event, events: Iterator[yaml.Event], loc: Loc) -> Any:
        """Return the value that begins with `event`, and note the places of all its parts."""
        if getattr(event, "anchor", None) is not None:  # an alias has one too: the name it stands for
            raise _Refused(_line(event), "anchors and aliases (& and *) are not allowed; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise _Refused(_line(event), f"tags such as {shown(tag)} are not allowed")
        if len(loc) > _DEEPEST:
            raise _Refused(_line(event), f"nested deeper than {_DEEPEST} levels")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, loc)
        if isinstance(event, yaml.SequenceStartEvent):
            self.places[loc] = Place(_line(event), "a list")
            return tuple(self.value(item, events, (*loc, index)) for index, item in enumerate(_until_end(events)))
        self.places[loc] = Place(_line(event), "a group of fields")
        return self.mapping(events, loc)

    def scalar(self, event: yaml.ScalarEvent, loc: Loc) -> str | float | bool | None:
        """Return a scalar by the rules of this file: quoted is text, plain is what it looks like."""
        text: str = event.value
        if _SURROGATE.search(text):
            raise _Refused(_line(event), "not text: half of a surrogate pair")
        plain = event.style is None
        self.places[loc] = Place(_line(event), (shown(text) or "nothing") if plain else f'"{shown(text)}"')
        if plain and text in _WORDS:
            return _WORDS[text]
        if plain and _INTEGER.fullmatch(text):
            return int(text)
        if plain and _NUMBER.fullmatch(text):
            return float(text)
        return text

    def mapping(self, events: Iterator[yaml.Event], loc: Loc) -> dict[str, Any]:
        """Return a mapping; a key that comes again is a mistake, and its first value stands."""
        found: dict[str, Any] = {}
        for key in _until_end(events):
            if not isinstance(key, yaml.ScalarEvent) or key.anchor is not None or key.tag is not None:
                raise _Refused(_line(key), "a field's name must be a plain word")
            name: str = key.value
            if _SURROGATE.search(name):
                raise _Refused(_line(key), "not text: half of a surrogate pair")
            place = (*loc, name)
            if name in found:
                first = self.places[place]
                self.mistakes.append((_line(key), f"{dotted(place)}: given twice, first in line {first.line}"))
                _Reader().value(next(events), events, place)
                continue
            found[name] = self.value(next(events), events, place)
            self.places[place] = self.places[place]._replace(line=_line(key))
        return found


def _until_end(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """Yield the events that begin the items of a list or mapping, up to its end; whoever takes one takes its rest."""
    while not isinstance(event := next(events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
        yield event


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def dotted(loc: Loc) -> str:
    """Return a place as people write it: ``seeders[0].up_mbit``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown(part) or '(empty)'}" for part in loc)
    return "".join(parts).removeprefix(".")
