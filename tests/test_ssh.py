"""Machines and hosts over SSH: commands, processes and files there, as on any host, and what becomes of them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fleet_rig import ENVIRONMENT, SKIP, machine, rig, running, until_gone

from btgames.errors import HostError, HostLostError
from btgames.hosts import Agent
from btgames.hosts.line import Line
from btgames.hosts.ssh import SshMachine

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [SKIP, pytest.mark.cloud]

__all__ = ["machine"]  # the fixture

MEGABYTE = 1 << 20


def cut_off(machine: SshMachine) -> None:
    """Break the connections of a machine's line."""
    for connection, _ in machine.line._connections:
        assert connection.transport
        connection.transport.sock.close()


# Commands.


def test_a_command_runs_as_root_and_leaves_status_and_output(machine: SshMachine) -> None:
    """Input is given; stdout, stderr and the exit status come back, and nothing of ours among them."""
    done = machine.run(["sh", "-c", "cat; whoami; echo no >&2; exit 3"], input=b"yes\n", check=False)
    assert (done.status, done.out, done.err) == (3, b"yes\nroot\n", b"no\n")


def test_root_needs_no_sudo() -> None:
    """Who logs in as root is root."""
    line = Line(rig().root)
    assert SshMachine(line, ENVIRONMENT).run(["whoami"]).out == b"root\n"
    line.close()


@pytest.mark.parametrize(("number", "status"), [("TERM", -15), ("KILL", -9), ("INT", -2)])
def test_a_signal_is_told_as_one(machine: SshMachine, number: str, status: int) -> None:
    """By signal N is -N, as everywhere."""
    assert machine.run(["sh", "-c", f"kill -{number} $$"], check=False).status == status


def test_words_arrive_as_they_are(machine: SshMachine) -> None:
    """Blanks, quotes, variables, newlines and stars are nobody's to interpret; nor is an empty word lost."""
    words = ["a b", "'", '"', "$HOME", "$(id)", "`id`", "*", "a\nb", "", "é", "-n", "\\", "!x", ";", "~"]
    assert machine.run(["printf", "%s\\0", *words]).out == b"".join(word.encode() + b"\0" for word in words)


def test_the_environment_is_ours_alone(machine: SshMachine) -> None:
    """Commands find what was given, and nothing of the login's; more can be added for one of them."""
    found = machine.run(["sh", "-c", "env | grep -v -E '^(PWD|_|SHLVL)='"]).out.decode().split()
    assert sorted(found) == sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())
    process = machine.start(["sh", "-c", "echo $MORE"], env={"MORE": "a b"})
    assert process.receive(10) == b"a b\n"
    process.stop()


def test_a_failed_command_is_a_host_error_in_words(machine: SshMachine) -> None:
    """The error names the machine, the command, the status and the last lines of stderr."""
    with pytest.raises(HostError, match=r"good: sh -c .* ended with status 4: two \| three \| four"):
        machine.run(["sh", "-c", "printf 'one\ntwo\nthree\nfour\n' >&2; exit 4"])
    with pytest.raises(HostError, match=r"good: no-such-program ended with status 127: .*not found"):
        machine.run(["no-such-program"])


def test_sudos_own_words_do_no_harm(machine: SshMachine) -> None:
    """A machine that cannot resolve its own name, which sudo warns of, is one whose commands can still be killed."""
    machine.run(["sh", "-c", "cp /etc/hosts /etc/hosts.kept; : >/etc/hosts; mv /etc/resolv.conf /etc/resolv.kept"])
    try:
        assert b"unable to resolve host" in machine.run(["true"]).err
        with pytest.raises(HostError, match=r"was killed after 0.5 s"):
            machine.run(["sleep", "1001"], timeout_s=0.5)
        until_gone(machine, "sleep 1001")
    finally:
        machine.run(["sh", "-c", "mv /etc/hosts.kept /etc/hosts; mv /etc/resolv.kept /etc/resolv.conf"])


def test_a_command_that_takes_too_long_is_killed_with_its_children(machine: SshMachine) -> None:
    """At the time limit the whole group dies, children that ignore signals too; what it said is quoted."""
    script = "trap '' TERM HUP INT; echo busy >&2; sleep 1002 & sleep 1002 & wait"
    began = time.monotonic()
    with pytest.raises(HostError, match=r"good: sh -c .* was killed after 0.5 s: busy"):
        machine.run(["sh", "-c", script], timeout_s=0.5)
    assert time.monotonic() - began < 5
    until_gone(machine, "sleep 1002")


