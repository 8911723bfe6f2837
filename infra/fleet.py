"""The whole stack: settings in, resources and outputs out. What runs, in the order in which it is written."""

from __future__ import annotations

import datetime as dt
import ipaddress
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import config
import instance_types
import pulumi
from keys import key_file, stack_key
from machines import KINDS, Machine, MachineArgs, placement_group
from network import ANYWHERE, Network, NetworkArgs
from prices import estimate, price_list
from pulumi_aws import Provider, ec2, ssm
from pulumi_aws import ProviderDefaultTagsArgs as DefaultTags
from roster import Place, roster
from user_data import USER, user_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from keys import KeyPair

PROJECT = "btgames"
IMAGE = "/aws/service/debian/release/12/latest"
ASKED = "https://checkip.amazonaws.com"


def own_address() -> str:
    """Return the IPv4 address that AWS sees this computer at."""
    with urllib.request.urlopen(ASKED, timeout=10) as answer:
        return str(ipaddress.IPv4Address(answer.read(64).decode().strip()))


@dataclass(frozen=True)
class Fixed:
    """What does not change until the stack ends, however often its program runs."""

    created_at: pulumi.Output[str]
    expires_at: pulumi.Output[str]
    public_key: pulumi.Output[str]


def assemble(ask: Callable[[], str] = own_address) -> None:
    """
    Make everything.

    1. Read the settings, and who may come in by SSH.
    2. Fix what must not change until the stack ends: the moment of its creation, images, the key.
    3. The network, the key pair, the placement group.
    4. A machine for each place of the roster.
    5. Tell what there is and what it costs.
    """
    try:
        settings = config.read(_found())
        places = roster(settings)
        path = key_file(pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack())
        key = stack_key(path, keep=not pulumi.runtime.is_dry_run())
        ssh_cidr = settings.ssh_cidr or _asked(ask)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from error
    _warn(places, {"ssh_cidr": ssh_cidr, "reach_me": settings.reach_me})

    fixed = _fixed(key, path, settings.hours)
    aws = _provider(settings.region, fixed.expires_at)
    ours = pulumi.ResourceOptions(provider=aws)
    architectures = sorted({instance_types.architecture(place.instance_type) for place in places})
    images = {each: image(each, settings.region, aws) for each in architectures}

    name = f"{PROJECT}-{pulumi.get_stack()}"
    network = Network(name, NetworkArgs(ssh_cidr, settings.reach_me, settings.zone), ours)
    key_pair = ec2.KeyPair(name, public_key=fixed.public_key, opts=ours)
    group = placement_group(name, places, ours)

    def machine(place: Place) -> Machine:
        args = MachineArgs(
            place=place,
            image_id=images[instance_types.architecture(place.instance_type)],
            user_data=_told(place, key, fixed),
            key_name=key_pair.key_name,
            subnet_id=network.subnet_id,
            security_group_id=network.security_group_id,
            placement_group=None if group is None else group.name,
            spot=settings.spot,
        )
        return KINDS[place.role](place.name, args, ours)

    machines = [(place, machine(place)) for place in places]

    prices = price_list()
    types = [place.instance_type for place in places]
    cost = estimate(types, region=settings.region, hours=settings.hours, spot=settings.spot, prices=prices)
    pulumi.export(
        "machines",
        [
            _described(place, machine, key, images, prices.machine_hour(settings.region, place.instance_type))
            for place, machine in machines
        ],
    )
    for output, value in {
        "created_at": fixed.created_at,
        "expires_at": fixed.expires_at,
        "region": settings.region,
        "zone": network.zone,
        "price": cost.words,
        "hourly_usd": cost.hourly_usd,
        "price_limit_usd": settings.price_limit_usd,
        "hours": settings.hours,
        "key_file": str(path),
        "ssh_cidr": ssh_cidr,
        "reach_me": settings.reach_me,
        "security_group_id": network.security_group_id,
    }.items():
        pulumi.export(output, value)


