"""
The account: what there is of resources, kept in the file aws.json of STANDIN_DIR, and what AWS refuses.

An instance is a machine of the region, see `machines`; its name there is its id.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from standin.kinds import ARCHITECTURES, KINDS, Kind, check, references
from standin.refusals import ANSWERS, MACHINES, Refusal, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standin.machines import Region

OWNER = "123456789012"
HANG = "hang"
LOOK_S = 0.05


class Account:
    """An account and its one region, as far as the stand-in goes."""

    def __init__(self, region: Region, place: str) -> None:
        """`place` is the region's name, us-east-1 say."""
        self._region = region
        self._place = place

    def create(self, token: str, name: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a resource; return its id and state. `name` is the program's, for failures on demand."""
        failure = self._failure(name, token)
        with self._open() as resources:
            kind = KINDS[token]
            check(token, inputs, resources, {self.image(each): each for each in ARCHITECTURES})
            identity = inputs[kind.named] if kind.named else f"{kind.prefix}-0{secrets.token_hex(8)}"
            state = {**inputs, **self._added(kind, token, identity, inputs)}
            if kind.prefix == "i":
                state |= self._run(identity, state, failure, resources)
            resources[identity] = {"type": token, "name": name, "state": state}
            self._tell_groups(resources)
        return identity, state

    def update(self, token: str, identity: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Change a resource in place."""
        with self._open() as resources:
            if identity not in resources:
                raise refusal(token, "update", "NotFound", f"The ID '{identity}' does not exist")
            known = {each: resources[identity]["state"].get(each) for each in KINDS[token].computed}
            state = resources[identity]["state"] = {**{key: each for key, each in known.items() if each}, **inputs}
            self._tell_groups(resources)
        return dict(state)

    def read(self, identity: str) -> dict[str, Any] | None:
        """Return a resource's state; None when it is gone, as an instance that has ended itself."""
        with self._open() as resources:
            found = resources.get(identity)
            if not found or (identity.startswith("i-") and not self._runs(identity)):
                return None
            return dict(found["state"])

    def delete(self, token: str, identity: str) -> None:
        """Remove a resource; one that is gone already is no error."""
        with self._open() as resources:
            for other, found in resources.items():
                if self._lives(other) and identity in references(KINDS[found["type"]], found["state"]):
                    words = f"The {KINDS[token].prefix} '{identity}' has dependencies and cannot be deleted: {other}"
                    raise refusal(token, "delete", "DependencyViolation", words)
            if identity.startswith("i-") and any(each["name"] == identity for each in self._region.list()):
                self._region.terminate(identity)
            resources.pop(identity, None)

    def image(self, architecture: str) -> str:
        """Return the id of Debian's image."""
        number = sum(f"{self._place} {architecture}".encode())
        return f"ami-0{number:08x}{ARCHITECTURES.index(architecture):08x}"

    def _added(self, kind: Kind, token: str, identity: str, inputs: dict[str, Any]) -> dict[str, Any]:
        zone = inputs.get("availabilityZone") or f"{self._place}a"
        plain = {
            "arn": f"arn:aws:ec2:{self._place}:{OWNER}:{token.rpartition(':')[2].lower()}/{identity}",
            "ownerId": OWNER,
            "availabilityZone": zone,
            "availabilityZoneId": "use1-az1",
            "instanceState": "running",
            "fingerprint": secrets.token_hex(16),
            "keyType": "ed25519",
        }
        return {name: plain.get(name, f"{name}-0{secrets.token_hex(8)}") for name in kind.computed}

    def _run(self, identity: str, state: dict[str, Any], failure: str, resources: dict[str, Any]) -> dict[str, Any]:
        subnet = resources[state["subnetId"]]["state"]
        network = ipaddress.ip_network(subnet["cidrBlock"])
        hosts = [str(address) for address in list(network.hosts())[:250]]
        taken = [each["private"] for each in self._region.open().list() if each["state"] == "running"]
        private = state.get("privateIp") if "-" not in state.get("privateIp", "-") else None
        key = resources[state["keyName"]]["state"]["publicKey"] if state.get("keyName") else ""
        self._tell_groups(resources)
        machine = self._region.boot(
            identity,
            state.get("userData", "").encode(),
            private=private or next(host for host in hosts[9:] if host not in taken),
            public=self._region.free_public(),
            gateway=hosts[0],
            network=str(network),
            groups=state.get("vpcSecurityGroupIds", []),
            public_key=key,
            failure=failure,
        )
        inner, outer = machine["private"], machine["public"]
        return {
            "privateIp": inner,
            "privateDns": f"ip-{inner.replace('.', '-')}.ec2.internal",
            "publicIp": outer,
            "publicDns": f"ec2-{outer.replace('.', '-')}.compute-1.amazonaws.com",
        }

    def _runs(self, identity: str) -> bool:
        running = {"name": identity, "state": "running"}.items()
        return bool(self._region.facts) and any(running <= each.items() for each in self._region.list())

    def _lives(self, identity: str) -> bool:
        return not identity.startswith("i-") or self._runs(identity)

    def _tell_groups(self, resources: dict[str, Any]) -> None:
        groups = {name: each["state"] for name, each in resources.items() if name.startswith("sg-")}
        if groups:
            self._region.open().set_groups({name: group_of(name, state) for name, state in groups.items()})

    def _failure(self, name: str, token: str) -> str:
        """Fail as a test has asked for; return what the machine shall do on its own."""
        while (wish := wishes(self._region).get(name)) == HANG:
            time.sleep(LOOK_S)
        if wish in ANSWERS and KINDS[token].prefix == "i":
            raise refusal(token, "create", wish, ANSWERS[wish])
        if wish and wish not in {*ANSWERS, *MACHINES}:
            raise Refusal(f"no such failure: {wish}")
        return wish if wish in MACHINES and KINDS[token].prefix == "i" else ""

    @contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        path = self._region.folder / "aws.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            resources = json.loads(path.read_text()) if path.exists() else {}
            yield resources
            aside = path.with_suffix(".part")
            aside.write_text(json.dumps(resources, indent=1))
            aside.rename(path)


def group_of(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return a security group as the region's router wants it."""
    return {
        way: [
            {
                "protocol": "-1" if rule["protocol"] == "all" else rule["protocol"],
                "from_port": int(rule["fromPort"]),
                "to_port": int(rule["toPort"]),
                "cidrs": list(rule.get("cidrBlocks") or []),
                "groups": [*(rule.get("securityGroups") or []), *([name] if rule.get("self") else [])],
            }
            for rule in state.get(way) or []
        ]
        for way in ("ingress", "egress")
    }


def wishes(region: Region) -> dict[str, str]:
    """Return the failures on demand: name in the program, or "provider" -> what shall go wrong."""
    path = region.folder / "failures.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}
