"""
Machines of the stand-in: boot, list, terminate. Also a command line: ``python -m standin.machines --help``.

The folder STANDIN_DIR is a region; who names the same folder sees the same machines.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standin import keeper
from standin.image import image, why_not
from standin.machine import CGROUPS

ROOT = Path(__file__).parent.parent
FOLDER = "STANDIN_DIR"
DEADLINE_S = 30.0


class StandinError(Exception):
    """The stand-in cannot do what it was asked."""


@dataclass(frozen=True)
class Region:
    """A region, by its folder."""

    folder: Path

    @classmethod
    def here(cls) -> Region:
        """Return the region of STANDIN_DIR."""
        return cls(Path(os.environ.get(FOLDER) or "/tmp/standin"))

    @property
    def facts(self) -> dict[str, Any]:
        """Its index, network, and addresses: `caller` (this machine's own), `stranger` (this machine's, too)."""
        try:
            return dict(json.loads((self.folder / "region.json").read_text()))
        except FileNotFoundError:
            return {}

    def open(self, *, owner: int = 0, lease_s: float = keeper.LONGEST_S, round_trip_ms: float = 0.0) -> Region:
        """
        Start the region where there is none yet; it ends with the process `owner`, or after `lease_s`.

        `round_trip_ms` is how far away it is, about; without it, it is as near as can be.
        """
        if self.facts:
            return self
        if reason := why_not():
            raise StandinError(reason)
        image()  # here, where somebody waits for it
        self.folder.mkdir(parents=True, exist_ok=True)
        # Nobody's child: it is for init to reap, whenever it ends.
        argv = ["setsid", "--fork", sys.executable, "-m", "standin.keeper", str(self.folder)]
        options = ["--owner", str(owner), "--lease-s", str(lease_s)]
        options += ["--round-trip-ms", str(round_trip_ms)]
        with (self.folder / "keeper.log").open("ab") as log:
            started = subprocess.run(
                [*argv, *options],
                check=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # which ends when the region is there, or will never be
                stderr=log,
                timeout=DEADLINE_S,
            )
        if started.stdout != keeper.READY:
            raise StandinError(f"no region: {(self.folder / 'keeper.log').read_text()}")
        return self

    def close(self) -> None:
        """End the region and all that is in it; nothing where there is none."""
        if self.facts and self.kept:
            os.kill(self.facts["keeper"], signal.SIGTERM)
        deadline = time.monotonic() + DEADLINE_S
        while self.kept:
            if time.monotonic() > deadline:
                raise StandinError(f"the region of {self.folder} does not end")
            time.sleep(0.01)
        self.sweep()

    def sweep(self) -> None:
        """Remove what a region has left whose keeper was killed."""
        facts = self.facts
        if facts and not self.kept:
            keeper.clear(facts["index"])
            for name in ("region.json", "socket"):
                (self.folder / name).unlink(missing_ok=True)

    @property
    def kept(self) -> bool:
        """Whether there is a keeper: it holds a lock as long as it lives."""
        try:
            with (self.folder / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def ask(self, what: str, **request: Any) -> Any:
        """Ask the region, and return what it answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            try:
                connection.connect(str(self.folder / "socket"))
            except OSError as error:
                raise StandinError(f"no region at {self.folder}: {error}") from error
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps({"ask": what, **request}).encode() + b"\n")
                stream.flush()
                answer = json.loads(stream.readline() or '{"error": "it has ended"}')
        if "error" in answer:
            raise StandinError(answer["error"])
        return answer["value"]

    def boot(self, name: str, user_data: bytes = b"", **order: Any) -> dict[str, Any]:
        """Boot a machine, see `machine.Order`; addresses that are not given are the first free ones."""
        machines = [each for each in self.list() if each["state"] == "running"]
        order.setdefault("private", _free("198.18.0.0/24", [each["private"] for each in machines]))
        order.setdefault("public", self.free_public())
        return dict(self.ask("boot", name=name, user_data=base64.b64encode(user_data).decode(), **order))

    def free_public(self) -> str:
        """Return a public address that no machine of the region has had, as long as there is one."""
        return _free(self.facts["network"], [each["public"] for each in self.list()])

    def list(self) -> list[dict[str, Any]]:
        """Return all machines, those that have ended too."""
        return list(self.ask("list"))

    def terminate(self, name: str) -> None:
        """End a machine and remove all of it."""
        self.ask("terminate", name=name)

    def kill(self, name: str) -> None:
        """Let a machine die; nobody is told."""
        self.ask("kill", name=name)

    def cut(self, name: str, seconds: float) -> None:
        """Cut a machine off from the network for a while."""
        self.ask("cut", name=name, seconds=seconds)

    def set_groups(self, groups: dict[str, Any]) -> None:
        """Set what security groups there are: name -> {"ingress": [rule], "egress": [rule]}, see `packets.Rule`."""
        self.ask("groups", groups=groups)


def _free(network: str, taken: list[str]) -> str:
    hosts = [str(address) for address in ipaddress.ip_network(network).hosts()][9:250]
    return next(address for address in hosts if address not in taken)


def sweep() -> list[str]:
    """Remove what killed regions have left anywhere on this machine; return the names of their links or tables."""
    tables = subprocess.run(["nft", "list", "tables"], check=False, capture_output=True, text=True).stdout.split()
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    groups = {path.name.removeprefix("btgames-") for base in CGROUPS for path in base.glob("btgames-standin*")}
    left = sorted(name for name in {*tables, *groups} - links if name[len(keeper.LINK) :].isdecimal())
    for name in left:
        keeper.clear(int(name.removeprefix(keeper.LINK)))
    return left


def main(words: list[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m standin.machines", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    boot = commands.add_parser("boot", help="boot a machine; starts the region where there is none")
    boot.add_argument("name")
    boot.add_argument("--user-data", type=Path)
    boot.add_argument("--private")
    boot.add_argument("--public")
    boot.add_argument("--failure", default="", choices=["", "never boots", "offline"])
    for name in ("terminate", "kill", "cut"):
        command = commands.add_parser(name)
        command.add_argument("name")
        if name == "cut":
            command.add_argument("seconds", type=float)
    for name in ("list", "open", "close", "sweep"):
        command = commands.add_parser(name)
        if name == "open":
            command.add_argument("--round-trip-ms", type=float)
    arguments = vars(parser.parse_args(words))
    region, command = Region.here(), arguments.pop("command")
    try:
        _print(_do(region, command, {name: value for name, value in arguments.items() if value}))
    except StandinError as error:
        raise SystemExit(f"{error}") from error


def _do(region: Region, command: str, arguments: dict[str, Any]) -> Any:
    if command == "boot":
        path = arguments.pop("user_data", None)
        return region.open().boot(user_data=path.read_bytes() if path else b"", **arguments)
    if command == "open":
        return region.open(**arguments).facts
    if command == "sweep":
        region.sweep()
        return sweep()
    return getattr(region, command)(**arguments)


def _print(value: Any) -> None:
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        sys.stdout.write(f"{json.dumps(each)}\n")


if __name__ == "__main__":
    main()
