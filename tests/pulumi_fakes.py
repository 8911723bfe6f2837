"""A Pulumi engine that makes nothing: what the program asks for is noted, outputs are made up."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import mocks, settings, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IMAGES = {"amd64": "ami-0123456789abcdef0", "arm64": "ami-0fedcba9876543210"}


@dataclass(frozen=True)
class Asked:
    """A resource that was asked for."""

    type: str
    name: str
    inputs: dict[str, Any]


@dataclass
class FakeEngine(mocks.Mocks):
    """Notes resources; stashes keep what they were given first, as the engine's do."""

    preview: bool = False
    stashed: dict[str, Any] = field(default_factory=dict)
    resources: list[Asked] = field(default_factory=list)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """Note a resource and make up its outputs."""
        inputs: dict[str, Any] = dict(args.inputs)
        self.resources.append(Asked(args.typ, args.name, inputs))
        if args.typ == "pulumi:index:Stash":
            return args.name, {"input": inputs["input"], "output": self.stashed.setdefault(args.name, inputs["input"])}
        made = {"publicIp": "203.0.113.7", "privateIp": "198.18.0.7", "keyName": args.name, "name": args.name}
        return f"{args.name}-id", {"availabilityZone": "us-east-1b", **made, **inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """Answer for the image of an architecture."""
        assert args.token == "aws:ssm/getParameter:getParameter"
        return {"value": IMAGES[args.args["name"].rpartition("/")[2]]}, []

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the inputs of the resources whose type ends so, by name."""
        return {each.name: each.inputs for each in self.resources if each.type.rpartition(":")[2] == kind}

    def run(self, program: Callable[[], None], **config: str) -> dict[str, Any]:
        """Run a program with those settings of btgames, anew, and return the stack's outputs."""
        self.resources.clear()
        return contextvars.Context().run(self._run, program, config)

    def _run(self, program: Callable[[], None], config: Mapping[str, str]) -> dict[str, Any]:
        loops = [asyncio.new_event_loop()]  # one for the program, and the SDK wants one in each thread of the first one
        asyncio.set_event_loop(loops[0])
        loops[0].set_default_executor(ThreadPoolExecutor(initializer=lambda: loops.append(_thread_loop())))
        mocks.set_mocks(self, project="btgames", stack="dev", organization="acme", preview=self.preview)
        pulumi.runtime.set_all_config({f"btgames:{key}": value for key, value in config.items()})
        try:
            loops[0].run_until_complete(stack.run_pulumi_func(program))
            root = settings.get_root_resource()
            assert isinstance(root, stack.Stack)
            return loops[0].run_until_complete(pulumi.Output.from_input(root.outputs).future()) or {}
        finally:
            _give_up(loops[0])
            for loop in loops:
                loop.close()
            asyncio.set_event_loop(None)


def _thread_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _give_up(loop: asyncio.AbstractEventLoop) -> None:
    """End what a program that failed has left under way."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(task)
    settings.SETTINGS.outputs.clear()
    loop.run_until_complete(loop.shutdown_default_executor())
