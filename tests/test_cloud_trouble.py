"""What is wrong in the cloud, in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from btgames.cloud import trouble
from btgames.cloud.trouble import explain

VERBATIM = {
    "credentials": (
        "error: rpc error: code = Unknown desc = No valid credential sources found. Please see",
        "AWS gets no credentials from this computer",
    ),
    "boto's credentials": ("Unable to locate credentials", "AWS gets no credentials"),
    "expired": (
        "api error ExpiredToken: The security token included in the request is expired",
        "your credentials for AWS have expired",
    ),
    "rejected": (
        "api error AuthFailure: AWS was not able to validate the provided access credentials",
        "AWS does not accept your credentials in this region",
    ),
    "region": (
        "api error OptInRequired: You are not subscribed to this service.",
        "AWS does not accept your credentials in this region",
    ),
    "rights": (
        "api error UnauthorizedOperation: You are not authorized to perform this operation.",
        "AWS does not let you do that",
    ),
    "quota": (
        (
            "creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 400, "
            "api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 1"
        ),
        "your account's quota has no room for these machines",
    ),
    "capacity": (
        (
            "api error InsufficientInstanceCapacity: We currently do not have sufficient c7a.large capacity in the "
            "Availability Zone you requested (us-east-1e)."
        ),
        "AWS has no such machines free in that zone now",
    ),
    "unsupported": (
        (
            "api error Unsupported: Your requested instance type (c7a.large) is not supported in your requested "
            "Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone"
        ),
        "the zone that AWS chose has no machines of type c7a.large",
    ),
    "spot": (
        "waiting for EC2 Instance (i-1) create: unexpected state 'terminated', wanted target 'running'",
        "a machine is gone: ended from outside, or its spot instance was taken back",
    ),
    "networks": (
        "api error VpcLimitExceeded: The maximum number of VPCs has been reached.",
        "your account has as many networks",
    ),
    "passphrase": (
        (
            "error: getting stack configuration: get stack secrets manager: passphrase must be set with "
            "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
        ),
        "stack mine is encrypted with a passphrase, which is not set",
    ),
    "wrong passphrase": ("error: get stack secrets manager: incorrect passphrase", "stack mine is encrypted"),
    "backend": (
        "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
        "Pulumi does not know where to keep its state",
    ),
    "locked": (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end",
        "stack mine is locked: another update of it is under way",
    ),
    "no stack": ("error: no stack named 'theirs' found", "there is no stack theirs"),
    "none selected": (
        "error: no stack selected; please use `pulumi stack select` to choose one",
        "no stack is selected",
    ),
    "pending": (
        "error: the current deployment has 1 resource(s) with pending operations",
        "an earlier update of stack mine was interrupted",
    ),
    "plugin": (
        "error: no resource plugin 'pulumi-resource-aws' found in the workspace at version v7.51.1",
        "Pulumi's plugin for AWS is not installed",
    ),
    "network": (
        "dial tcp: lookup ec2.us-east-1.amazonaws.com: no such host",
        "AWS, or the place of Pulumi's state, cannot be reached",
    ),
    "ended": (
        "error: the machines of this stack ended at 2026-11-24T19:32:28+00:00; pulumi destroy what is left",
        "the machines of stack mine ended at 2026-11-24T19:32:28+00:00\n",
    ),
}


@pytest.mark.parametrize(("said", "told"), VERBATIM.values(), ids=VERBATIM)
def test_known(said: str, told: str) -> None:
    """Each one is one to three lines that begin with what is wrong, and say what to do; the status is 2."""
    error = explain(said, "mine")
    assert error.status == 2
    assert str(error).startswith(told)
    assert 2 <= len(str(error).splitlines()) <= 3
    assert "{" not in str(error)


def test_settings() -> None:
    """Mistakes in the settings are told as the program tells them, whatever stands around them."""
    said = (
        "Diagnostics:\n  pulumi:pulumi:Stack (btgames-dev):\n"
        "    error: btgames:seeders: found 'x'; allowed is a whole number from 0 to 100\n"
        "    btgames:hours: found 'y'; allowed is hours to live, from 0.01 to 168\n\nResources:\n    1 errored"
    )
    assert str(explain(said, "dev")).splitlines() == [
        "btgames:seeders: found 'x'; allowed is a whole number from 0 to 100",
        "btgames:hours: found 'y'; allowed is hours to live, from 0.01 to 168",
    ]


def test_own_address_unknown() -> None:
    """What the program says of the network is told as it says it, too."""
    said = "btgames:ssh_cidr: not set, and the service did not tell (connection refused); set it: pulumi config set"
    assert str(explain(said, "dev")) == said


def test_other_key() -> None:
    """So is a key that is not the stack's."""
    said = "error: /home/me/key is not the key that this stack was made with; bring it"
    assert str(explain(said, "dev")) == "/home/me/key is not the key that this stack was made with; bring it"


def test_unknown() -> None:
    """Of what nobody has words for the last errors are shown, each once, without what only says that it failed."""
    said = (
        "Updating (dev):\n"
        "    aws:ec2:Vpc btgames-dev creating error: the sky falls\n"
        "    error: the sky falls\n    error: it rains\n    error: update failed\n"
    )
    assert str(explain(said, "dev")).splitlines() == ["the sky falls", "it rains"]


def test_silence() -> None:
    """Saying nothing is told as that."""
    assert str(explain("", "dev")) == "Pulumi failed and did not say why"


def test_table() -> None:
    """Each entry's words are at most three lines."""
    entries = yaml.safe_load((Path(trouble.__file__).with_suffix(".yaml")).read_text())
    assert all(len(entry["tell"].strip().splitlines()) <= 3 for entry in entries)