def test_nothing_runs_on_when_the_harness_is_interrupted(machine: SshMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a command ends it there."""

    def interrupted(*_: object) -> bytes:
        while not running(machine, "sleep 1003"):
            pass
        raise KeyboardInterrupt

    process = machine.start(["sleep", "1003"])
    monkeypatch.setattr(machine, "start", lambda _: process)
    monkeypatch.setattr(process, "communicate", interrupted)
    monkeypatch.setattr(machine, "run", SshMachine(machine.line, ENVIRONMENT).run)
    with pytest.raises(KeyboardInterrupt):
        SshMachine.run(machine, ["sleep", "1003"])
    until_gone(machine, "sleep 1003")


# Much.


def test_much_input_and_output_at_once(machine: SshMachine) -> None:
    """Both directions are more than any buffer, at the same time."""
    data = os.urandom(8 * MEGABYTE)
    assert machine.run(["cat"], input=data).out == data


def test_a_command_that_reads_late_gets_all_of_its_input(machine: SshMachine) -> None:
    """Input waits for a command that has something else to do first; none of it is lost."""
    data = bytes(12 * MEGABYTE)
    assert machine.run(["sh", "-c", "sleep 1; wc -c"], input=data).out == b"%d\n" % len(data)


def test_a_command_that_does_not_read_holds_nobody_up(machine: SshMachine) -> None:
    """Input that nobody wants is dropped when the command has ended."""
    assert machine.run(["echo", "done"], input=bytes(12 * MEGABYTE)).out == b"done\n"


@pytest.mark.parametrize("script", ["head -c 8000000 /dev/zero >&2", "exec >&-; head -c 8000000 /dev/zero >&2"])
def test_much_stderr_is_cut_to_its_end(machine: SshMachine, script: str) -> None:
    """A command that complains a lot, its stdout closed or not, runs to its end; the last lines are kept."""
    began = time.monotonic()
    done = machine.run(["sh", "-c", f"{script}; echo; echo last >&2"], check=False)
    assert done.err.endswith(b"last\n")
    assert len(done.err) <= 4096
    assert time.monotonic() - began < 20


# Files.


def test_files_are_put_and_got(machine: SshMachine) -> None:
    """Bytes come back as they went, folders are made, the mode is as asked; empty files too."""
    data = os.urandom(3 * MEGABYTE)
    machine.put(data, "/tmp/some/where/a b.bin", 0o750)
    assert machine.get("/tmp/some/where/a b.bin") == data
    assert machine.run(["stat", "-c", "%a %U", "/tmp/some/where/a b.bin"]).out == b"750 root\n"
    machine.put(b"", "/tmp/empty")
    assert machine.get("/tmp/empty") == b""


def test_put_replaces_a_symlink(machine: SshMachine) -> None:
    """A symlink in the way is replaced; what it points to stays as it was."""
    machine.put(b"precious", "/tmp/target")
    machine.run(["ln", "-sf", "target", "/tmp/link"])
    machine.put(b"new", "/tmp/link")
    assert (machine.get("/tmp/target"), machine.get("/tmp/link")) == (b"precious", b"new")


def test_a_missing_file_is_a_host_error(machine: SshMachine) -> None:
    """Reading what is not there says so."""
    with pytest.raises(HostError, match=r"good: cat -- /nothing ended with status 1: .*No such file"):
        machine.get("/nothing")


# Processes.


def test_a_process_is_spoken_to_line_by_line(machine: SshMachine) -> None:
    """Lines are given and taken with deadlines; its end is told, with the end of its stderr."""
    process = machine.start(["sh", "-c", "while read word; do echo got $word; done; echo bye >&2; exit 7"])
    assert process.poll() is None
    process.send(b"one\ntwo\n", 5)
    assert [process.receive(5), process.receive(5)] == [b"got one\n", b"got two\n"]
    assert process.receive(0.1) is None
    assert process.wait(0.1) is None
    assert process.stop(5) == 7
    assert process.stop() == 7
    assert process.poll() == 7
    assert process.receive(1) == b""
    assert process.last_words() == "bye"
    with pytest.raises(OSError, match="closed"):
        process.send(b"more\n", 1)


def test_a_process_that_does_not_read_is_a_timeout(machine: SshMachine) -> None:
    """What its stdin does not take in time is not waited for."""
    process = machine.start(["sleep", "1004"])
    with pytest.raises(TimeoutError):
        process.send(bytes(8 * MEGABYTE), 0.5)
    process.stop(grace_s=0)
    until_gone(machine, "sleep 1004")


def test_a_process_that_does_not_end_is_killed_whole(machine: SshMachine) -> None:
    """After its grace the group is killed; the status says so."""
    process = machine.start(["sh", "-c", "trap '' TERM; echo up; sleep 1005; sleep 1005"])
    assert process.receive(5) == b"up\n"
    assert process.stop(grace_s=0.1) in {-9, -1}
    until_gone(machine, "sleep 1005")


def test_an_agent_of_ours_can_be_asked(machine: SshMachine) -> None:
    """What is spoken over pipes on this machine is spoken over SSH as well; big answers too."""
    agent = (
        "import sys, json\nprint(json.dumps({'ready': True}), flush=True)\n"
        "for line in sys.stdin: print(json.dumps({'ok': True, 'text': 'x' * json.loads(line)['many']}), flush=True)\n"
    )
    machine.put(b"", "/tmp/agents/odd/__init__.py")
    machine.put(agent.encode(), "/tmp/agents/odd/big.py")
    host = SshMachine(machine.line, {**ENVIRONMENT, "PYTHONPATH": "/tmp/agents"})
    with Agent(host, "big", package="odd") as big:
        assert len(big.ask("it", many=3_000_000, timeout_s=30)["text"]) == 3_000_000
    assert not big.alive


# A connection that breaks.


@pytest.mark.parametrize(
    "use",
    [
        lambda process: process.receive(20),
        lambda process: process.send(b"x" * MEGABYTE, 20),
        lambda process: process.communicate(b"", 20),
    ],
    ids=["receive", "send", "communicate"],
)
def test_a_connection_that_breaks_is_told_apart(machine: SshMachine, use: Callable[[object], object]) -> None:
    """Whoever waits for a process whose connection breaks is told that, not that the process has ended."""
    process = machine.start(["sh", "-c", "exec cat >/dev/null"])
    assert process.poll() is None
    cut_off(machine)
    with pytest.raises(HostLostError, match="good: the connection broke"):
        use(process)
    assert process.wait(5) == -1
    assert process.stop() == -1
    assert machine.run(["echo", "again"]).out == b"again\n"


def test_a_command_whose_sshd_is_killed_is_lost() -> None:
    """Where the other end of the connection dies, a command is lost, checked or not; the next one works."""
    line = Line(rig().root)
    machine = SshMachine(line, ENVIRONMENT)
    machine.run(["true"])
    # Above the group's leader is setsid, which waits for it; above that the connection's sshd.
    kill = "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID))"
    for script in (f"{kill}; sleep 5", f"exec >&-; sleep 0.3; {kill}"):  # stdout has ended by then, or has not
        with pytest.raises(HostLostError, match="good: the connection broke"):
            machine.run(["sh", "-c", script], check=False)
    assert machine.run(["echo", "again"]).out == b"again\n"
    line.close()


def test_a_machine_that_dies_is_lost_and_then_does_not_answer(machine: SshMachine) -> None:
    """A machine without a network for longer than patience is lost; stopping what ran there raises nothing."""
    short = SshMachine(Line(rig().good, patience_s=1.0), ENVIRONMENT)
    process = short.start(["sleep", "1006"])
    assert process.wait(0.5) is None
    rig().region.cut("good", 4.5)
    process.send(b"hello?", 5)  # what TCP does not get acknowledged
    with pytest.raises(HostLostError):
        process.receive(20)
    with pytest.raises(HostError, match="good does not answer at"):
        short.run(["true"])
    began = time.monotonic()
    process.stop(grace_s=0)
    assert time.monotonic() - began < 3
    short.line.close()
    machine.run(["pkill", "-x", "sleep"])


def test_stopping_what_cannot_be_killed_raises_nothing(machine: SshMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that refuses us by now has nothing of ours to be ended; the status is unknown."""
    process = machine.start(["sleep", "1007"])
    assert process.wait(0.5) is None
    monkeypatch.setattr(machine.line, "remote", replace(machine.line.remote, host_key="ssh-ed25519 AAAA"))
    machine.line.close()
    assert process.stop(grace_s=0) == -1
