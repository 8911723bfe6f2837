"""
A workshop on a machine far away, spoken to over SSH: ``python -m btgames.workshop_agent``; see far_workshop.py.

Requests as in agents/talk.py, each with the ``contestant`` that it is about; answers as in worker.py. While something
goes on, lines ``{"note": text}`` may come before an answer.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import installing, places
from btgames.agents import talk
from btgames.contestant import Contestant
from btgames.contract import CommandFailed, NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.hosts.namespace import NamespaceHost
from btgames.installing import Installed
from btgames.worker import unpacked, unpacked_cell
from btgames.workshop import Racer, Workshop
from btgames.wrapper import ModuleError

if TYPE_CHECKING:
    from collections.abc import Callable


class Handlers:
    """The requests; each makes its contestant ready first, where it is not: the connection may be a new one."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._racers: dict[str, Racer] = {}  # by label

    def ready(self, request: dict[str, Any]) -> dict[str, Any]:
        """Install; the value has the installed things and the version."""
        racer = self._racer(request)
        return {"value": {"installed": {**asdict(racer.installed)}, "version": racer.version}}

    def install(self, request: dict[str, Any]) -> dict[str, Any]:
        """Install several, side by side; the value has the installed things of each, or why not, in their order."""
        everyone = [_contestant(fields) for fields in request["contestants"]]
        made = installing.side_by_side(everyone, places.installed(), _note)
        return {"value": [{"value": asdict(each)} if isinstance(each, Installed) else answer_of(each) for each in made]}

    def torrentfile(self, request: dict[str, Any]) -> dict[str, Any]:
        """Put the torrent where the client wants it; the value is that path."""
        host, cell = NamespaceHost(**request["host"]), unpacked_cell(request["cell"])
        functions = self._racer(request).wrapper
        return {"value": functions.torrentfile(host, cell, request["folder"], unpacked(request["torrent"]))}

    def download(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the command as data."""
        return {"value": asdict(self._racer(request).wrapper.download(request["torrentfile"], request["into"]))}

    def _racer(self, request: dict[str, Any]) -> Racer:
        one = _contestant(request["contestant"])
        if one.label not in self._racers:
            self._racers[one.label] = self._workshop.ready(one, _note)
        return self._racers[one.label]


def _contestant(fields: dict[str, Any]) -> Contestant:
    source = fields["source"] and Path(fields["source"])
    return Contestant(**{**fields, "path": Path(fields["path"]), "source": source})


def _note(text: str) -> None:
    talk.say({"note": text})


def told(call: Callable[[dict[str, Any]], dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Call, and turn the contract's exceptions into answers; `btgames.wrapper.value_of` turns them back."""
    try:
        return call(request)
    except (Unsupported, HostError) as why:
        return answer_of(why)


def answer_of(why: Unsupported | HostError) -> dict[str, Any]:
    """Return the answer that stands for an exception: for the most special kind that it is."""
    if isinstance(why, NeedsPackages):
        return {"needs": list(why.packages)}
    kinds = (CommandFailed, "failed"), (ModuleError, "problem"), (Unsupported, "unsupported")
    return {next((name for kind, name in kinds if isinstance(why, kind)), "host"): str(why)}


def main() -> None:
    """Serve until stdin ends."""
    with Workshop() as workshop:
        handlers = Handlers(workshop)
        calls = (handlers.install, handlers.ready, handlers.torrentfile, handlers.download)
        talk.serve({call.__name__: lambda request, call=call: told(call, request) for call in calls})  # type: ignore[misc]


if __name__ == "__main__":
    main()
