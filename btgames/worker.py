"""
The child process in which one contestant's module runs: ``python -m btgames.worker MODULE SECONDS``.

Modules are trusted like any Python that is imported, but not to return: each call has a time limit (SECONDS is the
import's), and the parent (wrapper.py) ends this process when that was of no use. Requests as in agents/talk.py; answers
are ``{"value": ...}``, ``{"unsupported": why}``, ``{"failed": command and why}``, ``{"needs": [packages]}``,
``{"host": why it failed}`` or ``{"problem": "FILE:LINE: what"}``.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import containment
from btgames.agents import talk
from btgames.containment import Cell
from btgames.contract import Command, CommandFailed, NeedsPackages
from btgames.errors import HostError, Unsupported
from btgames.hosts.namespace import NamespaceHost
from btgames.install_log import InstallLog, complaint
from btgames.torrent import Torrent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType


class ModuleHost:
    """The host as a contestant's module sees it (`btgames.contract.Host`); its commands run in a cell."""

    def __init__(
        self,
        cell: Cell,
        folder: str,
        environment: Mapping[str, str],
        remote: NamespaceHost | None,
        log: InstallLog | None = None,
    ) -> None:
        """`remote` is the client host of a heat; None is this machine, during an install, which has a log."""
        self.needed: list[str] = []
        self._log = log or InstallLog(None)
        self._cell = cell
        self._folder = folder
        self._environment = environment
        self._remote = remote
        self._ran = False  # something that is not to be trusted, in a cell where it may write into the folder

    @property
    def installed(self) -> str:
        """The directory of installed things."""
        return self._cell.installed

    @property
    def folder(self) -> str:
        """Where `put` puts and commands run."""
        return self._folder

    def run(self, *argv: object, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> str:
        """Run a command in a cell and return what it printed; see `btgames.contract.Host`."""
        self._ran = True
        if self._remote is not None and self._cell.uid is not None:
            # What was put on the desk is root's so far, and the command may want to write beside it.
            self._remote.run(["chown", "-hR", f"{self._cell.uid}:{self._cell.uid}", self._folder])
        words = [str(word) for word in argv]
        cell = containment.with_paths(self._cell, read_only=self.needed)
        environment = {**self._environment, **(env or {})}
        self._log.command(words)
        status, printed = containment.run(cell, words, environment, self._folder, timeout_s, self._log.add)
        if status:
            how = f"ended with status {status}" if status != -9 else f"was killed, after {timeout_s:g} s at most"  # noqa: PLR2004 - SIGKILL
            why = complaint(printed)
            raise CommandFailed(f"{' '.join(words)[:200]} {how}" + (f": {why}" if why else ""))
        return printed

    def put(self, data: bytes | str, name: str, mode: int = 0o644) -> str:
        """Write a file beneath `folder` and return its path."""
        path = os.path.normpath(f"{self._folder}/{name}")
        if not path.startswith(f"{self._folder}/"):
            raise ValueError(f"put: {name!r} lies outside the folder")
        if self._ran and not self._real(path).startswith(f"{self._real(self._folder)}/"):
            raise ValueError(f"put: a symlink, made by a command that ran here, leads {name!r} out of the folder")
        content = data.encode() if isinstance(data, str) else data
        if self._remote is not None:
            self._remote.put(content, path, mode)
        else:
            _write(content, Path(path), Path(self._folder), mode, self._cell.uid)
        return path

    def _real(self, path: str) -> str:
        """Return a path without symlinks, but for its last part, which is replaced, not followed."""
        parent, name = os.path.split(path)
        if self._remote is None:
            return f"{os.path.realpath(parent)}/{name}"
        found = self._remote.run(["realpath", "--canonicalize-missing", "--zero", "--", parent]).out
        return f"{os.fsdecode(found.rstrip(bytes(1)))}/{name}"

    def needs(self, path: str) -> None:
        """Let the contestant see a directory of this machine, read-only."""
        path = os.path.normpath(path)
        if not Path(path).is_absolute():
            raise ValueError(f"needs: {path} is no absolute path")
        if not Path(path).is_relative_to("/usr") and path not in self.needed:
            if len(Path(path).parts) < 3 or Path.home().is_relative_to(path):  # noqa: PLR2004 - "/", "/home": no runtime
                raise ValueError(f"needs: {path} is no runtime but somebody's whole world")
            self.needed.append(path)


class Handlers:
    """The requests, each a call of one function of the module."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def install(self, request: dict[str, Any]) -> dict[str, Any]:
        """Install; the value lists what a race must show beside the directory of installed things."""
        cell = unpacked_cell(request["cell"])
        arguments = {name: request[name] for name in ("version", "source") if request.get(name) is not None}
        with contextlib.closing(InstallLog(request.get("log"))) as log:
            host = ModuleHost(cell, cell.installed, containment.install_environment(os.environ), None, log)
            self._module.install(host, **arguments)
        return {"value": host.needed}

    def version(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what is really installed, by the module's own word; "" where it has none."""
        cell = unpacked_cell(request["cell"])
        host = ModuleHost(cell, cell.installed, {}, None)
        function = getattr(self._module, "version", None)
        return {"value": "" if function is None else _text(function(host), function)}

    def torrentfile(self, request: dict[str, Any]) -> dict[str, Any]:
        """Put the torrent where the client wants it; return that path."""
        remote = NamespaceHost(**request["host"])
        torrent = unpacked(request["torrent"])
        host = ModuleHost(containment.from_here(unpacked_cell(request["cell"]), remote), request["folder"], {}, remote)
        return {"value": _text(self._module.torrentfile(host, torrent), self._module.torrentfile)}

    def download(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the command as data."""
        command = self._module.download(request["torrentfile"], request["into"])
        if not isinstance(command, Command):
            raise WrongTypeError(self._module.download, command, "a Command")
        return {"value": {"argv": list(command.argv), "env": dict(command.env), "cwd": command.cwd}}


def unpacked_cell(fields: dict[str, Any]) -> Cell:
    """Return the cell that came as JSON."""
    lists = {name: tuple(fields[name]) for name in ("argv", "read_only", "writable")}
    return Cell(**{**fields, **lists})


def unpacked(fields: dict[str, Any]) -> Torrent:
    """Return the torrent that came as JSON; see `btgames.wrapper.packed`."""
    lists = {
        "data": base64.b64decode(fields["data"]),
        "pieces": base64.b64decode(fields["pieces"]),
        "trackers": tuple(fields["trackers"]),
        "layout": tuple((path, size) for path, size in fields["layout"]),
        "sources": tuple((server, path, offset, length) for server, path, offset, length in fields["sources"]),
    }
    return Torrent(**{**fields, **lists})


def _write(content: bytes, path: Path, folder: Path, mode: int, uid: int | None) -> None:
    """Write a file beneath `folder`, which belongs to whom an install's commands run as: they build in what was put."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a symlink may have this very name
    path.write_bytes(content)
    path.chmod(mode)
    if uid is not None:
        for made in (path, *path.parents[: len(path.relative_to(folder).parts) - 1]):
            os.chown(made, uid, uid)


class WrongTypeError(TypeError):
    """A function of the module returned what it must not."""

    def __init__(self, function: Callable[..., object], value: object, allowed: str) -> None:
        super().__init__(f"{function.__name__}() returned {type(value).__name__}; allowed is {allowed}")
        self.lineno = function.__code__.co_firstlineno


def _text(value: object, function: Callable[..., object]) -> str:
    if not isinstance(value, str):
        raise WrongTypeError(function, value, "a str")
    return value.strip()


def load(path: Path) -> ModuleType:
    """Import the module at `path` under a name that no package has: contestants are called like their clients."""
    spec = importlib.util.spec_from_file_location(f"btgames_contestant_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def guarded(path: Path, within_s: float, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call into the module; turn whatever it raises, or that it is late, into an answer that names file and line."""
    own = os.getpid()
    try:
        with contextlib.redirect_stdout(sys.stderr), _time_limit(within_s):
            return call()
    except NeedsPackages as needs:
        return {"needs": list(needs.packages)}
    except CommandFailed as why:
        return {"failed": str(why)}
    except Unsupported as why:
        return {"unsupported": str(why)}
    except HostError as error:
        return {"host": str(error)}
    except BaseException as error:  # noqa: BLE001 - a contestant's failure is data, SystemExit included
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None) or 1
        return {"problem": f"{path}:{line}: {type(error).__name__}: {_words(error)}"}
    finally:
        if os.getpid() != own:  # a child that the module forked and forgot: one answer is enough
            os._exit(0)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"did not return within {seconds:g} s")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _words(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - it is the contestant's own class
        return "(it cannot even say what)"


def main() -> None:
    """Import the module, say ready (or what is wrong), and serve."""
    path, import_s = Path(sys.argv[1]), float(sys.argv[2])
    # What the module or its commands print must not be taken for our answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = answers
    calls: dict[str, talk.Handler] = {}

    def ready() -> dict[str, Any]:
        handlers = Handlers(load(path))
        for call in (handlers.install, handlers.version, handlers.torrentfile, handlers.download):
            calls[call.__name__] = lambda request, call=call: guarded(  # type: ignore[misc]
                path, request["within_s"], lambda: call(request)
            )
        return {"value": ""}

    talk.serve(calls, **guarded(path, import_s, ready))


if __name__ == "__main__":
    main()
