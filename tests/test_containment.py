"""Containment, attacked: from a heat's cell on the client host of a real testbed. With root and without."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cells import DEADLINE_S, ROOT, SHOWN, cell_in, marked, need_namespaces, python, wait_for
from stage import HEAT_BYTES, MEGABYTE, PRELUDE, Stage, result, staged
from unprivileged import run_as_other

from btgames import containment
from btgames.errors import HostError
from btgames.worker import ModuleHost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.testbed


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return the stage of all tests: an attack that harms it makes others fail."""
    need_namespaces()
    with staged(tmp_path_factory.mktemp("machine")) as stage:
        yield stage


@pytest.fixture
def stage(standing: Stage) -> Iterator[Stage]:
    """Return the stage, on which every process but the attacker lives when the test is over."""
    alive = [standing.client.start(["sleep", "1000"]), standing.seeder.start(["sleep", "1000"])]
    yield standing
    assert standing.testbed.alive
    assert [process.poll() for process in alive] == [None, None]
    for process in alive:
        process.stop(grace_s=0)
    standing.client.run(["find", standing.into, "-mindepth", "1", "-delete"])


def not_above(shown: Sequence[str], *paths: str) -> list[str]:
    """Return the paths that are not on the way to something that a cell shows."""
    return [path for path in paths if not any(Path(one).is_relative_to(path) for one in shown)]


