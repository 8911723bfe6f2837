"""Inventories: machines of one's own, from a file or the command line, and which of them is which host of a race."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btgames.errors import UserError
from btgames.hosts.remote import ROLES, Remote
from btgames.testbeds import HostPlan, inventory

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = (HostPlan("tracker"), HostPlan("seeder-1", 20), HostPlan("seeder-2", 20), HostPlan("client", 250, 250))
MORE = "name more of them"


def public_key(kind: str = "ssh-ed25519", *, inner: str | None = None, cut: int = 0) -> str:
    """Return a public host key as one line, with another kind inside or its end cut off where asked."""
    parts = ((inner or kind).encode(), bytes(32))
    data = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"{kind} {base64.b64encode(data[: len(data) - cut]).decode()}"


KEY = public_key()
WHOLE = f"""\
machines:
  - role: tracker
    address: 192.0.2.1
  - role: seeder
    address: seeder.example
    user: debian
    key: id_ed25519
    private_address: 10.0.0.2
    port: 2222
    host_key: {KEY} root@seeder
  - role: seeder
    address: 192.0.2.3
    name: big-one
    key: /keys/other
  - role: client
    address: my_alias
"""


def refusal(folder: Path, text: str | bytes) -> list[str]:
    """Return the lines that a file earns, its folder taken out."""
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        inventory.load(path)
    return str(refused.value).replace(f"{folder}/", "").split("\n")


def machine(**fields: str | int) -> str:
    """Return a file of one client with these fields."""
    lines = [f"{name}: {value}" for name, value in {"role": "client", "address": "192.0.2.1", **fields}.items()]
    return "machines:\n  - " + "\n    ".join(lines) + "\n"


# The file.


def test_a_file_gives_its_machines(tmp_path: Path) -> None:
    """All fields reach the machine; names are numbered by role, keys lie beside the file, the user is root."""
    (tmp_path / "mine.yaml").write_text(WHOLE)
    assert inventory.load(tmp_path / "mine.yaml") == [
        Remote("tracker-1", "tracker", "192.0.2.1", "root"),
        Remote(
            "seeder-1",
            "seeder",
            "seeder.example",
            "debian",
            "10.0.0.2",
            2222,
            tmp_path / "id_ed25519",
            f"{KEY} root@seeder",
        ),
        Remote("big-one", "seeder", "192.0.2.3", "root", key_file=Path("/keys/other")),
        Remote("client-1", "client", "my_alias", "root"),
    ]


def test_a_key_may_be_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the user's home, in a file and on the command line."""
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "mine.yaml").write_text(machine(key="~/.ssh/id"))
    assert inventory.load(tmp_path / "mine.yaml")[0].key_file == Path("/home/me/.ssh/id")
    assert inventory.from_words(["client=192.0.2.1"], "~/.ssh/id")[0].key_file == Path("/home/me/.ssh/id")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("role", "node", "found node; allowed: tracker, seeder or client"),
        ("address", "-x", "found -x; allowed: the IPv4 address or name under which SSH reaches it"),
        ("address", "a..b", "found a..b; allowed: the IPv4 address or name"),
        ("address", "a" * 64, "allowed: the IPv4 address or name"),
        ("address", ".".join(["a" * 63] * 4), "allowed: the IPv4 address or name"),
        ("address", "user@host", "found user@host; allowed: the IPv4 address or name"),
        ("address", "8", "found 8; allowed: the IPv4 address or name"),
        ("user", "'root; reboot'", 'found "root; reboot"; allowed: root, or who may sudo unasked'),
        ("port", "0", "found 0; allowed: SSH's, 1 to 65535"),
        ("port", "65536", "found 65536; allowed: SSH's, 1 to 65535"),
        ("port", "'22'", 'found "22"; allowed: SSH\'s, 1 to 65535'),
        ("private_address", "10.0.0.256", "found 10.0.0.256; Octet 256 (> 255) not permitted in '10.0.0.256'"),
        ("private_address", "inside", "found inside; Expected 4 octets in 'inside'"),
        ("key", "~nobody-is-called-that/id", "nobody here is called nobody-is-called-that"),
        ("key", '"a\\0b"', "not a file name"),
        ("key", "''", "not a file name"),
        ("host_key", "AAAA", "found AAAA; allowed: its public host key, ssh-ed25519 AAAA"),
        ("host_key", "ssh-ed25519 AAA", "not a whole key; the machine has it in /etc/ssh/ssh_host_ed25519_key.pub"),
        ("host_key", public_key(cut=1), "not a whole key"),
        ("host_key", public_key(cut=36), "not a whole key"),
        ("host_key", public_key(inner="ssh-rsa"), "not a whole key"),
        ("name", "'a b'", 'found "a b"; allowed: what to call it, for messages'),
        ("adress", "192.0.2.2", "no such field - did you mean address?"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, field: str, value: str, words: str) -> None:
    """Each mistake is told in one line: file, line, field, what was found and what is allowed."""
    text = machine(**{field: value})
    (line,) = refusal(tmp_path, text)
    number = next(n for n, each in enumerate(text.split("\n"), 1) if f"{field}:" in each)
    assert line.startswith(f"mine.yaml, line {number}: machines[0].{field}: "), line
    assert words in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ["mine.yaml, line 1: the file is empty"]),
        (b"machines: []\n", ["mine.yaml, line 1: machines: an inventory without machines"]),
        (
            b"- role: client\n",
            ["mine.yaml, line 1: found a list; fields are wanted, one a line"],
        ),
        (
            b"hosts: []\n",
            [
                "mine.yaml: 2 mistakes",
                "  line 1: machines: missing; it takes a list of machines, each with role, address, user, key, ...",
                "  line 1: hosts: no such field; known: machines",
            ],
        ),
        (
            b"machines:\n  - role: client\n  - address: 192.0.2.1\n",
            [
                "mine.yaml: 2 mistakes",
                "  line 2: machines[0].address: missing; it takes the IPv4 address or name under which SSH reaches it",
                "  line 3: machines[1].role: missing; it takes tracker, seeder or client",
            ],
        ),
        (
            b"machines:\n  - {role: client, address: 192.0.2.1, address: 192.0.2.2}\n",
            ["mine.yaml, line 2: machines[0].address: given twice, first in line 2"],
        ),
        (b"machines:\n\t- role: client\n", ["mine.yaml, line 2: a tab; YAML wants spaces there"]),
        (b"machines: \xff\n", ["mine.yaml, line 1: not text: byte 10 is not UTF-8"]),
        (
            b"machines: &a [*a]\n",
            ["mine.yaml, line 1: anchors and aliases (& and *) are not allowed; write the value out"],
        ),
        (
            b"machines: client=192.0.2.1\n",
            [
                (
                    "mine.yaml, line 1: machines: found client=192.0.2.1; "
                    "allowed: a list of machines, each with role, address, user, key, ..."
                )
            ],
        ),
    ],
)
def test_a_broken_file_is_told_in_few_lines(tmp_path: Path, text: bytes, words: list[str]) -> None:
    """What is no inventory at all is told too, all mistakes at once."""
    assert refusal(tmp_path, text) == words


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """Who mistypes a file's name is told of the one beside it."""
    (tmp_path / "mine.yaml").write_text(WHOLE)
    with pytest.raises(UserError, match=r"mein.yaml: no such file - did you mean mine.yaml\?"):
        inventory.load(tmp_path / "mein.yaml")