def _fixed(key: KeyPair, path: Path, hours: float) -> Fixed:
    created_at = kept("created-at", dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    return Fixed(
        created_at,
        created_at.apply(lambda moment: _expiry(moment, hours)),
        kept("key", key.public).apply(lambda public: _same(public, key.public, str(path))),
    )


def _provider(region: str, expires_at: pulumi.Output[str]) -> Provider:
    tags: dict[str, pulumi.Input[str]] = {
        "project": PROJECT,
        "stack": pulumi.get_stack(),
        "owner": pulumi.get_organization(),
        "expires_at": expires_at,
    }
    return Provider("aws", region=region, default_tags=DefaultTags(tags=tags))


def _told(place: Place, key: KeyPair, fixed: Fixed) -> pulumi.Output[str]:
    """Return a machine's user data."""
    return pulumi.Output.all(fixed.public_key, fixed.expires_at).apply(
        lambda known: user_data(
            role=place.role,
            authorized_key=known[0],
            host_key=key.derived(place.name),
            expires_at=dt.datetime.fromisoformat(known[1]),
        )
    )


def _described(
    place: Place, machine: Machine, key: KeyPair, images: Mapping[str, pulumi.Output[str]], hourly_usd: float | None
) -> dict[str, Any]:
    """Return a machine as the outputs have it."""
    architecture = instance_types.architecture(place.instance_type)
    return {
        "name": place.name,
        "role": place.role,
        "instance_type": place.instance_type,
        "architecture": architecture,
        "address": machine.address,
        "private_address": machine.private_address,
        "instance_id": machine.instance_id,
        "image_id": images[architecture],
        "host_key": key.derived(place.name).public,
        "user": USER,
        "hourly_usd": hourly_usd,
    }


def kept(name: str, value: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the value that was given when the stack first had this, whatever later runs give."""
    return pulumi.Stash(name, input=value, opts=pulumi.ResourceOptions(ignore_changes=["input"])).output


def image(architecture: str, region: str, aws: Provider) -> pulumi.Output[str]:
    """Return the id of Debian's image of that architecture, as it was when the stack first needed it."""
    newest = ssm.get_parameter_output(name=f"{IMAGE}/{architecture}", opts=pulumi.InvokeOutputOptions(provider=aws))
    return kept(f"image-{region}-{architecture}", newest.value)


def _found() -> Mapping[str, str]:
    """Return the configuration as written, keys without their namespace: unknown ones are to be seen, too."""
    everything: dict[str, Any] = pulumi.runtime.config.CONFIG.get()
    head = f"{config.NAMESPACE}:"
    return {key.removeprefix(head): str(value) for key, value in everything.items() if key.startswith(head)}


def _asked(ask: Callable[[], str]) -> str:
    try:
        return f"{ask()}/32"
    except (OSError, ValueError) as error:
        raise ValueError(
            f"btgames:ssh_cidr: not set, and {ASKED} did not tell this computer's address "
            f"({getattr(error, 'reason', error)}); set it: pulumi config set ssh_cidr ADDRESS/32"
        ) from error


def _expiry(created_at: str, hours: float) -> str:
    moment = dt.datetime.fromisoformat(created_at) + dt.timedelta(hours=hours)
    if moment < dt.datetime.now(dt.UTC):
        raise pulumi.RunError(
            f"the machines of this stack ended at {moment.isoformat()}; pulumi destroy what is left, then pulumi up"
        )
    return moment.isoformat()


def _same(first: str, ours: str, path: str) -> str:
    if first != ours:
        raise pulumi.RunError(
            f"{path} is not the key that this stack was made with; bring it from the computer that made the stack, "
            "or pulumi destroy and pulumi up"
        )
    return first


def _warn(places: tuple[Place, ...], blocks: Mapping[str, str | None]) -> None:
    lent = sorted({place.instance_type for place in places if instance_types.burstable(place.instance_type)})
    if lent:
        pulumi.log.warn(
            f"{', '.join(lent)}: CPU in credits, so a heat depends on what ran before; for results take c7a or c7g"
        )
    for key, block in blocks.items():
        if block == ANYWHERE:
            pulumi.log.warn(f"btgames:{key} is {ANYWHERE}: everyone may try; your own address is enough")
