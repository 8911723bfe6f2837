"""
Who races: entries as the user writes them, and the facts of the modules that they name.

A module is read, not run, here: name, constants and the three functions are taken from its syntax tree. Running it is
the crew's business, in a child process.
"""

from __future__ import annotations

import ast
import glob
import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import places
from btgames.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT = ("libtorrent", "libtorrent_default", "pybittorrent", "http")
"""The race of someone who names nobody: none of them needs root or a system package."""

GROUPS = ("all", "quick")
"""Names that stand for many: every contestant that ships, and those that are not SLOW."""

_FUNCTIONS = {"install": ("host", "version"), "torrentfile": ("host", "torrent"), "download": ("torrentfile", "into")}
_CONSTANTS: dict[str, str | int | bool] = {
    **dict.fromkeys(("TITLE", "HOME", "LANGUAGE", "LICENCE", "DEFECT"), ""),
    "YEAR": 0,
    "EXITS": True,
    "UTP": True,
    "YARDSTICK": False,
    "SLOW": False,
}
_LABEL = re.compile(r"[^\W_][\w.+-]{0,39}")
_MODULE_BYTES = 1 << 20


@dataclass(frozen=True)
class Contestant:
    """One contestant of a race: an entry, and what its module says of itself."""

    label: str  # under which it races
    spec: str  # as the user wrote it
    path: Path  # of its module, absolute
    pin: str = ""  # the version to install
    asked_version: str | None = None  # the user's @VERSION
    source: Path | None = None  # the user's :SOURCE_DIR, absolute
    sha256: str = ""  # of the module
    doc: str = ""  # first line of the module's docstring
    constants: dict[str, Any] = field(default_factory=lambda: dict(_CONSTANTS))
    problem: str = ""  # why the module cannot race, with file and line; empty when nothing is known against it

    @property
    def name(self) -> str:
        """Its module's name."""
        return self.path.stem

    @property
    def title(self) -> str:
        """What to call it in prose."""
        return str(self.constants["TITLE"] or self.doc.partition(":")[0] or self.name)

    @property
    def exits(self) -> bool:
        """Whether it ends by itself; False: seeds on for ever, so nobody waits for it."""
        return bool(self.constants["EXITS"])

    @property
    def defect(self) -> str:
        """What the client itself does wrong, in a line; heats that fail are no surprise then. "": nothing is known."""
        return str(self.constants["DEFECT"])

    @property
    def utp(self) -> bool:
        """Whether it speaks uTP (BEP 29); False: it cannot race where seeders accept nothing else."""
        return bool(self.constants["UTP"])

    @property
    def yardstick(self) -> bool:
        """Whether it is no BitTorrent client, but shows what the link can do."""
        return bool(self.constants["YARDSTICK"])


def contestant_files(folder: Path) -> dict[str, Path]:
    """Return the contestants' modules of `folder` by name; a leading underscore marks what is not one."""
    return {path.stem: path for path in sorted(folder.glob("[!_.]*.py"))}


def load(specs: Sequence[str], folder: Path) -> tuple[Contestant, ...]:
    """
    Return the contestants that the user named, in their order.

    Args:
        specs: each ``[LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]``, a pattern of paths, or one of `GROUPS`.
        folder: where names are looked up.

    Raises:
        UserError: an entry that names nobody, or labels that are not different.

    """
    found: list[Contestant] = []
    for spec in specs:
        try:
            found += _one_spec(spec, folder)
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # no path at all: too long, with a NUL, no such user's home
            why = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"--contestant {_shown(spec)}: {why}") from error
    return tuple(_with_different_labels(found))


def _one_spec(spec: str, folder: Path) -> Iterable[Contestant]:
    known = contestant_files(folder)
    if spec in GROUPS and spec not in known:
        everyone = [read(path, label=name, spec=name) for name, path in known.items()]
        return [one for one in everyone if spec == "all" or not one.constants["SLOW"]]
    label, equals, rest = spec.partition("=")
    if not equals:
        label, rest = "", spec
    elif not _LABEL.fullmatch(label):
        raise UserError(
            f"--contestant {_shown(spec)}: the label {_shown(label)} may have up to 40 letters, digits, _ . + -"
        )
    name, version, source = _parts(rest, spec)
    paths = _paths(name, known, spec)
    if label and len(paths) > 1:
        raise UserError(f"--contestant {_shown(spec)}: one label for {len(paths)} contestants")
    # What a pattern matches is called by its own name: messages say how to install it, and only it.
    return [
        read(path, label=label or _label(path), spec=_own(spec, name, path), version=version, source=source)
        for path in paths
    ]


def _own(spec: str, name: str, path: Path) -> str:
    return spec.replace(name, _near(path), 1) if glob.has_magic(name) else spec


def _label(path: Path) -> str:
    """Return a label made of a module's name, with nothing that is odd in a table or as a folder's name."""
    return re.sub(r"[^\w.+-]", "-", path.stem).lstrip("_.+-")[:40] or "contestant"


def _parts(text: str, spec: str) -> tuple[str, str | None, Path | None]:
    """Split NAME_OR_PATH[@VERSION][:SOURCE_DIR]."""
    rest, colon, folder = text.partition(":")
    name, at, version = rest.partition("@")
    if (at and not version) or (colon and not folder) or not name:
        raise UserError(f"--contestant {_shown(spec)}: expected [LABEL=]NAME_OR_PATH[@VERSION][:SOURCE_DIR]")
    if at and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+~-]{0,99}", version):
        raise UserError(f"--contestant {_shown(spec)}: {_shown(version)} is not a version")
    if not colon:
        return name, version or None, None
    source = Path(folder).expanduser().resolve()
    if not source.is_dir():
        raise UserError(f"--contestant {_shown(spec)}: {_shown(folder)} is not a directory")
    return name, version or None, source


