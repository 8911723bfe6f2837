"""The stand-in for AWS's provider under the real engine: what it makes, what it refuses, and in which words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pulumi_aws", reason="needs pulumi and pulumi-aws, the project's extra `cloud`")

from standin import engine, image, plugin
from standin.machines import ROOT, Region
from standin.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHY_NOT = image.why_not() or engine.why_not()
pytestmark = [pytest.mark.cloud, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "able")]

DEADLINE_S = 30.0


class Cloud:
    """A stack of one network and one machine, see `standin.program`, with what a test wishes otherwise."""

    def __init__(self, folder: Path) -> None:
        self.region = Region(folder / "region").open(owner=os.getpid())
        self.visitor = Visitor(folder)
        self.wishes: dict[str, Any] = {
            "user_data": self.visitor.user_data().decode(),
            "public_key": self.visitor.read("id.pub"),
            "open_to": f"{self.region.facts['caller']}/32",
        }
        variables = plugin.environment(folder / "home", self.region.folder)
        plugin.install(variables)
        self._environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}

    def start(self, verb: str) -> subprocess.Popen[str]:
        """Start a run of the program, in a process group of its own, as a terminal does."""
        pipe = subprocess.PIPE
        started = subprocess.Popen(
            [sys.executable, "-m", "standin.program", verb],
            env=self._environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )
        assert started.stdin
        started.stdin.write(json.dumps(self.wishes))
        started.stdin.close()
        started.stdin = None
        return started

    def run(self, verb: str) -> dict[str, Any]:
        """Run the program to its good end; return what it tells."""
        with self.start(verb) as process:
            told, words = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0, words
            return dict(json.loads(told))

    def refused(self) -> str:
        """Return how an update fails."""
        with self.start("up") as process:
            _, words = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 1, words
            return words

    def fail(self, failures: dict[str, str]) -> None:
        """Have things go wrong."""
        (self.region.folder / "failures.json").write_text(json.dumps(failures))

    def running(self) -> list[str]:
        """Return the machines that run."""
        return [each["name"] for each in self.region.list() if each["state"] == "running"]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for it."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Give a cloud in which nothing is."""
    made = Cloud(tmp_path)
    yield made
    made.region.close()


def test_story(cloud: Cloud) -> None:
    """
    One stack from its preview to its end.

    Up boots a machine that is reached through its security group; nothing changes then; another group is an update,
    other user data another machine; down leaves nothing.
    """
    assert cloud.run("preview") == {"create": 8}
    outputs = cloud.run("up")
    assert outputs["tags"] == {"Name": "machine", "owner": "me"}
    assert cloud.running() == [outputs["id"]]
    cloud.visitor.wait(outputs["address"])
    assert cloud.run("preview") == {}

    cloud.wishes["open_to"] = f"{cloud.region.facts['stranger']}/32"
    assert cloud.run("preview") == {"update": 1}
    assert cloud.run("up") == outputs
    assert "timed out" in cloud.visitor.run(outputs["address"], "true").stderr
    assert not cloud.visitor.run(outputs["address"], "true", source=cloud.region.facts["stranger"]).returncode

    cloud.wishes["user_data"] = cloud.visitor.user_data(hostname="other").decode()
    assert cloud.run("preview") == {"replace": 1}
    other = cloud.run("up")
    assert cloud.running() == [other["id"]] != [outputs["id"]]

    cloud.run("destroy")
    assert cloud.running() == []
    assert json.loads((cloud.region.folder / "aws.json").read_text()) == {}


def test_machine_that_has_ended(cloud: Cloud) -> None:
    """A refresh tells that a machine has ended itself; an update makes another; destroy minds neither."""
    first = cloud.run("up")
    cloud.region.kill(first["id"])
    cloud.until(lambda: cloud.running() == [])
    cloud.run("refresh")
    assert cloud.run("preview") == {"create": 1}
    second = cloud.run("up")
    assert cloud.running() == [second["id"]]
    cloud.region.kill(second["id"])
    cloud.run("destroy")


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "VcpuLimitExceeded", "UnauthorizedOperation"])
def test_failure_on_demand(cloud: Cloud, code: str) -> None:
    """AWS's refusal of a machine comes with its code, leaves what was made, and is over when it is over."""
    cloud.fail({"machine": code})
    words = cloud.refused()
    assert "creating EC2 Instance: operation error EC2: RunInstances, https response error" in words
    assert f"api error {code}: " in words
    cloud.fail({})
    assert cloud.run("preview") == {"create": 1}
    cloud.run("up")


def test_no_credentials(cloud: Cloud) -> None:
    """Without credentials nothing is made."""
    cloud.fail({"provider": "no credentials"})
    assert "No valid credential sources found." in cloud.refused()
    assert not (cloud.region.folder / "aws.json").exists()


def test_interrupted(cloud: Cloud) -> None:
    """An update that is interrupted while a machine is made can be run again."""
    cloud.fail({"machine": "hang"})
    made = cloud.region.folder / "aws.json"
    with cloud.start("up") as process:
        cloud.until(lambda: made.exists() and all(f'"{each}-0' in made.read_text() for each in ("sg", "subnet")))
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode
    assert cloud.running() == []
    cloud.fail({})
    assert [cloud.run("up")["id"]] == cloud.running()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"instance_type": "c7a.tiny"}, "expected instanceType to be one of"),
        ({"user_data": "x" * 16_385}, "expected length of user_data to be in the range (0 - 16384)"),
        (
            {"instance_type": "c7g.medium"},
            "api error InvalidParameterValue: The architecture of the specified instance",
        ),
        ({"instance_type": "t3.micro"}, "Cluster placement groups are not supported by the 't3.micro' instance type"),
        ({"subnet_id": "subnet-0123"}, "api error InvalidSubnetID.NotFound: The subnetId 'subnet-0123' does not exist"),
        ({"metadata_options": {"http_tokens": "sometimes"}}, "expected metadataOptions.httpTokens to be one of"),
        ({"root_block_device": {"volume_typo": "gp3"}}, 'An argument named "volume_typo" is not expected here'),
    ],
)
def test_refused_machine(cloud: Cloud, wanted: dict[str, Any], words: str) -> None:
    """What AWS or its provider would not take, the stand-in does not."""
    cloud.wishes["instance"] = wanted
    assert words in cloud.refused()
    assert cloud.running() == []


def test_refused_others(cloud: Cloud) -> None:
    """Neither two keys of one name, nor a strategy or a region that there is not."""
    plain = cloud.wishes
    for wish, words in (
        ({"keys": ["twin", "twin"]}, "api error InvalidKeyPair.Duplicate"),
        ({"strategy": "clustre"}, "expected strategy to be one of"),
        ({"region": "mars-east-1"}, "mars-east-1"),
    ):
        cloud.wishes = {**plain, **wish}
        assert words in cloud.refused()
