"""
How the harness and a long-lived agent talk: one JSON object a line, over the agent's stdin and stdout.

The agent's first line is ``{"ready": true, ...}``. Each request is ``{"do": VERB, ...}`` and gets one answer:
``{"ok": true, ...}`` or ``{"error": "one line"}``. When stdin ends, the harness is gone and the agent exits.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict

Handler = Callable[[Dict[str, Any]], Dict[str, Any]]


def say(message: dict[str, Any]) -> None:
    """Write one message, whole and at once."""
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def answer(handlers: dict[str, Handler], request_line: str) -> dict[str, Any]:
    """Return the answer to one request line; a handler's exception becomes an error answer, never a dead agent."""
    try:
        request = json.loads(request_line)
        handler = handlers[request.pop("do")]
    except (ValueError, KeyError, AttributeError) as error:
        return {"error": f"not a request: {error!r}"}
    try:
        return {"ok": True, **handler(request)}
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the harness's to judge, in words
        return {"error": f"{type(error).__name__}: {error}"}


def serve(handlers: dict[str, Handler], **ready: object) -> None:
    """Say ready, then answer requests until stdin ends."""
    say({"ready": True, **ready})
    for line in sys.stdin:
        say(answer(handlers, line))
