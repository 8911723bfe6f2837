"""The words of the command line; test_program.py has what is said about mistakes in them."""

from __future__ import annotations

import pytest

from btgames.arguments import remainder, whole
from btgames.errors import UserError


@pytest.mark.parametrize(("text", "number"), [(None, None), ("1", 1), (" 7 ", 7), ("1000", 1000)])
def test_whole(text: str | None, number: int | None) -> None:
    """Whole numbers within the bounds are taken; an option not given stays None."""
    assert whole("--heats", text, least=1, most=1000) == number


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1001", "", "1.5", "nan", "1e3", "9" * 5000])
def test_not_whole(text: str) -> None:
    """Anything else is a UserError that says what is allowed."""
    with pytest.raises(UserError, match=r"^--heats: found '.*'; allowed is a whole number from 1 to 1000$"):
        whole("--heats", text, least=1, most=1000)


def test_remainder() -> None:
    """What follows -- is kept word by word."""
    assert remainder(["inv", "test", "--", "-k", "a or b", "--"]) == ["-k", "a or b", "--"]
    assert remainder(["inv", "test"]) == []
