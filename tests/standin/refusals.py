"""AWS's refusals, in the words in which its provider for Pulumi passes them on."""

from __future__ import annotations

import re
import uuid

NO_CREDENTIALS = (
    "No valid credential sources found.\nPlease see "
    "https://www.pulumi.com/registry/packages/aws/installation-configuration/ for more information about providing "
    "credentials.\nNEW: You can use Pulumi ESC to set up dynamic credentials with AWS OIDC to ensure the correct and "
    "valid credentials are used.\nLearn more: https://www.pulumi.com/registry/packages/aws/installation-configuration/"
    "#dynamically-generate-credentials-via-pulumi-esc"
)
EXPIRED = (
    "Invalid credentials configured.\nPlease see "
    "https://www.pulumi.com/registry/packages/aws/installation-configuration/ for more information about providing "
    "credentials.\nNEW: You can use Pulumi ESC to set up dynamic credentials with AWS OIDC to ensure the correct and "
    "valid credentials are used.\nLearn more: https://www.pulumi.com/registry/packages/aws/installation-configuration/"
    "#dynamically-generate-credentials-via-pulumi-esc"
)
CREDENTIALS = {"no credentials": NO_CREDENTIALS, "expired credentials": EXPIRED}
MACHINES = ("never boots", "offline")
ANSWERS = {
    "InsufficientInstanceCapacity": (
        "We currently do not have sufficient c7a.large capacity in the Availability Zone you requested (us-east-1a). "
        "Our system will be working on provisioning additional capacity. You can currently get c7a.large capacity by "
        "not specifying an Availability Zone in your request or choosing us-east-1b, us-east-1c, us-east-1d."
    ),
    "VcpuLimitExceeded": (
        "You have requested more vCPU capacity than your current vCPU limit of 1 allows for the instance bucket that "
        "the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request "
        "an adjustment to this limit."
    ),
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "UnauthorizedOperation": (
        "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/racer is not "
        "authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:us-east-1:123456789012:instance/* because no "
        "identity-based policy allows the ec2:RunInstances action. Encoded authorization failure message: AbCdEf"
    ),
    "Unsupported": (
        "Your requested instance type (c7a.large) is not supported in your requested Availability Zone (us-east-1e). "
        "Please retry your request by not specifying an Availability Zone or choosing us-east-1a, us-east-1b."
    ),
}
OPERATIONS = {("Instance", "create"): "RunInstances", ("Instance", "delete"): "TerminateInstances"}


class Refusal(Exception):  # noqa: N818 - AWS's answer, for the engine to print
    """What AWS does not do."""


def refusal(token: str, verb: str, code: str, words: str) -> Refusal:
    """Return a refusal of EC2's."""
    kind = token.rpartition(":")[2]
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind)
    operation = OPERATIONS.get((kind, verb), f"{verb.capitalize()}{kind}")
    doing = {"create": "creating", "update": "updating", "delete": "deleting"}[verb]
    status = 500 if code == "InsufficientInstanceCapacity" else 400
    return Refusal(
        f"1 error occurred:\n\t* {doing} EC2 {spelled}: operation error EC2: {operation}, https response error "
        f"StatusCode: {status}, RequestID: {uuid.uuid4()}, api error {code}: {words}\n\n"
    )
