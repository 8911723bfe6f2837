"""What a scenario needs of Debian: named, found, and asked for its version."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from fake_swarm import small

from btgames.needs import DELUGE, OPENTRACKER, Need, needs_of


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, ()),
        ({"tracker": "opentracker"}, (OPENTRACKER,)),
        ({"seeder": "deluge"}, (DELUGE,)),
        ({"tracker": "opentracker", "seeder": "deluge"}, (OPENTRACKER, DELUGE)),
    ],
)
def test_needs_of_a_scenario(fields: dict[str, str], needs: tuple[Need, ...]) -> None:
    """A scenario needs nothing but what it names, each on the hosts of one role."""
    found = needs_of(small(**fields))
    assert found == needs
    assert [need.role for need in found] == [role for role in ("tracker", "seeder") if role in fields]


def test_words() -> None:
    """The package is named where the program is missing."""
    assert OPENTRACKER.words == "needs Debian's opentracker: apt-get install opentracker"
    assert DELUGE.words == "needs Debian's Deluge: apt-get install deluged"


def test_a_program_is_found_and_its_version_asked() -> None:
    """The version is the package's, as Debian writes it."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("needs Debian")
    tar = Need("tracker", "tar", "tar")
    assert tar.find() == "/usr/bin/tar"
    assert tar.version() == subprocess.check_output([*tar.asking_version], text=True)
    assert tar.version()[0].isdigit()


def test_what_is_not_there() -> None:
    """A program that is missing is not found, and has no version."""
    nothing = Need("tracker", "nothing", "btgames-no-such-program")
    assert (nothing.find(), nothing.version()) == (None, "")
