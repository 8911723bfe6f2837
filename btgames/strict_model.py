"""What a strict YAML file may hold, as pydantic models; all mistakes of a file told at once, each with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from btgames.errors import UserError, nearest
from btgames.strict_yaml import dotted, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from btgames.strict_yaml import Document, Loc

MISTAKES_SHOWN = 8  # more than a screenful helps nobody; the rest are counted


class Strict(BaseModel):
    """
    The base of what such a file holds: nothing unknown, nothing converted, frozen.

    Each field's `description` says what it allows; it ends the message when something else is found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)


def validate(document: Document, model: type[Model]) -> Model:
    """
    Return the document as `model`.

    Raises:
        UserError: all mistakes of the file at once, each with its line, field, what was found and what is allowed;
            after `MISTAKES_SHOWN` of them the rest are counted.

    """
    mistakes = list(document.mistakes)
    try:
        value = model.model_validate(document.data)
    except ValidationError as error:
        mistakes += [_mistake(document, model, each) for each in error.errors(include_url=False)]
    if not mistakes:
        return value
    mistakes.sort(key=lambda mistake: mistake[0])
    if len(mistakes) == 1:
        raise UserError(f"{document.path}, line {mistakes[0][0]}: {mistakes[0][1]}")
    lines = [f"{document.path}: {len(mistakes)} mistakes"]
    lines += [f"  line {line}: {words}" for line, words in mistakes[:MISTAKES_SHOWN]]
    if len(mistakes) > MISTAKES_SHOWN:
        lines.append(f"  and {len(mistakes) - MISTAKES_SHOWN} more")
    raise UserError("\n".join(lines))


def _mistake(document: Document, model: type[Strict], error: ErrorDetails) -> tuple[int, str]:
    """Return the line and the words of one mistake that pydantic found."""
    loc = error["loc"]
    field_loc = loc
    while field_loc and isinstance(field_loc[-1], int):  # an item of a list is described by the list's field
        field_loc = field_loc[:-1]
    fields = _fields_beside(model, field_loc)
    if error["type"] == "missing":
        return document.places[loc[:-1]].line, f"{dotted(loc)}: missing; it takes {fields[str(loc[-1])].description}"
    line, found = document.places[loc]
    if error["type"] == "extra_forbidden":
        known = f"; known: {', '.join(fields)}"
        return line, f"{dotted(loc)}: no such field{nearest(shown(str(loc[-1])), fields) or known}"
    if error["type"] == "value_error":
        # What a validator says of many values needs no `found`, and of the whole file no field.
        finding = "" if found in ("a list", "a group of fields") else f"found {found}; "
        return line, f"{dotted(loc)}: {finding}{error['ctx']['error']}".removeprefix(": ")
    return line, f"{dotted(loc)}: found {found}; allowed: {fields[str(field_loc[-1])].description}"


def _fields_beside(model: type[BaseModel], loc: Loc) -> Mapping[str, FieldInfo]:
    """Return the fields of the (nested) model in which the last part of `loc` stands."""
    for name in loc[:-1]:
        if isinstance(name, str):
            annotation = model.model_fields[name].annotation
            parts = (annotation, *get_args(annotation))
            model = next(part for part in parts if isinstance(part, type) and issubclass(part, BaseModel))
    return model.model_fields