def test_the_command_has_no_rights(stage: Stage) -> None:
    """It runs as somebody who is nobody, in no group, without capabilities and without a way to any."""
    words = stage.ask("tell(dict(line.rstrip().split(':', 1) for line in open('/proc/self/status')))")
    uids = {int(word) for word in words["Uid"].split()}
    assert uids == {1000 if stage.uid is None else stage.uid}
    assert len({int(word) for word in words["Gid"].split()} - {0}) == 1
    assert words["Groups"].split() in ([], ["65534"])
    assert {int(words[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert words["NoNewPrivs"].strip() == "1"


def test_nobody_else_is_there(stage: Stage) -> None:
    """It sees its own processes only, PID 1 not among them, and nothing that /proc tells of that one."""
    own, found = stage.ask(
        "found = {word: attempt(os.stat, '/proc/1/' + word) for word in\n"
        "    ('', 'root', 'fd', 'mem', 'environ', 'maps', 'cwd', 'exe', 'ns/mnt', 'oom_score_adj', 'task/1/stat')}\n"
        "tell([[word for word in os.listdir('/proc') if word.isdigit()] == [str(os.getpid())], found])"
    )
    assert own
    assert set(found.values()) == {"ENOENT"}


def test_signals_stay_inside(stage: Stage) -> None:
    """PID 1 and all outside outlive every signal that is sent to it, to everybody, and to every group."""
    script = (
        "for number in set(signal.valid_signals()) - {signal.SIGCHLD}:\n"
        "    attempt(os.kill, 1, number)\n"
        "    attempt(os.killpg, 1, number)\n"
        "seen = [pid for pid in range(2, 5000) if pid != os.getpid() and not attempt(os.kill, pid, 0)]\n"
        "tell(seen)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for number in (signal.SIGTERM, signal.SIGKILL): attempt(os.kill, -1, number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert stage.run(script) == (-signal.SIGKILL, "[]\n")


def test_pid_1_cannot_be_touched(stage: Stage) -> None:
    """It may not be traced, read, written, slowed down, or be asked for its files."""
    refused = stage.ask(
        "buffer = ctypes.create_string_buffer(64)\n"
        "piece = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)\n"
        "pidfd = os.pidfd_open(1)\n"
        "tell([\n"
        "    call(libc.ptrace, 16, 1, 0, 0), call(libc.ptrace, 0x4206, 1, 0, 0),\n"
        "    call(libc.process_vm_readv, 1, piece, 1, piece, 1, 0),\n"
        "    call(libc.process_vm_writev, 1, piece, 1, piece, 1, 0),\n"
        "    call(libc.syscall, 438, pidfd, 1, 0),\n"  # pidfd_getfd
        "    attempt(os.setpriority, os.PRIO_PROCESS, 1, 19),\n"
        "    attempt(os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0)),\n"
        "    attempt(os.sched_setaffinity, 1, [0]),\n"
        "])"
    )
    assert set(refused) == {"EPERM"}


def test_who_hinders_pid_1_hinders_nobody_else(stage: Stage) -> None:
    """Without root the kernel lets PID 1's limits be lowered; that ends the cell, and all in it with it."""
    mark = f"hinders-{os.getpid()}"
    script = (
        "refused = attempt(resource.prlimit, 1, resource.RLIMIT_NOFILE, (0, 0))\n"
        "print(refused or 'done', flush=True)\n"
        "if not refused: time.sleep(1000)"
    )
    status, printed = stage.run(script, mark)
    if stage.uid is None:
        assert (status, "its cell broke" in printed) == (127, True)
    else:
        assert (status, printed) == (0, "EPERM\n")
    assert marked(mark) == []


def test_mounts_stay_as_they_are(stage: Stage) -> None:
    """Nothing can be unmounted, lazily or not, remounted, mounted, moved or pivoted; no root can be changed."""
    refused = stage.ask(
        "mounts = [line.split()[4].encode() for line in open('/proc/self/mountinfo')]\n"
        "found = [call(libc.umount2, mount, flags) for mount in mounts for flags in (0, 1, 2, 8)]\n"
        "found += [call(libc.mount, b'none', mount, None, 32 | 4096, None) for mount in mounts]\n"
        "found += [call(libc.mount, b'tmpfs', b'/tmp', b'tmpfs', 0, None)]\n"
        "for flags in (4096, 8192):\n"
        "    found += [call(libc.mount, source, b'/tmp', None, flags, None) for source in mounts]\n"
        "found += [call(libc.pivot_root, b'/tmp', b'/tmp'), call(libc.chroot, b'/tmp')]\n"
        "found += [call(libc.syscall, 428, -100, b'/', 1), call(libc.syscall, 430, b'tmpfs', 0)]\n"  # open_tree, fsopen
        "tell(sorted(set(found)))"
    )
    assert refused == ["EPERM"]


def test_no_namespace_can_be_made_or_entered(stage: Stage) -> None:
    """No user namespace, by unshare or clone, hence no other; the kernel's limit on them cannot be raised again."""
    found = stage.ask(
        "spaces = {'user': 1 << 28, 'mnt': 1 << 17, 'net': 1 << 30, 'pid': 1 << 29, 'ipc': 1 << 27, 'uts': 1 << 26,\n"
        "    'cgroup': 1 << 25, 'time': 1 << 7}\n"
        "refused = {name: call(libc.unshare, flag) for name, flag in spaces.items()}\n"
        "refused['limit'] = attempt(os.open, '/proc/sys/user/max_user_namespaces', os.O_WRONLY)\n"
        "refused['setns'] = call(libc.setns, os.open('/proc/self/ns/user', os.O_RDONLY), 0)\n"
        "refused['mnt of its own'] = call(libc.setns, os.open('/proc/self/ns/mnt', os.O_RDONLY), 0)\n"
        "tell(refused)"
    )
    assert found.pop("user") == "ENOSPC"
    assert found.pop("limit") == "EACCES"
    assert found.pop("setns") == "EINVAL"
    assert set(found.values()) == {"EPERM"}


def test_no_way_round_the_names(stage: Stage) -> None:
    """No file can be opened by its handle, and no device made or found."""
    found = stage.ask(
        "handle = ctypes.create_string_buffer(struct.pack('IiQQ', 8, 1, 2, 0))\n"
        "found = {'handle': call(libc.open_by_handle_at, os.open('/usr', os.O_RDONLY), handle, 0)}\n"
        "found['disk'] = attempt(os.mknod, 'disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\n"
        "found['memory'] = attempt(os.mknod, 'memory', 0o600 | stat.S_IFCHR, os.makedev(1, 1))\n"
        "found['devices'] = sorted(name for name in os.listdir('/dev') if not os.path.islink('/dev/' + name))\n"
        "tell(found)"
    )
    assert found.pop("devices") == ["full", "null", "random", "shm", "tty", "urandom", "zero"]
    assert set(found.values()) == {"EPERM"}


def test_nothing_of_the_race_or_the_machine_can_be_read(stage: Stage) -> None:
    """Payload, marks, logs, homes, other contestants' things and the project do not exist, wherever it looks."""
    machine = [str(ROOT / "btgames"), str(ROOT / "scenarios"), str(Path.home()), "/root", "/home", "/sys", "/run/netns"]
    errors, files, secret = stage.ask(
        "errors = {path: attempt(os.stat, path) for path in sys.argv[2:]}\n"
        "found, files = [], 0\n"
        "for folder, folders, names in os.walk('/'):\n"
        "    folders[:] = {os.path.join(folder, name) for name in folders} - {'/usr', '/proc', sys.prefix}\n"
        "    for name in names:\n"
        "        path = os.path.join(folder, name)\n"
        "        if os.path.isfile(path) and not attempt(open, path):\n"
        "            files += 1\n"
        "            data = open(path, 'rb').read()\n"
        "            if sys.argv[1].encode() in data: found.append(path)\n"
        "for path in ('/proc/self/environ', '/proc/self/mountinfo', '/proc/net/unix', '/proc/keys'):\n"
        "    if sys.argv[1].encode() in open(path, 'rb').read(): found.append(path)\n"
        "tell([errors, files, found])",
        stage.secret,
        *not_above([*SHOWN, str(stage.installed)], *stage.secret_files, stage.seeded, *machine),
    )
    assert files > 20
    assert secret == []
    assert set(errors.values()) == {"ENOENT"}


def test_what_the_system_hides_stays_hidden(stage: Stage) -> None:
    """What only root may read of /etc, nobody may here; set-uid programs give nobody's rights but one's own."""
    shadow, programs = stage.ask(
        "programs = {}\n"
        "for folder, _, names in os.walk('/usr'):\n"
        "    for name in names:\n"
        "        path = os.path.join(folder, name)\n"
        "        if stat.S_ISREG(os.lstat(path).st_mode) and os.lstat(path).st_mode & 0o6000:\n"
        "            programs[path] = bool(os.statvfs(path).f_flag & os.ST_NOSUID)\n"
        "tell([attempt(open, '/etc/shadow'), programs])"
    )
    assert shadow == "EACCES"
    assert programs, "every system has su"
    assert all(programs.values())


def test_it_writes_where_it_may_and_nowhere_else(stage: Stage) -> None:
    """It can make files in its download directory, on its desk, in /tmp and /dev/shm; all else is read-only."""
    scratch = stage.ask(
        "made = []\n"
        "for folder, folders, _ in os.walk('/'):\n"
        "    if folder == '/': folders.remove('proc')\n"
        "    if not attempt(os.mknod, os.path.join(folder, 'trial')):\n"
        "        made.append(folder)\n"
        "        os.unlink(os.path.join(folder, 'trial'))\n"
        "tell(made)"
    )
    assert {"/tmp", "/tmp/home", "/var/tmp"} < set(scratch)
    assert str(stage.installed) not in scratch
    scratch = [path for path in scratch if path.split("/")[1] != "tmp" and not path.startswith("/var/tmp")]
    assert set(scratch) - {stage.heat} == {stage.into, f"{stage.heat}/desk", "/dev/shm"}
    assert (stage.heat in scratch) == (stage.uid is None)
    refused = stage.ask(
        "paths = [*sys.argv[1:], '/etc/passwd', '/usr/bin/env', '/proc/sysrq-trigger', '/proc/kcore']\n"
        "tell({path: [attempt(os.open, path, os.O_WRONLY), attempt(os.chmod, path, 0o777)] for path in paths})",
        f"{stage.installed}/source",
    )
    assert {word for words in refused.values() for word in words} <= {"EROFS", "EACCES", "EPERM", "ENOENT"}


def test_the_kernels_settings_stay_as_they_are(stage: Stage) -> None:
    """No setting in /proc/sys can be written but, without root, those of its own namespaces."""
    writable = stage.ask(
        "found = []\n"
        "for folder, _, names in os.walk('/proc/sys'):\n"
        "    for path in (os.path.join(folder, name) for name in names):\n"
        "        if not attempt(os.open, path, os.O_WRONLY):\n"
        "            same = b'0' if attempt(open, path) else open(path, 'rb').read()\n"
        "            if not attempt(os.write, os.open(path, os.O_WRONLY), same): found.append(path)\n"
        "tell(found)"
    )
    own = (
        "/proc/sys/kernel/msg",
        "/proc/sys/kernel/sem",
        "/proc/sys/kernel/shm",
        "/proc/sys/kernel/auto_msgmni",
        "/proc/sys/kernel/pid_max",
        "/proc/sys/fs/mqueue/",
    )
    assert [path for path in writable if not (stage.uid is None and path.startswith(own))] == []


def test_the_link_cannot_be_changed(stage: Stage) -> None:
    """Interface, addresses, routes and shaping are out of reach, and so are raw packets."""
    found = stage.ask(
        "plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "import fcntl\n"
        "request = struct.pack('16sH22x', b'eth0', 0)\n"
        "found = [attempt(fcntl.ioctl, plain, number, request) for number in (0x8914, 0x8916, 0x8922, 0x8943)]\n"
        "messages = [\n"
        "    (37, struct.pack('BxxxiIII', 0, 2, 0, 0xFFFFFFFF, 0)),\n"  # RTM_DELQDISC
        "    (16, struct.pack('BxHiII', 0, 0, 2, 0, 1)),\n"  # RTM_NEWLINK
        "    (25, struct.pack('BBBBBBBBI', 2, 15, 0, 0, 254, 0, 253, 1, 0)),\n"  # RTM_DELROUTE
        "]\n"
        "for kind, body in messages:\n"
        "    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n"
        "    link.send(struct.pack('IHHII', 16 + len(body), kind, 5, 1, 0) + body)\n"
        "    found.append(errno.errorcode[-struct.unpack_from('i', link.recv(4096), 16)[0]])\n"
        "found.append(attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1))\n"
        "found.append(attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3))\n"
        "tell(found)"
    )
    assert set(found) == {"EPERM"}


def test_it_reaches_the_race_and_nothing_else(stage: Stage) -> None:
    """The race's hosts answer it; the internet, the machine's own addresses and its abstract sockets do not."""
    abstract = f"\0btgames-{os.getpid()}"
    listen = "import socket; s = socket.create_server(('', 6969)); print('up', flush=True); s.accept()"
    with socket.socket(socket.AF_UNIX) as ours, socket.create_server(("127.0.0.1", 0)) as loopback:
        ours.bind(abstract)
        ours.listen()
        tracker = stage.testbed.hosts["tracker"]
        server = tracker.start([tracker.python, "-c", listen])
        assert server.receive(20) == b"up\n"
        found = stage.ask(
            "def reach(family, address): return attempt(socket.socket(family).connect, address)\n"
            "tell([reach(socket.AF_INET, ('198.18.0.1', 6969)),\n"
            "    [reach(socket.AF_INET, (host, 443)) for host in ('192.0.2.1', '8.8.8.8', '10.0.0.1')],\n"
            "    reach(socket.AF_INET, ('127.0.0.1', int(sys.argv[1]))), reach(socket.AF_UNIX, '\\0' + sys.argv[2]),\n"
            "    reach(socket.AF_INET6, ('2001:db8::1', 443))])",
            str(loopback.getsockname()[1]),
            abstract[1:],
        )
        server.stop()
    assert found == ["", ["ENETUNREACH"] * 3, "ECONNREFUSED", "ECONNREFUSED", "ENETUNREACH"]


def test_a_port_is_free_when_its_user_is_gone(stage: Stage) -> None:
    """A connection that one contestant has closed does not keep its port from the next one, careless of TIME_WAIT."""
    tracker = stage.testbed.hosts["tracker"]
    connect = "import socket; socket.create_connection(('198.18.0.3', 6881), 20).recv(1)"
    listen = (
        "server = socket.create_server(('', 6881))\n"
        "print('up', flush=True)\n"
        "server.accept()[0].close(); time.sleep(0.2)"
    )
    with stage.heat_of(listen) as process:
        wait_for(lambda: stage.log() == "up\n", "it listens")
        tracker.run([tracker.python, "-c", connect])
        assert result(process)["exit_status"] == 0
    assert stage.ask("tell(attempt(socket.socket().bind, ('', 6881)))") == ""


def test_a_fork_bomb(stage: Stage) -> None:
    """Processes are limited, hosts stay responsive meanwhile, and nothing of it is left."""
    mark = f"bomb-{os.getpid()}"
    script = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n"
        "    try: os.fork()\n"
        "    except OSError: time.sleep(0.001)"
    )
    with stage.heat_of(script, mark, time_limit_s=60) as process:
        wait_for(lambda: len(marked(mark)) > 256, "the bomb goes off")
        began = time.monotonic()
        stage.client.run(["true"])
        assert time.monotonic() - began < 10, "30 ms on a machine that is quiet otherwise"
        assert len(marked(mark)) <= 512
        process.send(b"stop\n", DEADLINE_S)
        facts = result(process)
    assert (facts["ended_by"], facts["failed"]) == ("SIGKILL", None)
    assert marked(mark) == []


HOGS = {
    "one process": "block = bytearray(200_000_000); time.sleep(60)",
    "one mapping": "block = mmap.mmap(-1, 200_000_000, mmap.MAP_PRIVATE); block[:] = b'x' * len(block)",
    "many processes": (
        "for _ in range(20):\n    if not os.fork(): break\n"
        "block = bytearray(10_000_000)\nblock[::4096] = b'x' * len(block[::4096])\ntime.sleep(60)"
    ),
    "shared mapping": (
        "block = mmap.mmap(-1, 200_000_000)\nfor at in range(0, len(block), 4096): block[at] = 1\ntime.sleep(60)"
    ),
    "memfd, not mapped": (
        "fd = os.memfd_create('x')\nfor _ in range(200): os.write(fd, bytes(1_000_000))\ntime.sleep(60)"
    ),
    "System V": (
        "libc.shmat.restype = ctypes.c_void_p\n"
        "at = libc.shmat(libc.shmget(0, 200_000_000, 0o600), None, 0)\n"
        "ctypes.memset(at, 1, 200_000_000)\n"
        "time.sleep(60)"
    ),
}


@pytest.mark.parametrize("script", HOGS.values(), ids=list(HOGS))
def test_a_memory_hog(stage: Stage, script: str) -> None:
    """More memory than it was given ends all of it, wherever it hides it; or the kernel gives it none."""
    mark = f"hog-{os.getpid()}"
    began = time.monotonic()
    status, printed = stage.run(script, mark, memory_bytes=100_000_000)
    if "MemoryError" in printed or "Cannot allocate memory" in printed:
        assert status == 1
    else:
        assert (status, printed.strip()) == (-9, "ended for using too much memory")
    assert time.monotonic() - began < 20
    assert marked(mark) == []


def test_memory_that_is_its_due(stage: Stage) -> None:
    """Files in the download directory, mapped by many, and in /tmp do not count as memory."""
    script = (
        "file = open('data', 'wb+')\nfile.write(bytes(20_000_000)); file.flush()\n"
        "for path in ('/tmp/data', '/dev/shm/data'):\n"
        "    with open(path, 'wb') as kept:\n"
        "        for _ in range(60): kept.write(bytes(1_000_000))\n"
        "children = []\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        view = mmap.mmap(file.fileno(), 0)\n"
        "        sum(view[::4096]); time.sleep(0.5); os._exit(0)\n"
        "    children.append(child)\n"
        "tell([os.waitpid(child, 0)[1] for child in children])"
    )
    assert stage.ask(script, memory_bytes=100_000_000) == [0] * 5


@pytest.mark.parametrize("where", ["download directory", "/tmp", "/dev/shm", "/var/tmp"])
def test_a_disk_filler(stage: Stage, where: str) -> None:
    """A full disk, by bytes or by files, is its own: others go on writing."""
    room = HEAT_BYTES if where == "download directory" else 64 * MEGABYTE
    bytes_written, by_bytes, files, by_files = stage.ask(
        "folder = '.' if sys.argv[1].startswith('down') else sys.argv[1]\n"
        "fd, written, ended = os.open(folder + '/filler', os.O_WRONLY | os.O_CREAT), 0, ''\n"
        "while not ended:\n"
        "    try: written += os.write(fd, bytes(1 << 16))\n"
        "    except OSError as error: ended = errno.errorcode[error.errno]\n"
        "os.ftruncate(fd, 0)\n"
        "files, full = 0, ''\n"
        "while not full and files < 1_000_000:\n"
        "    full = attempt(os.symlink, 'x', folder + '/' + str(files))\n"
        "    files += not full\n"
        "tell([written, ended, files, full])",
        where,
    )
    assert by_bytes == by_files == "ENOSPC"
    assert bytes_written <= room
    assert files <= room >> 12
    stage.client.put(bytes(MEGABYTE), f"{stage.client.folder}/other")
    stage.client.run(["rm", f"{stage.client.folder}/other"])


def test_other_limits(stage: Stage) -> None:
    """Files, open files, core files, priorities and names have limits, whatever the user's own are."""
    found = stage.ask(
        "limit = resource.getrlimit\n"
        "opened = []\n"
        "while not (full := attempt(lambda: opened.append(os.dup(0)))): pass\n"
        "names = ('NPROC', 'NOFILE', 'CORE', 'RTPRIO', 'NICE')\n"
        "limits = {name: limit(getattr(resource, 'RLIMIT_' + name)) for name in names}\n"
        "for fd in opened: os.close(fd)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if not child: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "left = [hex(os.waitpid(child, 0)[1])] + os.listdir('.')\n"
        "file = os.open('file', os.O_CREAT | os.O_WRONLY)\n"
        "tell([len(opened), full, limits, left, attempt(os.mkdir, 'x' * 256),\n"
        "    attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)), attempt(os.nice, -1),\n"
        "    attempt(os.ftruncate, file, 1 << 20)])",
        file_bytes=1 << 19,
    )
    opened, full, limits, left, long, real_time, nicer, large = found
    assert (opened < 4096, full) == (True, "EMFILE")
    assert limits == {"NPROC": [512, 512], "NOFILE": [4096, 4096], "CORE": [1, 1], "RTPRIO": [0, 0], "NICE": [0, 0]}
    assert left == ["0xb"], "killed by SIGSEGV, no core dumped"
    assert (long, real_time, nicer, large) == ("ENAMETOOLONG", "EPERM", "EPERM", "EFBIG")


def test_a_log_flood(stage: Stage) -> None:
    """Of 300 MB of output the first and the last megabyte are kept, in the time that it takes to write them."""
    script = (
        "print('first', flush=True)\n"
        "line = b'x' * 65535 + b'\\n'\n"
        "for _ in range(4578): os.write(1, line)\n"
        "print('last', flush=True)"
    )
    began = time.monotonic()
    status, printed = stage.run(script)
    assert time.monotonic() - began < 20, "0.4 s on a quiet machine"
    assert (status, printed[:6], printed[-5:]) == (0, "first\n", "last\n")
    assert 2 * MEGABYTE < len(printed) < 2 * MEGABYTE + 100
    assert f"[... {len(b'first') + 4578 * 65536 + len(b'last') + 2 - 2 * MEGABYTE} bytes left out ...]" in printed


def test_a_log_that_is_taken_back(stage: Stage) -> None:
    """A command that reads its own output out of the pipe keeps nobody waiting: its signals arrive."""
    script = (
        "back = os.open('/proc/self/fd/1', os.O_RDONLY | os.O_NONBLOCK)\n"
        "began = time.monotonic()\n"
        "while time.monotonic() - began < 0.5:\n"
        "    os.write(1, b'x')\n"
        "    attempt(os.read, back, 65536)\n"
        "time.sleep(1000)"
    )
    facts = stage.facts(script, time_limit_s=1)
    assert (facts["timed_out"], facts["failed"], facts["ended_by"]) == (True, None, "SIGINT")


def test_a_flood_does_not_make_the_watch_late(stage: Stage) -> None:
    """Completion is seen in time, although the contestant prints as fast as it can meanwhile."""
    script = (
        "if not os.fork():\n"
        "    while True: os.write(1, bytes(1 << 16))\n"
        "time.sleep(0.5)\n"
        "file = open('payload.bin', 'wb', buffering=0)\n"
        "file.write(data()[:-100])\n"
        "time.sleep(0.3)\n"
        "last = data()[-100:]\n"
        "with open('truth', 'w') as truth: truth.write(repr(time.monotonic()))\n"
        "file.write(last)\n"
        "time.sleep(1000)"
    )
    facts = stage.facts(script, exits=False)
    late_s = facts["exec_s"] + facts["complete_s"] - float(stage.client.get(f"{stage.into}/truth"))
    assert 0 <= late_s < 0.25, "2 ms on a quiet machine"
    assert len(stage.log()) < 2 * MEGABYTE + 100


def test_a_daemon_that_will_not_go(stage: Stage) -> None:
    """A daemon in a session of its own, deaf and without descriptors, is dead when the heat is over."""
    mark = f"daemon-{os.getpid()}"
    script = (
        "open('payload.bin', 'wb').write(data())\n"
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:\n"
        "    attempt(signal.signal, number, signal.SIG_IGN)\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.closerange(0, 100)\n"
        "    while True: time.sleep(1000)"
    )
    facts = stage.facts(script, mark, exit_grace_s=0.5)
    assert (facts["exit_status"], facts["exit_s"], facts["ended_by"], facts["wrong_pieces"]) == (0, None, "SIGKILL", 0)
    assert marked(mark) == []


def test_a_contestant_that_stops_itself(stage: Stage) -> None:
    """A process that was stopped, by its own hand, is ended at the time limit as any other."""
    mark = f"stops-{os.getpid()}"
    facts = stage.facts("os.kill(os.getpid(), signal.SIGSTOP)", mark, time_limit_s=0.5)
    assert (facts["timed_out"], facts["ended_by"], facts["failed"]) == (True, "SIGKILL", None)
    assert marked(mark) == []


LEADS_ASTRAY = {
    "symlink to the payload": "os.symlink(sys.argv[1], 'payload.bin')",
    "symlink to its folder": "os.symlink(os.path.dirname(sys.argv[1]), 'folder')",
    "FIFO": "os.mkfifo('payload.bin'); time.sleep(1)",
    "socket": "socket.socket(socket.AF_UNIX).bind('payload.bin')",
    "directory": "os.mkdir('payload.bin')",
    "symlink to a device": "os.symlink('/dev/zero', 'payload.bin')",
    "symlink to a process": "os.symlink('/proc/self/root' + sys.argv[1], 'payload.bin')",
    "loop": "os.symlink('payload.bin', 'payload.bin')",
    "hole of a terabyte": "os.mkdir('d'); open('d/payload.bin', 'wb').truncate(1 << 33)",
    "deep folders": "for _ in range(500): os.mkdir('d'); os.chdir('d')",
    "many files": "for number in range(4000): attempt(os.mknod, str(number))",
    "strange names": "for name in (b'\\xff\\xfe', b'\\x1b[2J\\n', b'[bold]', b'x' * 255): os.mknod(name)",
    "no rights": "os.mkdir('d', 0); open('payload.bin', 'wb').write(data()[:-1]); os.chmod('payload.bin', 0)",
}


@pytest.mark.parametrize("script", LEADS_ASTRAY.values(), ids=list(LEADS_ASTRAY))
def test_the_watch_is_not_led_astray(stage: Stage, script: str) -> None:
    """Whatever lies in the download directory but the payload itself, nothing of it counts, and nobody waits."""
    facts = stage.facts(script, stage.seeded)
    assert (facts["exit_status"], facts["failed"], facts["complete_s"], stage.log()) == (0, None, None, "")
    assert facts["blocks_right"] in (0, 20)
    assert (facts["blocks_right"] == 20) == ("data()" in script)


def test_a_download_directory_that_is_replaced(stage: Stage) -> None:
    """Whoever puts something else in the directory's place, which only works without root, gains nothing by it."""
    script = (
        "os.chdir('..')\n"
        "refused = attempt(os.rename, 'into', 'away') or attempt(os.symlink, os.path.dirname(sys.argv[1]), 'into')\n"
        "print(refused)"
    )
    facts = stage.facts(script, stage.seeded)
    assert (facts["failed"], facts["blocks_right"], facts["complete_s"]) == (None, 0, None)
    assert stage.log() == ("\n" if stage.uid is None else "EACCES\n")
    if stage.uid is None:
        with pytest.raises(HostError, match="Not a directory"):
            stage.client.run([stage.client.python, "-m", "btgames.agents.verify"], input=stage.what_to_look_for())
        stage.client.run(["rm", stage.into])
        stage.client.run(["mv", f"{stage.heat}/away", stage.into])


def test_keys_of_the_session_are_not_for_everyone(tmp_path: Path) -> None:
    """What the session that started the race keeps in the kernel's keyring cannot be found."""
    numbers = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(os.uname().machine)
    if numbers is None:
        pytest.skip("the numbers of keyctl and add_key are known here for x86_64 and aarch64 only")
    keyctl, add_key = numbers
    join = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        f"libc.syscall({keyctl}, 1, None)\n"
        f"assert libc.syscall({add_key}, b'user', b'diary', b'secret', 6, -3) > 0\n"
        f"assert libc.syscall({keyctl}, 10, -3, b'user', b'diary', 0) > 0\n"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    cell = cell_in(tmp_path / "installed")
    argv = (sys.executable, "-c", join, *cell.argv)
    script = (
        f"tell([call(libc.syscall, {keyctl}, 10, ring, b'user', b'diary', 0) for ring in (-1, -2, -3, -4, -5)]"
        " + ['diary' in open('/proc/keys').read()])"
    )
    status, printed = containment.run(replace(cell, argv=argv), python(PRELUDE + script), {}, "/", 20)
    assert (status, json.loads(printed)[-1]) == (0, False)
    assert "" not in json.loads(printed)[:-1]


def test_an_install_reads_no_secret(tmp_path: Path) -> None:
    """Its environment and files have what package tools need: no key, no home, no project, nobody else's things."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / ".netrc").write_text("secret")
    user = {
        "AWS_SECRET_ACCESS_KEY": "secret", "GOOGLE_APPLICATION_CREDENTIALS": "secret", "GITHUB_TOKEN": "secret",
        "CARGO_REGISTRY_TOKEN": "secret", "CARGO_REGISTRIES_MINE_TOKEN": "secret", "NPM_CONFIG__AUTH": "secret",
        "GOAUTH": "secret", "SSH_AUTH_SOCK": "secret", "PIP_CLIENT_CERT": "secret", "HOME": str(home),
        "GOPROXY": "https://go.example", "PIP_INDEX_URL": "https://py.example", "https_proxy": "http://p.example",
        "CARGO_REGISTRIES_MINE_INDEX": "sparse+https://rs.example", "no_proxy": ".example", "SSL_CERT_FILE": "/etc/ca",
    }  # fmt: skip
    env = containment.install_environment(user)
    assert set(env) == {
        "GOPROXY", "PIP_INDEX_URL", "https_proxy", "CARGO_REGISTRIES_MINE_INDEX", "no_proxy", "SSL_CERT_FILE",
    }  # fmt: skip
    script = (
        "tell([sorted(os.environ.values()), {path: attempt(os.listdir, path) for path in sys.argv[1:]},\n"
        "    attempt(open, '/usr/file', 'w'), attempt(os.kill, int(os.readlink('/proc/self')) - 1, 9)])"
    )
    cell = cell_in(tmp_path / "mine")
    paths = not_above([*SHOWN, cell.installed], str(home), str(ROOT / "btgames"), "/root", "/home", "/proc/1")
    status, printed = containment.run(cell, python(PRELUDE + script, *paths), env, "/", 20)
    assert status == 0, printed
    values, errors, writes, _ = json.loads(printed)
    assert "secret" not in "".join(values)
    assert set(errors.values()) == {"ENOENT"}
    assert writes == "EROFS"


def test_an_install_leaves_no_process(tmp_path: Path) -> None:
    """What its commands leave running is ended with them; the install does not wait for it."""
    mark = f"left-{os.getpid()}"
    script = "if os.fork(): os._exit(7)\nos.setsid(); signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
    began = time.monotonic()
    assert containment.run(cell_in(tmp_path / "mine"), python(PRELUDE + script, mark), {}, "/", 20) == (7, "")
    assert time.monotonic() - began < 10
    assert marked(mark) == []


def test_no_symlink_of_an_install_is_written_through(tmp_path: Path) -> None:
    """A file or folder that a command has replaced by a symlink does not lead the harness out of the folder."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    cell = cell_in(tmp_path / "mine")
    host = ModuleHost(cell, cell.installed, {}, None)
    host.run("ln", "-s", str(precious / "file"), "driver.py")
    host.run("ln", "-s", str(precious), "folder")
    host.put("driver", "driver.py")
    with pytest.raises(ValueError, match="symlink"):
        host.put("driver", "folder/file")
    host.put("driver", "other/folder/file")
    assert (precious / "file").read_text() == "precious"
    assert (Path(cell.installed) / "driver.py").read_text() == "driver"
    assert (Path(cell.installed) / "other/folder/file").read_text() == "driver"


def test_no_symlink_of_a_heat_is_written_through(stage: Stage) -> None:
    """The same on the client host, where a command of torrentfile() may have been at work."""
    desk = f"{stage.heat}/desk"
    host = ModuleHost(containment.from_here(stage.cell(), stage.client), desk, {}, stage.client)
    host.run("ln", "-s", stage.client.folder, "folder")
    host.put("torrent", "test.torrent")
    with pytest.raises(ValueError, match="symlink"):
        host.put("torrent", "folder/client.log")
    assert stage.client.get(f"{desk}/test.torrent") == b"torrent"


class TestRun:
    """`containment.run`: what it returns, and that nothing outlasts it."""

    def test_status_and_output(self, tmp_path: Path) -> None:
        """The command's exit status, and what it printed on both outputs."""
        cell = cell_in(tmp_path / "mine")
        script = "print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
        assert containment.run(cell, python("import sys; " + script), {}, "/", 20) == (3, "out\nerr\n")

    def test_environment_and_folder(self, tmp_path: Path) -> None:
        """The environment is a small one with what was asked for, programs of the install come first."""
        cell = cell_in(tmp_path / "mine")
        script = "import os; print(os.getcwd(), os.environ['X'], os.environ['PATH'].split(':')[0])"
        env = {"X": "y"}
        expected = f"{cell.installed} y {cell.installed}/venv/bin\n"
        assert containment.run(cell, python(script), env, cell.installed, 20) == (0, expected)

    def test_output_as_it_is_printed(self, tmp_path: Path) -> None:
        """What it prints can be had at once, while it runs on, and is returned all the same."""
        go = Path(cell_in(tmp_path / "mine").installed, "go")
        heard: list[bytes] = []

        def hear(data: bytes) -> None:
            heard.append(data)
            go.touch()

        script = f"import os, time; print('up', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
        run = containment.run(cell_in(tmp_path / "mine"), python(script), {}, "/", 20, hear)
        assert (run, heard) == ((0, "up\n"), [b"up\n"])

    def test_too_late(self, tmp_path: Path) -> None:
        """After its time all of it is killed, what it had printed is kept, and the status says so."""
        mark = f"late-{os.getpid()}"
        script = "import os, time; os.fork() or os.setsid(); print('up', flush=True); time.sleep(1000)"
        cell = cell_in(tmp_path / "mine")
        assert containment.run(cell, python(script, mark), {}, "/", 2) == (-9, "up\nup\n")
        assert marked(mark) == []

    @pytest.mark.parametrize(
        ("argv", "cwd", "reason"),
        [
            (["no-such-program"], "/", "no-such-program: No such file or directory"),
            (["true"], "/no/such", "/no/such: No such file or directory"),
        ],
    )
    def test_what_cannot_start(self, tmp_path: Path, argv: list[str], cwd: str, reason: str) -> None:
        """A program or folder that is not there is status 127 and its name."""
        assert containment.run(cell_in(tmp_path / "mine"), argv, {}, cwd, 20) == (127, reason)

    def test_a_cell_that_never_was(self, tmp_path: Path) -> None:
        """Where not even the cell can be started, status 127 comes with what was said about it."""
        cell = replace(cell_in(tmp_path / "mine"), argv=("sh", "-c", "echo no namespaces here >&2; exit 1"))
        status, printed = containment.run(cell, ["x" * 100_000], {}, "/", 20)
        assert (status, printed) == (127, "no namespaces here\n\nits cell broke")


def test_without_root_all_of_this_holds_too(root: Path) -> None:
    """The tests of this file pass for an unprivileged user."""
    run_as_other(root, ("test_containment",), but="test_containment.py::test_without_root_all_of_this_holds_too")
