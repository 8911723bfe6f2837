"""
The one family of errors that the user sees as plain lines.

Everything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class GamesError(Exception):
    """Something went wrong that one to three plain lines explain; the command ends with `status`."""

    status = 1


class UserError(GamesError):
    """The user asked for something that cannot be: exit status 2, nothing was started."""

    status = 2


class TestbedError(GamesError):
    """The hosts could not be provided, or one of them failed: not the contestant's fault."""

    # pytest collects classes by name; this one is no test.
    __test__ = False


class HostError(TestbedError):
    """A command of the harness failed on a host, or the host is gone."""


class HostLostError(HostError):
    """The connection to a host broke in the middle of something: whatever was under way is not to be judged."""


class Unsupported(GamesError):  # noqa: N818 - the contract's word: contestants raise Unsupported("why")
    """The contestant cannot run here, and says why: an outcome, not a failure."""


class NeedsPackages(Unsupported):
    """It cannot run until packages of the system are installed, which only happens when the user says so."""

    def __init__(self, *packages: str) -> None:
        super().__init__(f"needs packages of the system: {' '.join(packages)}")
        self.packages = packages


class CommandFailed(Unsupported):
    """A command of `Host.run` failed: an outcome in a race, but for `check` not the contestant's own word."""


def nearest(found: str, known: Iterable[str]) -> str:
    """
    Return `` - did you mean X?`` for the known name nearest to `found`, or an empty string.

    Ready to be appended to a message, so that each message stays one sentence.
    """
    matches = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f" - did you mean {matches[0]}?" if matches else ""
