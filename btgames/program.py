"""
The command line: an invoke program over tasks.py that answers a mistake with plain lines and the nearest name.

What invoke's own parser rejects tersely (``No idea what 'rcae' is!``) or lets pass in silence (``--contestant`` at the
end of the line) is found by `check` before invoke sees it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import select
import sys
from typing import TYPE_CHECKING, Any

from invoke import program
from invoke.collection import Collection
from invoke.config import Config
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.parser.parser import Parser
from invoke.tasks import Task, task

from btgames import __version__, places
from btgames.errors import GamesError, UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from invoke.parser.context import ParserContext

INTERRUPTED = 130  # the exit status of shells after SIGINT
PIPE_CLOSED = 141  # and after SIGPIPE: the reader of our output went away

# Of invoke's own options these make sense here; the others are about running shell commands.
OFFERED = ("--help", "-h", "--list", "-l", "--version", "-V")


def command(**options: Any) -> Callable[[Callable[..., int]], Task[Any]]:
    """
    Make a task of a function that returns an exit status. Used in tasks.py; works under plain ``invoke``, too.

    `options` are those of `invoke.task`. A GamesError becomes its lines on stderr and its status, Ctrl-C becomes 130.
    """

    def decorate(body: Callable[..., int]) -> Task[Any]:
        @functools.wraps(body)
        def wrapped(*args: Any, **kwargs: Any) -> None:
            try:
                status = body(*args, **kwargs)
            except GamesError as error:
                raise Exit(str(error), code=error.status) from error
            except KeyboardInterrupt as error:
                raise Exit(code=INTERRUPTED) from error
            if status:
                raise Exit(code=status)

        made: Task[Any] = task(auto_shortflags=False, **options)(wrapped)
        return made

    return decorate


def whole(option: str, text: str | None, *, least: int, most: int) -> int | None:
    """Return the whole number that the user wrote after `option`; None when the option was not given."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise UserError(f"{option}: found {_short(text)}; allowed is a whole number from {least} to {most}")
    return number


def remainder(argv: Sequence[str] | None = None) -> list[str]:
    """Return what stands after ``--``, word by word; invoke keeps it only as one string."""
    words = list(sys.argv if argv is None else argv)
    return words[words.index("--") + 1 :] if "--" in words else []


def check(words: Sequence[str], tasks: Mapping[str, ParserContext], core: ParserContext) -> None:
    """
    Raise UserError for the first word that is no task, option or value.

    `words` is the command line without the program's name, `tasks` the options of each task, `core` invoke's own.
    """
    context, waiting = core, ""
    given: set[str] = set()
    for word in words:
        option, equals, value = word.partition("=")
        is_option = _is_option(option, context)
        if waiting and is_option:
            break
        if waiting:
            waiting = ""
        elif word == "--":
            return
        elif is_option:
            waiting = _take(option, value if equals else None, context, core, given)
        elif word.startswith("-"):
            known = ["--help", *context.flags, *context.inverse_flags] if context.name else ["--help", "--list"]
            raise UserError(f"{_of(context)}unknown option {_short(option)}{nearest(option, known)}")
        elif word in tasks:
            context, given = tasks[word], set()
        else:
            raise UserError(f"unknown task {_short(word)}{nearest(word, tasks)}")
    if waiting:
        raise UserError(f"{_of(context)}{waiting} needs a value")


def _is_option(word: str, context: ParserContext) -> bool:
    return word in context.inverse_flags or word in OFFERED or (bool(context.name) and word in context.flags)


def _take(option: str, value: str | None, context: ParserContext, core: ParserContext, given: set[str]) -> str:
    """Check one known option and its ``=value``; return it when its value is still to come, else an empty string."""
    argument = next((level.flags[option] for level in (context, core) if option in level.flags), None)
    if argument is None or not argument.takes_value:  # None: the --no- form of a switch
        if value is not None:
            raise UserError(f"{_of(context)}{option} takes no value")
        return ""
    if option in given and argument.kind is not list:
        raise UserError(f"{_of(context)}{option} is given twice")
    given.add(option)
    if value is not None and _is_option(value, context):
        raise UserError(f"{_of(context)}{option} needs a value")
    return "" if argument.optional or value is not None else option


def _of(context: ParserContext) -> str:
    return f"{context.name}: " if context.name else ""


def _short(text: str) -> str:
    """Quote what the user wrote, on one line and not for ever."""
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004 - what fits beside the rest of a line


class Settings(Config):
    """Nothing of a ~/.invoke.yaml that is meant for other people's tasks."""

    prefix = "btgames"


class Program(program.Program):
    """The program `btgames`, which is also what ``./inv`` runs."""

    def __init__(self, tasks: Collection, **options: Any) -> None:
        super().__init__(namespace=tasks, **options)
        self._contexts: list[ParserContext] = tasks.to_contexts()  # once: making them uses up the tasks' help

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002 - invoke's own signature
        """Run the command line `argv` (None: this process's); ends in SystemExit unless `exit` is false."""
        words = sys.argv if argv is None else argv
        try:
            check(words[1:], {str(context.name): context for context in self._contexts}, self.initial_context)
            try:
                super().run(words, exit=exit)
            finally:
                sys.stdout.flush()
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(error.status)
        except BrokenPipeError:
            if not _reader_gone():
                raise  # another pipe broke, which is a defect to be seen
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its exit
            sys.exit(PIPE_CLOSED)

    def core_args(self) -> list[Argument]:
        """Return invoke's own options, ``--list`` without a value: there are no sub-collections."""
        arguments: list[Argument] = super().core_args()
        plain = Argument(names=("list", "l"), kind=bool, default=False, help="List the tasks.")
        return [plain if argument.name == "list" else argument for argument in arguments]

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse as invoke does, but let Python keep its compiled files: they make the next start quicker."""
        before = sys.dont_write_bytecode
        super().parse_core(argv)
        sys.dont_write_bytecode = before

    def _make_parser(self) -> Parser:
        return Parser(contexts=self._contexts, initial=self.initial_context)

    def print_help(self) -> None:
        """Print what to type, and the tasks."""
        print(f"Usage: {self.binary} TASK [--option VALUE]...\n")
        self.list_tasks()
        print(f"The options of a task: {self.binary} TASK --help")

    def task_list_opener(self, extra: str = "") -> str:  # noqa: ARG002 - invoke's own signature
        """Return the headline of the list of tasks."""
        return "Tasks"


def _reader_gone() -> bool:
    """Tell whether nobody reads our stdout any more, as in ``| head``."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors are reported unasked
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def load_tasks() -> Collection:
    """Return the tasks of tasks.py, wherever it ships."""
    spec = importlib.util.spec_from_file_location("btgames_tasks", places.TASKS)
    if spec is None or spec.loader is None:
        raise GamesError(f"{places.TASKS}: cannot be loaded; is the installation complete?")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Collection.from_module(module)


def main() -> None:
    """Run the command line of this process: the entry point."""
    in_clone = (places.TASKS.parent / "inv").exists()
    Program(
        load_tasks(),
        version=__version__,
        name="btgames",
        binary="./inv" if in_clone else "btgames",
        config_class=Settings,
    ).run()
