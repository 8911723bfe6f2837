"""Facts of the machine for the race card."""

from __future__ import annotations

import json
import platform
import socket
import tomllib
from typing import TYPE_CHECKING

from btgames import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_facts_tell_what_a_time_depends_on() -> None:
    """CPU, cores, memory, kernel and rights are there, and all of it goes into a JSON line."""
    facts = machine.facts("root")
    assert facts["rights"] == "root"
    assert facts["cores"] >= 1
    assert facts["memory_bytes"] > 1 << 26
    assert platform.release() in facts["kernel"]
    assert all(facts[name] for name in ("cpu", "architecture", "distribution", "python"))
    assert json.loads(json.dumps(facts)) == facts


def test_facts_do_not_tell_whose_machine_it_is() -> None:
    """The host name is nowhere among them."""
    assert socket.gethostname() not in machine.facts("root").values()


def test_the_cpu_has_the_kernels_name(tmp_path: Path) -> None:
    """The first model name counts; where there is none, the architecture stands in."""
    (tmp_path / "x86").write_text("processor : 0\nmodel name\t: Fast: 9000\nmodel name\t: Other\n", encoding="utf-8")
    (tmp_path / "arm").write_text("processor : 0\nBogoMIPS : 50\n", encoding="utf-8")
    assert machine.cpu_model(tmp_path / "x86") == "Fast: 9000"
    assert machine.cpu_model(tmp_path / "arm") == (platform.processor() or platform.machine())
    assert machine.cpu_model(tmp_path / "none") == (platform.processor() or platform.machine())


def test_libraries_are_those_that_the_project_depends_on(root: Path) -> None:
    """Each dependency of pyproject.toml has its version in the card; what is not installed has none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {line.partition(">")[0] for line in project["dependencies"]}
    libraries = machine.libraries()
    assert set(libraries) == names
    assert libraries["pyroute2"][:1].isdigit()
    assert machine._version("no-such-thing") == ""
