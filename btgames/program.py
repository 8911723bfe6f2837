"""The command line: an invoke program over tasks.py that answers a mistake with plain lines and an exit status."""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any

from invoke import program
from invoke.collection import Collection
from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.parser.parser import Parser
from invoke.tasks import Task, task

from btgames import __version__, places
from btgames.arguments import check
from btgames.errors import GamesError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.parser.context import ParserContext

INTERRUPTED = 130  # the exit status of shells after SIGINT
PIPE_CLOSED = 141  # and after SIGPIPE: the reader of our output went away


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


class Settings(Config):
    """Nothing of a ~/.invoke.yaml that is meant for other people's tasks."""

    prefix = "btgames"


class Program(program.Program):
    """The program `btgames`, which is also what ``./inv`` runs."""

    def __init__(self, tasks: Collection, **options: Any) -> None:
        super().__init__(namespace=tasks, **options)
        self._contexts: list[ParserContext] = tasks.to_contexts()  # once: making them uses up the tasks' help

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002 - invoke's own signature
        """Run the command line `argv` (None: this process's); a status other than 0 ends in SystemExit if `exit`."""
        try:
            status = self._status(sys.argv if argv is None else argv)
            sys.stdout.flush()
        except BrokenPipeError:
            if not _reader_gone():
                raise  # another pipe broke, which is a defect to be seen
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its exit
            status = PIPE_CLOSED
        if exit and status:
            sys.exit(status)

    def _status(self, argv: list[str]) -> int:
        """Do what invoke's `run` does, and return the exit status."""
        try:
            check(argv[1:], {str(context.name): context for context in self._contexts}, self.initial_context)
            self.create_config()
            self.parse_core(argv)
            self.parse_collection()
            self.parse_tasks()
            self.parse_cleanup()
            self.update_config()
            self.execute()
        except Exit as end:
            if end.message:
                print(end.message, file=sys.stderr)
            return end.code
        except (UserError, ParseError) as error:
            print(error, file=sys.stderr)
            return UserError.status
        except KeyboardInterrupt:
            return INTERRUPTED
        return 0

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
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal speaks UTF-8, and a label may hold any letter.
        sys.stdout.reconfigure(errors="backslashreplace")
    Program(
        load_tasks(),
        version=__version__,
        name="btgames",
        binary=places.COMMAND,
        config_class=Settings,
    ).run()
