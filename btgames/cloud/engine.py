"""The ``pulumi`` of this computer, asked by its command line, and by its Automation API for what runs our program."""

from __future__ import annotations

import functools
import json
import os
import runpy
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from btgames import places
from btgames.cloud.trouble import explain
from btgames.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulumi.automation import Stack

PROJECT = "btgames"
ROOT = places.TASKS.parent
"""
Where Pulumi.yaml and infra/ are: the clone. Settings of stacks are kept beside them, by plain pulumi and by us.
"""

DEFAULT_STACK = "dev"
_ENVIRONMENT = {"PULUMI_SKIP_UPDATE_CHECK": "true"}


def binary() -> str:
    """
    Return the path of ``pulumi``.

    Raises:
        UserError: it is not on PATH, or this is no clone.

    """
    if not (ROOT / "Pulumi.yaml").is_file():
        raise UserError("the cloud needs a clone of the project, with its Pulumi.yaml and its own ./inv")
    found = shutil.which("pulumi")
    if found is None:
        raise UserError(
            "pulumi is not on PATH; it is what makes and ends machines in the cloud\n"
            "get it: https://www.pulumi.com/docs/install; then pulumi login --local keeps its state on this computer"
        )
    return found


def ask(*arguments: str, stack: str = "") -> str:
    """
    Return what ``pulumi ARGUMENTS`` prints.

    Raises:
        UserError: it failed; `stack` is the name for the words.

    """
    ran = subprocess.run(
        [binary(), *arguments, "--non-interactive"],
        cwd=ROOT,
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise explain(f"{ran.stdout}\n{ran.stderr}", stack)
    return ran.stdout


def stacks() -> list[dict[str, Any]]:
    """Return the project's stacks: name, whether it is current, number of resources."""
    found: list[dict[str, Any]] = json.loads(ask("stack", "ls", "--json"))
    return found


def selected() -> str | None:
    """Return the name of the selected stack; None when none is."""
    return next((str(stack["name"]) for stack in stacks() if stack.get("current")), None)


def program() -> None:
    """Run the program of infra/ as Pulumi's language host does: the folder."""
    runpy.run_path(str(ROOT / "infra"))


@functools.cache
def need() -> None:
    """Return if the packages that the cloud needs are here; a UserError otherwise."""
    try:
        import boto3  # noqa: F401 - only to see whether all is there
        import pulumi_aws  # noqa: F401 - the same
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed here; ./inv up installs what the cloud needs, pip install 'btgames[cloud]'"
        ) from error


def opened(name: str, *, create: bool = False) -> Stack:
    """
    Return a stack for the Automation API, with our program inline; it becomes the selected one.

    Raises:
        UserError: there is none of that name (and it is not to be made), or it cannot be had.

    """
    binary()
    need()
    from pulumi import automation

    open_ = automation.create_or_select_stack if create else automation.select_stack
    options = automation.LocalWorkspaceOptions(work_dir=str(ROOT), env_vars=_ENVIRONMENT)
    with explained(name):
        return open_(name, project_name=PROJECT, program=program, opts=options)


@contextmanager
def explained(stack: str) -> Iterator[None]:
    """Turn what the engine says when it fails into words that say what to do."""
    from pulumi.automation import CommandError, InvalidVersionError

    try:
        yield
    except CommandError as error:
        raise explain(str(error), stack) from error
    except InvalidVersionError as error:
        raise UserError(f"{error}\nget a newer pulumi: https://www.pulumi.com/docs/install") from error
