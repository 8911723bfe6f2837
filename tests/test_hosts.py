"""Hosts and agents: the protocol over fakes, and the same over a real namespace."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeHost

from btgames.errors import HostError
from btgames.hosts import Agent, Host, last_lines
from btgames.testbeds import HostPlan
from btgames.testbeds.local import LocalTestbed
from btgames.testbeds.precheck import gather, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.hosts.namespace import NamespaceHost

ODD_AGENT = """
import json, os, signal, sys, time
def say(message):
    print(json.dumps(message), flush=True)
if "silent" in sys.argv:
    time.sleep(60)
if "broken" in sys.argv:
    raise SystemExit("no libfoo here")
say({"ready": True, "pid_inside": os.getpid()})
for line in sys.stdin:
    do = json.loads(line)["do"]
    if do == "die":
        print("something awful", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    elif do == "babble":
        print("hello", flush=True)
    elif do == "number":
        print("42", flush=True)
    elif do == "hang":
        time.sleep(60)
    elif do == "environment":
        say({"ok": True, "environment": dict(os.environ)})
    elif do == "big":
        say({"ok": True, "text": "x" * 3_000_000})
    else:
        say({"ok": True, "length": len(line)})
"""


@pytest.fixture(scope="module")
def client() -> Iterator[NamespaceHost]:
    """Give a real host in namespaces of this machine."""
    reason = why_not(gather())
    if reason:
        pytest.skip(reason.replace("\n", " "))
    with LocalTestbed([HostPlan("client")], memory_bytes=64 << 20) as testbed:
        yield testbed.hosts["client"]


@pytest.fixture
def odd(client: NamespaceHost, tmp_path: Path) -> NamespaceHost:
    """Return the same host with an agent of this test's own, `odd`."""
    agents = tmp_path / "btgames" / "agents"
    agents.mkdir(parents=True)
    (agents / "odd.py").write_text(ODD_AGENT, encoding="utf-8")
    return dataclasses.replace(client, project=str(tmp_path))


def test_an_agent_is_asked_over_any_host() -> None:
    """An agent is started as a module, its ready line is kept, and a request's answer comes back."""
    host: Host = (fake := FakeHost(ready={"tracker": {"port": 7}}, agents={"tracker": lambda _: {"ok": True, "n": 1}}))
    with Agent(host, "tracker", "--fast") as agent:
        assert agent.ready["port"] == 7
        assert agent.alive
        assert agent.ask("count", what="peers")["n"] == 1
    assert fake.calls == [
        ("client", "start", ["python3", "-m", "btgames.agents.tracker", "--fast"]),
        ("client", "tracker", {"do": "count", "what": "peers"}),
    ]
    assert not agent.alive


def test_an_error_answer_is_raised_in_the_agents_words() -> None:
    """An error answer becomes a HostError that names host and agent; the agent lives on."""
    host = FakeHost(agents={"seeder": lambda _: {"error": "OSError: disk full"}})
    with Agent(host, "seeder") as agent:
        with pytest.raises(HostError, match="client: seeder: OSError: disk full"):
            agent.ask("add")
        assert agent.alive


def test_a_late_agent_is_stopped() -> None:
    """No answer within the time limit: a HostError, and the agent is stopped, as its answers would be out of step."""
    with Agent(FakeHost(agents={"seeder": lambda _: None}), "seeder") as agent:
        with pytest.raises(HostError, match="client: seeder did not give an answer to 'add' in time"):
            agent.ask("add", timeout_s=0.01)
        assert not agent.alive
        with pytest.raises(HostError, match="took no request 'more'"):
            agent.ask("more")


def test_an_agent_that_was_not_entered_cannot_be_asked() -> None:
    """Asking before the context is entered is a defect of the caller's."""
    agent = Agent(FakeHost(), "seeder")
    assert not agent.alive
    with pytest.raises(RuntimeError, match="not entered"):
        agent.ask("add")


def test_last_lines_are_few_and_one_line() -> None:
    """The end of some output becomes one line; undecodable bytes and blank lines do no harm."""
    assert last_lines(b"a\n\nb\n  c \n\xff\n\n", count=3) == "b | c | \ufffd"
    assert last_lines(b"") == ""


@pytest.mark.testbed
class TestNamespaceHost:
    """The protocol, kept by a host in a namespace."""

    def test_a_command_runs_and_leaves_status_and_output(self, client: NamespaceHost) -> None:
        """Input is given, stdout, stderr and the exit status come back; by signal N is -N."""
        done = client.run(["sh", "-c", "cat; echo no >&2; exit 3"], input=b"yes", check=False)
        assert (done.status, done.out, done.err) == (3, b"yes", b"no\n")
        assert client.run(["sh", "-c", "kill -15 $$"], check=False).status == -15

    def test_a_failed_command_is_a_host_error_in_words(self, client: NamespaceHost) -> None:
        """The error names the host, the command, the status and the last lines of stderr."""
        with pytest.raises(HostError, match=r"client: sh -c .* ended with status 4: two \| three \| four"):
            client.run(["sh", "-c", "printf 'one\ntwo\nthree\nfour\n' >&2; exit 4"])
        with pytest.raises(HostError, match="no-such-program"):
            client.run(["no-such-program"])

    def test_a_command_that_takes_too_long_is_killed(self, client: NamespaceHost) -> None:
        """At the time limit the command itself is dead, not only what waited for it."""
        with pytest.raises(HostError, match=r"client: sleep 61 was killed after 0.2 s"):
            client.run(["sleep", "61"], timeout_s=0.2)
        deadline = time.monotonic() + 5
        while b"sleep\n" in client.run(["sh", "-c", "cat /proc/[0-9]*/comm"]).out:
            assert time.monotonic() < deadline, "sleep is still there"

    def test_files_are_put_and_got(self, client: NamespaceHost) -> None:
        """Bytes come back as they went, folders are made, the mode is as asked."""
        path = f"{client.folder}/some/where/file.bin"
        data = os.urandom(3_000_000)
        client.put(data, path, 0o750)
        assert client.get(path) == data
        assert client.run(["stat", "-c", "%a", path]).out == b"750\n"

    def test_put_replaces_a_symlink(self, client: NamespaceHost) -> None:
        """A symlink in the way is replaced; what it points to stays as it was."""
        folder = client.folder
        client.put(b"precious", f"{folder}/target")
        client.run(["ln", "-s", "target", f"{folder}/link"])
        client.put(b"new", f"{folder}/link")
        assert client.get(f"{folder}/target") == b"precious"
        assert client.get(f"{folder}/link") == b"new"

    def test_a_missing_file_is_a_host_error(self, client: NamespaceHost) -> None:
        """Reading what is not there says so."""
        with pytest.raises(HostError, match="No such file"):
            client.get(f"{client.folder}/nothing")

    def test_it_can_be_handed_to_another_process(self, client: NamespaceHost) -> None:
        """The record survives pickling, and the copy works."""
        copy = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own bytes
        assert copy == client
        assert copy.run(["true"]).status == 0

    def test_a_host_that_is_gone_says_so(self, client: NamespaceHost) -> None:
        """Even an unchecked command raises when it could not run at all."""
        gone = dataclasses.replace(client, name="nobody")
        with pytest.raises(HostError, match=r"nobody: true did not run, the host is gone"):
            gone.run(["true"], check=False)

    def test_commands_find_a_small_environment(self, odd: NamespaceHost) -> None:
        """Nothing of the user's environment reaches a host; agents find our package."""
        with Agent(odd, "odd") as agent:
            found = agent.ask("environment")["environment"]
        assert found == odd.environment()
        assert Path(found["PYTHONPATH"], "btgames").is_dir()

    def test_ctrl_c_is_for_the_harness_only(self, client: NamespaceHost) -> None:
        """What runs on a host is in a session of its own, which the terminal's signals do not reach."""
        process = client.start(["sleep", "60"])
        try:
            assert os.getsid(process.pid) != os.getsid(0)
        finally:
            assert process.stop(grace_s=0) == -9

    def test_a_process_is_spoken_to_line_by_line(self, client: NamespaceHost) -> None:
        """Lines come one at a time, None when none comes in time, b"" at the end; a last torn line is no line."""
        process = client.start(["sh", "-c", "printf 'one\ntwo\nthr'; cat; echo bye >&2; exit 5"])
        assert process.receive(5) == b"one\n"
        assert process.receive(5) == b"two\n"
        assert process.receive(0.05) is None
        process.send(b"ee\nfour", 5)
        assert process.receive(5) == b"three\n"
        assert process.poll() is None
        assert process.wait(0.01) is None
        assert process.stop() == 5
        assert process.last_words() == "bye"
        assert process.receive(5) == b""
        assert process.stop() == 5
        with pytest.raises(BrokenPipeError):
            process.send(b"more", 1)

    def test_a_process_that_reads_nothing_is_late(self, client: NamespaceHost) -> None:
        """Writing more than a pipe holds to a process that does not read ends at the time limit."""
        process = client.start(["sleep", "60"])
        with pytest.raises(TimeoutError):
            process.send(bytes(1 << 20), 0.1)
        process.stop(grace_s=0)

    def test_stderr_without_end_leaves_a_short_tail(self, client: NamespaceHost) -> None:
        """Of a long stderr the last lines are kept."""
        process = client.start(["sh", "-c", "seq 100000 >&2"])
        assert process.wait(20) == 0
        assert process.last_words() == "99998 | 99999 | 100000"
        process.stop()


@pytest.mark.testbed
class TestAgentOnNamespaceHost:
    """Agents that misbehave for real."""

    def test_large_messages_pass_both_ways(self, odd: NamespaceHost) -> None:
        """Megabytes of request and answer, more than a pipe holds, arrive whole."""
        with Agent(odd, "odd") as agent:
            assert agent.ask("measure", text="x" * 3_000_000)["length"] > 3_000_000
            assert len(agent.ask("big")["text"]) == 3_000_000

    def test_a_dead_agent_is_quoted(self, odd: NamespaceHost) -> None:
        """An agent that dies while it is asked leaves its status and last words in the error."""
        with Agent(odd, "odd") as agent:
            with pytest.raises(HostError, match=r"client: odd ended \(status -15\): something awful"):
                agent.ask("die")
            assert not agent.alive

    @pytest.mark.parametrize("verb", ["babble", "number"])
    def test_a_line_that_is_no_message_is_quoted(self, odd: NamespaceHost, verb: str) -> None:
        """Whatever is no JSON object is not taken for an answer."""
        with Agent(odd, "odd") as agent, pytest.raises(HostError, match="which is no message"):
            agent.ask(verb)

    def test_a_hanging_agent_is_killed(self, odd: NamespaceHost) -> None:
        """A late agent is killed at once, and leaving the context takes no further time."""
        began = time.monotonic()
        with Agent(odd, "odd") as agent, pytest.raises(HostError, match="did not give an answer to 'hang' in time"):
            agent.ask("hang", timeout_s=0.2)
        assert time.monotonic() - began < 5

    def test_an_agent_that_is_never_ready_is_killed(self, odd: NamespaceHost) -> None:
        """No ready line within the time limit is an error, and nothing keeps running."""
        with (
            pytest.raises(HostError, match="did not give its ready line in time"),
            Agent(odd, "odd", "silent", start_timeout_s=0.3),
        ):
            pass
        running = odd.run(["sh", "-c", "cat /proc/[0-9]*/cmdline"]).out
        assert b"btgames.agents.odd" not in running

    def test_an_agent_that_cannot_start_is_quoted(self, odd: NamespaceHost) -> None:
        """What a failed start printed is in the error."""
        with pytest.raises(HostError, match=r"odd ended \(status 1\): no libfoo here"), Agent(odd, "odd", "broken"):
            pass

    def test_an_answer_can_be_heard_later(self, odd: NamespaceHost) -> None:
        """`tell` returns at once; `hear` gives None until the answer is there."""
        with Agent(odd, "odd") as agent:
            assert agent.hear(0.01) is None
            agent.tell("measure")
            answer: dict[str, Any] | None = agent.hear(10)
            assert answer == {"ok": True, "length": len(json.dumps({"do": "measure"}, separators=(",", ":"))) + 1}
