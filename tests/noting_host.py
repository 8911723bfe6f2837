"""A host as a contestant's module sees it, which only notes what it is asked to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class NotingHost:
    """Nothing is run: `answer` is what every command printed."""

    installed = folder = "/installed"

    def __init__(self, answer: str = "") -> None:
        self.ran: list[tuple[str, ...]] = []
        self.envs: list[dict[str, str]] = []  # of each command
        self.limits_s: list[float] = []  # the same
        self.needed: list[str] = []
        self._answer = answer

    def run(self, *argv: object, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> str:
        """Note a command."""
        self.ran.append(tuple(map(str, argv)))
        self.envs.append(dict(env or {}))
        self.limits_s.append(timeout_s)
        return self._answer

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:  # noqa: ARG002 - the protocol's signature
        """Return where it would be."""
        return f"{self.folder}/{name}"

    def needs(self, path: str) -> None:
        """Note a path."""
        self.needed.append(path)
