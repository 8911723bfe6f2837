"""Checking a YAML file against models: all mistakes at once, each with place, finding and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pytest
from pydantic import Field, model_validator

from btgames.errors import UserError
from btgames.strict_model import Strict, validate
from btgames.strict_yaml import parse

FILE = Path("a.yaml")


class Wheel(Strict):
    """A part, nested."""

    size: int = Field(ge=1, description="a whole number from 1")
    tyre: str = Field(default="soft", description="text")


class Car(Strict):
    """A whole."""

    name: str = Field(description="text")
    speed: float | None = Field(default=None, description="a number or null")
    wheels: tuple[Wheel, ...] = Field(default=(), description="a list of wheels")
    spare: Wheel | None = Field(default=None, description="a wheel or null")

    @model_validator(mode="after")
    def _rolls(self) -> Self:
        if len(self.wheels) == 1:
            raise ValueError("one wheel is not enough")
        return self


def mistakes(text: str) -> list[str]:
    """Return the lines of the message that a car's file earns."""
    with pytest.raises(UserError) as refused:
        validate(parse(FILE, text), Car)
    return str(refused.value).split("\n")


def test_valid() -> None:
    """What is right becomes the model, frozen; whole numbers serve where numbers are wanted."""
    car = validate(parse(FILE, "name: a\nspeed: 3\nwheels: [{size: 1}, {size: 2}]\n"), Car)

    assert car == Car(name="a", speed=3, wheels=(Wheel(size=1), Wheel(size=2)))
    assert hash(car) != hash(car.name)


def test_one_mistake_is_one_line() -> None:
    """One mistake needs no heading."""
    assert mistakes("name: a\nspeed: fast\n") == ["a.yaml, line 2: speed: found fast; allowed: a number or null"]


def test_all_mistakes_at_once() -> None:
    """All mistakes come at once in the order of their lines, the reader's own among them."""
    text = "nam: a\nspeed: yes\nspeed: 3\nwheels:\n  - size: 0\n    tire: x\n  - 5\nspare:\n  tyre: x\n"

    assert mistakes(text) == [
        "a.yaml: 8 mistakes",
        "  line 1: name: missing; it takes text",
        "  line 1: nam: no such field - did you mean name?",
        "  line 2: speed: found yes; allowed: a number or null",
        "  line 3: speed: given twice, first in line 2",
        "  line 5: wheels[0].size: found 0; allowed: a whole number from 1",
        "  line 6: wheels[0].tire: no such field - did you mean tyre?",
        "  line 7: wheels[1]: found 5; allowed: a list of wheels",
        "  line 8: spare.size: missing; it takes a whole number from 1",
    ]


def test_far_name() -> None:
    """An unknown field that resembles none comes with those that exist."""
    assert mistakes("name: a\nzzz: 1\n") == [
        "a.yaml, line 2: zzz: no such field; known: name, speed, wheels, spare",
    ]


def test_given_twice_alone() -> None:
    """A field given twice is a mistake even where all else is right."""
    assert mistakes("name: a\nname: a\n") == ["a.yaml, line 2: name: given twice, first in line 1"]


def test_rules_between_fields() -> None:
    """A rule between fields is told in its own words, without a finding."""
    assert mistakes("name: a\nwheels: [{size: 1}]\n") == ["a.yaml, line 1: one wheel is not enough"]


def test_many_mistakes_are_counted() -> None:
    """After eight mistakes the rest are counted."""
    lines = mistakes("name: a\n" + "".join(f"k{number}: 1\n" for number in range(2000)))

    assert len(lines) == 10
    assert (lines[0], lines[-1]) == ("a.yaml: 2000 mistakes", "  and 1992 more")
