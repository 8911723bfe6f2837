"""A host within the private namespaces of a race: of this machine (testbeds/local.py) or of one far away (ssh.py)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btgames.errors import HostError
from btgames.hosts import Finished, failure
from btgames.hosts.process import PipedProcess, kill_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where commands are looked up on a host: the same for everyone, whatever the user's own PATH."""


@dataclass(frozen=True)
class NamespaceHost:
    """
    A plain record, so that it can be handed to a child process; see `btgames.hosts.Host`.

    Commands come in from outside through nsenter, 3 ms each; they start in ``/``, in a session of their own.
    """

    name: str
    address: str
    folder: str
    python: str
    project: str  # the folder that holds the btgames package: agents' PYTHONPATH
    keeper: int  # process id of the keeper of the namespaces, as this machine sees it
    user_namespace: bool = False  # whether the keeper has a user namespace of its own: a race without root
    own_network: bool = True  # whether it is a named network namespace; else it has the machine's network

    @property
    def within(self) -> NamespaceHost:
        """Itself."""
        return self

    def command(self, argv: Sequence[str]) -> list[str]:
        """
        Return the argv that runs `argv` on this host, from anywhere on the machine.

        Namespaces are known by name within the keeper's mounts only, hence the path through its root. When nsenter is
        killed, the inner setpriv's parent-death signal kills the command too; when the keeper dies, the kernel does.
        """
        user = ["--user", "--preserve-credentials"] if self.user_namespace else []
        network = [f"--net=/proc/{self.keeper}/root/run/netns/{self.name}"] if self.own_network else []
        enter = ["nsenter", "--target", str(self.keeper), *user, "--mount", "--pid", "--ipc", *network]
        return [*enter, "--", "setpriv", "--pdeathsig", "KILL", *argv]

    def environment(self) -> dict[str, str]:
        """Return what commands on this host find in their environment: little, and the same for every user."""
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": self.folder,
            "TMPDIR": self.folder,
            "PYTHONPATH": self.project,
            "PYTHONDONTWRITEBYTECODE": "1",  # root must not leave files of its own in the user's checkout
        }

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002 - the name that subprocess.run uses
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> Finished:
        """Run a command to its end; see `btgames.hosts.Host.run`."""
        with self._popen(argv) as popen:
            try:
                out, err = popen.communicate(input, timeout_s)
            except subprocess.TimeoutExpired as late:
                kill_session(popen)
                raise failure(self.name, argv, f"was killed after {timeout_s:g} s", late.stderr or b"") from late
            except BaseException:  # Ctrl-C, say
                kill_session(popen)
                raise
            status = popen.returncode
        if status and err.startswith(b"nsenter: "):
            raise failure(self.name, argv, "did not run, the host is gone", err)
        if check and status:
            raise failure(self.name, argv, f"ended with status {status}", err)
        return Finished(status, out, err)

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> PipedProcess:
        """Start a command and return at once. `env` is added to the host's own small environment."""
        try:
            return PipedProcess(self.command(argv), {**self.environment(), **(env or {})})
        except OSError as error:
            raise HostError(f"{self.name}: {error}") from error

    def put(self, data: bytes, path: str, mode: int = 0o644) -> None:
        """Write a file, making its folders; a file or symlink of that name is replaced, not written through."""
        self.run(["install", "-D", "-m", f"{mode:o}", "--", "/dev/stdin", path], input=data)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return self.run(["cat", "--", path]).out

    def _popen(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                self.command(argv), stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment(), start_new_session=True
            )
        except OSError as error:
            raise HostError(f"{self.name}: {error}") from error