@given(
    field=st.sampled_from(sorted(inventory.Machine.model_fields)),
    value=st.one_of(st.text(max_size=80), st.integers(), st.booleans(), st.none()),
)
def test_whatever_a_field_holds_it_is_a_machine_or_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    """No value of any field gives anything but machines or a UserError of few, printable lines."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    fields = {"role": "client", "address": "192.0.2.1", field: value}
    path.write_text(f"machines: [{{{', '.join(f'{name}: {_yaml(each)}' for name, each in fields.items())}}}]\n")
    try:
        machines = inventory.load(path)
    except UserError as refused:
        lines = str(refused).split("\n")
        assert 1 <= len(lines) <= 3
        assert all(line.isprintable() for line in lines)
    else:
        assert [type(each) for each in machines] == [Remote]


def _yaml(value: object) -> str:
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08X}" for letter in value) + '"'
    return "null" if value is None else str(value).lower()


# The command line.


def test_words_give_machines() -> None:
    """ROLE=[USER@]ADDRESS[:PORT]; numbered by role, all with the key that was given."""
    words = ["seeder=192.0.2.2", "seeder=me@192.0.2.3:2222", "client=root@my-machine.example"]
    assert inventory.from_words(words, "/keys/id") == [
        Remote("seeder-1", "seeder", "192.0.2.2", "root", key_file=Path("/keys/id")),
        Remote("seeder-2", "seeder", "192.0.2.3", "me", port=2222, key_file=Path("/keys/id")),
        Remote("client-1", "client", "my-machine.example", "root", key_file=Path("/keys/id")),
    ]
    assert inventory.from_words(["client=a"], None)[0].key_file is None


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("", "--host '': it takes ROLE=USER@ADDRESS, ROLE being one of tracker, seeder, client"),
        ("192.0.2.1", "--host '192.0.2.1': it takes ROLE=USER@ADDRESS"),
        ("cleint=192.0.2.1", "tracker, seeder, client - did you mean client?"),
        ("node=192.0.2.1", "tracker, seeder, client"),
        ("client=", "--host 'client=': it takes ROLE=USER@ADDRESS"),
        ("client=@192.0.2.1", "it takes ROLE=USER@ADDRESS"),
        ("client=a..b", "it takes ROLE=USER@ADDRESS"),
        ("client=me@a@b", "it takes ROLE=USER@ADDRESS"),
        ("client=me@192.0.2.1:", "it takes ROLE=USER@ADDRESS"),
        ("client=me@192.0.2.1:ssh", "it takes ROLE=USER@ADDRESS"),
        ("client=me@192.0.2.1:0", "found the port 0; allowed: 1 to 65535"),
        ("client=me@192.0.2.1:65536", "found the port 65536; allowed: 1 to 65535"),
        ("client=-oProxyCommand=reboot@x", "it takes ROLE=USER@ADDRESS"),
        ("client=me@192.0.2.1\n", "it takes ROLE=USER@ADDRESS"),
        (f"client={'.'.join(['a' * 63] * 4)}", "it takes ROLE=USER@ADDRESS"),
    ],
)
def test_another_word_is_refused_in_one_line(word: str, words: str) -> None:
    """What reads otherwise is quoted, with what it takes, in one line."""
    with pytest.raises(UserError) as refused:
        inventory.from_words([word], None)
    assert words in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "--key '': not a file name"), ("~nobody-is-called-that/id", "nobody here is called nobody-is-called-that")],
)
def test_a_key_that_cannot_be_is_refused(key: str, words: str) -> None:
    """A key's file that can have no such name is told at once."""
    with pytest.raises(UserError, match=words):
        inventory.from_words(["client=192.0.2.1"], key)


