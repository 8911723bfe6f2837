"""Updates of a stack by the engine: what it would do, doing it, its settings; each step as a line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import places
from btgames.cloud import engine
from btgames.cloud.trouble import explain
from btgames.hosts.process import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pulumi.automation import Stack
    from pulumi.automation.events import DiagnosticEvent, EngineEvent, StepEventMetadata

    from btgames.hosts.process import Entry

    Notify = Callable[[str], None]

DONE = {  # the engine's word for a step -> ours; the others change nothing that is worth a line
    "create": "made",
    "create-replacement": "made anew",
    "update": "changed",
    "delete": "ended",
    "delete-replaced": "ended the old",
}
INSTANCE = "aws:ec2/instance:Instance"


@dataclass
class Watched:
    """What the engine told while it worked."""

    made: Notify = lambda _: None  # takes a line for each step
    warned: Notify = lambda _: None  # takes a line for each warning
    outputs: dict[str, Any] = field(default_factory=dict)  # the stack's
    steps: list[tuple[str, str, str]] = field(default_factory=list)  # the engine's word, type, name
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __call__(self, event: EngineEvent) -> None:
        """Note an event."""
        if event.diagnostic_event is not None:
            self._said(event.diagnostic_event)
        elif event.res_outputs_event is not None:
            self._step(event.res_outputs_event.metadata)

    def _said(self, said: DiagnosticEvent) -> None:
        text = re.sub(r"<\{%.*?%\}>", "", said.message).strip()  # colours
        if said.severity == "error":
            self.errors.append(text)
        elif said.severity == "warning" and text not in self.warnings:
            self.warnings.append(text)
            self.warned(f"warning: {text}")

    def _step(self, step: StepEventMetadata) -> None:
        if step.type == "pulumi:pulumi:Stack":
            self.outputs = dict(step.new.outputs or {}) if step.new else {}
        elif step.type.startswith("aws:") and str(step.op.value) in DONE:
            name = step.urn.rpartition("::")[2]
            self.steps.append((str(step.op.value), step.type, name))
            self.made(f"{DONE[step.op.value]} {_kind(step.type)} {name}")

    def instances(self, *words: str) -> list[str]:
        """Return the names of the machines that such steps were about."""
        return [name for word, kind, name in self.steps if kind == INSTANCE and word in words]


def preview(stack: Stack, notify: Notify) -> Watched:
    """
    Return what an update would do. Machines that are gone are noticed; warnings are passed on.

    Raises:
        UserError: it would fail; says why.

    """
    watched = Watched(warned=notify)
    with _told(stack, watched):
        stack.preview(refresh=True, on_event=watched)
    return watched


def up(stack: Stack, notify: Notify, *, replace: Sequence[str] = ()) -> Watched:
    """
    Bring a stack up to its settings; machines that are gone are made anew, those named in `replace` (URNs) too.

    Raises:
        UserError: it failed, and what it had made so far is there; says why and what to do.

    """
    watched = Watched(notify)
    with _told(stack, watched):
        stack.up(refresh=True, replace=list(replace) or None, on_event=watched)
    return watched


def destroy(stack: Stack, notify: Notify) -> Watched:
    """
    End everything that a stack has.

    Raises:
        UserError: it failed; says why and what to do.

    """
    watched = Watched(notify)
    with _told(stack, watched):
        stack.destroy(on_event=watched)
    return watched


@contextmanager
def _told(stack: Stack, watched: Watched) -> Iterator[None]:
    from pulumi.automation import CommandError

    with _patient(watched.made) as interrupted:
        try:
            yield
        except CommandError as error:
            if not interrupted:
                raise explain("\n".join(watched.errors) or str(error), stack.name) from error
        if interrupted:
            watched.made(f"{places.COMMAND} up goes on with it, {places.COMMAND} down ends what there is")
            raise KeyboardInterrupt


@contextmanager
def _patient(notify: Notify) -> Iterator[list[int]]:
    """
    Have an interrupt stop the engine in order, and wait for its end, for as long as the context lasts.

    Were KeyboardInterrupt raised at once, the Automation API would close the pipes that the engine, our child, writes
    to; it would die of that in the middle of things, and the stack would stay locked. Gives the signals that came.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        # Ctrl-C at a terminal has reached the engine already; a second one has it stop at once, as Pulumi has it.
        if number != signal.SIGINT or not _at_terminal():
            _tell_engine()
        if not came:
            notify("interrupted; the engine finishes what it has begun")
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_terminal() -> bool:
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def _tell_engine() -> None:
    for each in processes():
        if each.parent == os.getpid() and _is_engine(each):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGINT)


def _is_engine(entry: Entry) -> bool:
    try:
        name = Path(f"/proc/{entry.pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # ended meanwhile
        return False
    return entry.state != "Z" and name.startswith("pulumi")


def urn(stack: str, role: str, name: str) -> str:
    """Return the engine's name of a machine's instance; infra/machines.py gives the parts."""
    kind = f"btgames:infra:{role.capitalize()}${INSTANCE}"
    return f"urn:pulumi:{stack.rpartition('/')[2]}::{engine.PROJECT}::{kind}::{name}"


@contextmanager
def settings(stack: Stack, changes: Mapping[str, str | None]) -> Iterator[None]:
    """Change settings of a stack (None: unset), and set them back when what is done with them fails."""
    from pulumi.automation import ConfigValue

    before = {key: value.value for key, value in stack.get_all_config().items()}

    def write(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            key = f"{engine.PROJECT}:{name}"
            if value is not None:
                stack.set_config(key, ConfigValue(value))
            elif key in before or key in after:
                stack.remove_config(key)

    after = {f"{engine.PROJECT}:{name}" for name, value in changes.items() if value is not None}
    write(changes)
    try:
        yield
    except BaseException:
        write({name: before.get(f"{engine.PROJECT}:{name}") for name in changes})
        raise


def names_in(stack: Stack, key: str) -> list[str]:
    """Return a setting that is a list, as infra/config.py reads it."""
    found = stack.get_all_config().get(f"{engine.PROJECT}:{key}")
    text = "" if found is None else found.value
    return (
        [str(name) for name in json.loads(text)] if text.startswith("[") else [name for name in text.split(",") if name]
    )


def as_list(names: Sequence[str]) -> str | None:
    """Return a list as a setting; an empty one is none."""
    return ",".join(names) or None


def _kind(kind: str) -> str:
    """Return a type in words: ``aws:ec2/securityGroup:SecurityGroup`` is a security group."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.rpartition(":")[2]).lower()
