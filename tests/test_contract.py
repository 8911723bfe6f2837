"""What a contestant's module may use: commands as data, outcomes, and all of it by one import."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btgames import contract
from btgames.contract import Command, CommandFailed, NeedsPackages
from btgames.errors import GamesError, Unsupported

words = st.text() | st.integers() | st.builds(Path, st.just("a"))


@given(argv=st.lists(words, min_size=1), env=st.dictionaries(st.text(), st.integers()), cwd=st.none() | words)
def test_a_command_is_text(argv: list[object], env: dict[str, int], cwd: object) -> None:
    """Whatever its parts are, they become text once, word for word; equal commands are equal."""
    made = Command(*argv, env=env, cwd=cwd)  # type: ignore[arg-type] # modules are not type-checked
    assert made.argv == tuple(map(str, argv))
    assert made.env == {name: str(value) for name, value in env.items()}
    assert made.cwd == (None if cwd is None else str(cwd))
    assert made == Command(*argv, env=env, cwd=cwd)  # type: ignore[arg-type] # the same


def test_a_command_names_a_program() -> None:
    """Nothing is no command, and a command does not change."""
    with pytest.raises(TypeError, match="a Command needs at least a program"):
        Command()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Command("a").cwd = "/x"  # type: ignore[misc] # on purpose


def test_several_steps_are_the_shells() -> None:
    """Command.shell hands the text to sh as it is, with environment and directory."""
    made = Command.shell("a && b; $x", env={"x": "1"}, cwd="/y")
    assert made == Command("/bin/sh", "-c", "a && b; $x", env={"x": "1"}, cwd="/y")


def test_outcomes_that_a_module_may_raise() -> None:
    """What is missing and what failed are both Unsupported, and told in words."""
    assert issubclass(CommandFailed, Unsupported)
    assert issubclass(NeedsPackages, GamesError)
    assert str(NeedsPackages("a", "b")) == "needs packages of the system: a b"


def test_a_module_needs_one_import_only() -> None:
    """Everything that modules use is named in __all__, and is there."""
    assert {"Command", "Host", "Torrent", "Unsupported", "python27"} <= set(contract.__all__)
    assert {"apt", "cargo", "git", "go", "npm", "pip"} <= set(contract.__all__)
    assert all(hasattr(contract, name) for name in contract.__all__)