ROLE_WORD = st.sampled_from([*ROLES, "", "clients", "CLIENT"])
REST_WORD = st.one_of(
    st.text(max_size=300), st.text(alphabet="aZ09.-_@:=\n\0", max_size=300), st.from_regex(inventory._LINE)
)


@given(st.one_of(st.builds(lambda role, rest: f"{role}={rest}", ROLE_WORD, REST_WORD), REST_WORD))
def test_any_word_is_a_machine_or_a_mistake(word: str) -> None:
    """Whatever is given as --host: a machine whose address and port a socket takes, or a printable UserError."""
    try:
        (found,) = inventory.from_words([word], None)
    except UserError as refused:
        words = str(refused)
        assert words.isprintable()
    else:
        assert found.role in ROLES
        assert 0 < found.port < 65_536
        assert found.address.encode("idna")  # what the resolver would do to it first


# Who is who.


def remote(role: str, address: str, *, private: str = "", port: int = 22) -> Remote:
    """Return a machine."""
    return Remote(f"{role}-{address}", role, address, "root", private, port)


def assigned(machines: Sequence[Remote], plan: Sequence[HostPlan] = PLAN) -> dict[str, str]:
    """Return the addresses of a plan's hosts."""
    found = inventory.assign(plan, machines, "mine", MORE)
    return {host: each.address for host, each in found.items()}


def test_hosts_get_machines_of_their_role_in_order() -> None:
    """Hosts come in the plan's order, machines in the inventory's; those that are too many stay out."""
    roles = ("client", "seeder", "tracker", "seeder", "seeder")
    machines = [remote(role, str(number)) for number, role in enumerate(roles)]
    assert assigned(machines) == {"tracker": "2", "seeder-1": "1", "seeder-2": "3", "client": "0"}


def test_without_a_tracker_the_first_seeder_has_it_too() -> None:
    """A tracker needs no machine of its own."""
    machines = [remote("client", "c"), remote("seeder", "a"), remote("seeder", "b")]
    assert assigned(machines) == {"tracker": "a", "seeder-1": "a", "seeder-2": "b", "client": "c"}


def test_a_tracker_and_a_seeder_may_be_one_machine() -> None:
    """A machine of several roles, the client's aside, is one machine to a race: it is moved into once."""
    machines = [remote("tracker", "a"), remote("seeder", "a"), remote("seeder", "b"), remote("client", "c")]
    found = inventory.assign(PLAN, machines, "mine", MORE)
    assert [each.name for each in found.values()] == ["tracker-a", "tracker-a", "seeder-b", "client-c"]


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ("tracker seeder client", "this scenario wants 2 seeders, mine has 1\nname more of them"),
        ("tracker client", "this scenario wants 2 seeders, mine has none\nname more of them"),
        ("seeder seeder", "this scenario wants 1 client, mine has none\nname more of them"),
        ("client client", "this scenario wants 1 tracker, mine has none\nname more of them"),
    ],
)
def test_too_few_machines_are_told_with_what_to_do(roles: str, words: str) -> None:
    """The first role that is short is named: how many are wanted, how many there are, how to have more."""
    machines = [remote(role, str(number)) for number, role in enumerate(roles.split())]
    with pytest.raises(UserError) as refused:
        assigned(machines)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("client", "refused"),
    [
        (remote("client", "a"), True),
        (remote("client", "a", private="10.0.0.9"), True),
        (remote("client", "a", port=2222), True),
        (remote("client", "b", private="10.0.0.1"), True),
        (remote("client", "a", private="10.0.0.9", port=2222), False),
        (remote("client", "b"), False),
    ],
)
def test_the_client_is_alone_on_its_machine(client: Remote, *, refused: bool) -> None:
    """A client that is another host's machine is refused; several machines may be behind one address's ports."""
    machines = [remote("seeder", "a", private="a"), remote("seeder", "z", private="10.0.0.1"), client]
    if refused:
        with pytest.raises(UserError, match=f"mine: the client's machine, {client.address}, has another role too"):
            assigned(machines)
    else:
        assert assigned(machines)["client"] == client.address