def _paths(name: str, known: dict[str, Path], spec: str) -> list[Path]:
    if name in known:
        return [known[name]]
    if "/" not in name and not name.endswith(".py"):
        raise UserError(
            f"unknown contestant {_shown(name)}{nearest(name, known)}\n"
            f"{places.COMMAND} contestants lists those that ship; a file of your own is given as ./NAME.py"
        )
    if glob.has_magic(name):
        # A pattern may name whole folders: everything in them that could be a contestant.
        matches = sorted(Path(match) for match in glob.glob(name))  # noqa: PTH207 - the pattern may be absolute
        paths = [path for path in matches if path.suffix == ".py" and not path.name.startswith(("_", "."))]
        if not paths:
            raise UserError(f"--contestant {_shown(spec)}: no contestant's module (NAME.py) matches")
        return [path.resolve() for path in paths]
    path = Path(name)
    if not path.is_file():
        what = "is a directory; write its files as 'DIR/*'" if path.is_dir() else "no such file"
        raise UserError(f"--contestant {_shown(spec)}: {_shown(name)}: {what}")
    if path.suffix != ".py":
        raise UserError(f"--contestant {_shown(spec)}: a contestant's module is a Python file, NAME.py")
    return [path.resolve()]


def _with_different_labels(found: list[Contestant]) -> list[Contestant]:
    labels: dict[str, list[Contestant]] = {}
    for one in found:
        labels.setdefault(one.label, []).append(one)
    renamed: list[Contestant] = []
    for one in found:
        same = labels[one.label]
        if len({other.path for other in same}) == len(same) > 1 and one.label == _label(one.path):
            # students/ann/client.py and students/bob/client.py: the folder tells them apart.
            renamed.append(replace(one, label=f"{_label(one.path.parent)}.{one.label}"[:40]))
        else:
            renamed.append(one)
    seen: set[str] = set()
    for one in renamed:
        if one.label in seen:
            again = one.spec.partition("=")[2] or one.spec
            raise UserError(
                f"two contestants are labelled {one.label}: write LABEL= before {_shown(again)} to tell them apart"
            )
        seen.add(one.label)
    return renamed


def read(path: Path, *, label: str, spec: str, version: str | None = None, source: Path | None = None) -> Contestant:
    """Return the contestant that the module at `path` describes; what is wrong with it goes into `problem`."""
    shown = _near(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MODULE_BYTES + 1)
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}") from error
    entry = Contestant(label, spec, path, version or "", version, source, hashlib.sha256(data).hexdigest())
    if len(data) > _MODULE_BYTES:
        return replace(entry, problem=f"{shown}: over 1 MB; a contestant's module has 10 to 40 lines")
    try:
        tree = ast.parse(data, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        return replace(entry, problem=f"{shown}:{line}: {getattr(error, 'msg', error)}")
    doc = (ast.get_docstring(tree) or "").strip().split("\n")[0]
    constants, problem = _constants(tree, shown)
    entry = replace(entry, doc=doc, constants=constants)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    problem = _missing(functions, shown) or problem
    if problem:
        return replace(entry, problem=problem)
    install = functions["install"]
    for given, name, what in ((source, "source", ":SOURCE_DIR"), (version, "version", "@VERSION")):
        if given is not None and name not in _parameters(install):
            problem = f"{shown}:{install.lineno}: install() has no parameter {name}, so takes no {what}"
            return replace(entry, problem=problem)
    return replace(entry, pin=version or _default_version(install))


def _missing(functions: dict[str, ast.FunctionDef], shown: str) -> str:
    for name, wanted in _FUNCTIONS.items():
        function = functions.get(name)
        if function is None:
            return f"{shown}:1: it has no function {name}({', '.join(wanted)})"
        lacking = [each for each in wanted if each not in _parameters(function) and each != "version"]
        if lacking:
            return f"{shown}:{function.lineno}: {name}() has no parameter {lacking[0]}: {name}({', '.join(wanted)})"
    return ""


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _constants(tree: ast.Module, shown: str) -> tuple[dict[str, Any], str]:
    """Return the constants, defaults where the module has none, and what is wrong with the first that is not right."""
    constants, problem = dict(_CONSTANTS), ""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is None or not isinstance(target, ast.Name) or target.id not in constants:
            continue
        wanted = type(_CONSTANTS[target.id])
        if isinstance(value, ast.Constant) and type(value.value) is wanted:
            constants[target.id] = value.value
        else:
            found = type(value.value).__name__ if isinstance(value, ast.Constant) else "no literal"
            problem = (
                problem or f"{shown}:{node.lineno}: {target.id} is {found}; allowed is a literal {wanted.__name__}"
            )
    return constants, problem


def _default_version(install: ast.FunctionDef) -> str:
    """Return the pin: the literal default of install's `version`."""
    arguments = [*install.args.posonlyargs, *install.args.args]
    defaults = dict(zip([each.arg for each in reversed(arguments)], reversed(install.args.defaults), strict=False))
    defaults |= {
        each.arg: default
        for each, default in zip(install.args.kwonlyargs, install.args.kw_defaults, strict=True)
        if default is not None
    }
    default = defaults.get("version")
    return default.value if isinstance(default, ast.Constant) and isinstance(default.value, str) else ""


def _near(path: Path) -> str:
    """Return the path as the user would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _shown(text: str) -> str:
    """Quote what the user wrote, on one line and not for ever."""
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004 - what fits beside the rest of a line
