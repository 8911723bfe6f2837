"""
What pulumi-resource-aws would be: a resource provider for the engine, over the account of STANDIN_DIR.

It speaks the protocol itself: the provider of Pulumi's SDK for Python adds its stack trace to every error, which the
real one, in Go, does not.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, json_format, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from standin import names
from standin.account import Account, wishes
from standin.kinds import ARCHITECTURES, KINDS
from standin.machines import Region, StandinError
from standin.refusals import CREDENTIALS, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "7.51.1"
USER_DATA_BYTES = 16_384
NAMED = {"SecurityGroup": "name", "KeyPair": "keyName", "PlacementGroup": "name"}
IMAGE = "/aws/service/debian/release/12/latest/"


def plain(struct: Any) -> dict[str, Any]:
    """Return what a message says; secrets have been opened by the engine, since `Configure` accepts none."""
    return {name: value for name, value in json_format.MessageToDict(struct).items() if not name.startswith("__")}


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """Return a message that says this."""
    return json_format.ParseDict(values, struct_pb2.Struct())


def answered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have refusals reach the engine as the real provider's do: the words, and no more."""

    def call(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return function(self, request)
        except (Refusal, StandinError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return call


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The servant of one engine."""

    def __init__(self) -> None:
        self._region = Region.here()
        self._account = Account(self._region, "us-east-1")
        self._default_tags: Any = {}
        self._over = threading.Event()

    def wait(self) -> None:
        """Wait until the engine cancels everything; ordinarily it kills us first."""
        self._over.wait()

    def Handshake(self, *_: object) -> provider_pb2.ProviderHandshakeResponse:  # noqa: N802
        """Tell what we understand."""
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, *_: object) -> plugin_pb2.PluginInfo:  # noqa: N802
        """Tell our version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Cancel(self, *_: object) -> empty_pb2.Empty:  # noqa: N802
        """Stop, whatever is under way: the real one gives up its requests."""
        threading.Timer(0.2, lambda: os._exit(1)).start()
        return empty_pb2.Empty()

    @answered
    def CheckConfig(self, request: Any) -> provider_pb2.CheckResponse:  # noqa: N802
        """Refuse a region that does not exist, and credentials as a test wishes."""
        news, failures = plain(request.news), []
        place = news.get("region")
        if not place:
            failures.append(("region", "Missing region information\nMake sure you have set your AWS region"))
        elif place not in {UNKNOWN, *names.regions()}:
            failures.append(("region", f"expected a valid AWS region name, got: {place}"))
        wish = wishes(self._region).get("provider", "")
        if wish in CREDENTIALS:
            failures = [("", CREDENTIALS[wish])]
        return _checked(news, failures)

    @answered
    def DiffConfig(self, request: Any) -> provider_pb2.DiffResponse:  # noqa: N802
        """Replace nothing but for another region."""
        return _diff(plain(request.old_inputs), plain(request.news), frozenset({"region"}))

    @answered
    def Configure(self, request: Any) -> provider_pb2.ConfigureResponse:  # noqa: N802
        """Take region and default tags."""
        args = plain(request.args)
        tags = _parsed(args.get("defaultTags"))
        self._default_tags = tags if tags == UNKNOWN else (tags or {}).get("tags") or {}
        self._account = Account(self._region, args.get("region") or "us-east-1")
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @answered
    def Check(self, request: Any) -> provider_pb2.CheckResponse:  # noqa: N802
        """Refuse what the real one refuses before anything is made; fill in names and tags."""
        token, olds, news = _token(request.urn), plain(request.olds), plain(request.news)
        if token not in KINDS:
            raise Refusal(f"the stand-in has no {token}; see tests/standin/kinds.py")
        failures = names.faults(token, news)
        if len(news.get("userData", "").encode()) > USER_DATA_BYTES:
            failures.append(("userData", "expected length of user_data to be in the range (0 - 16384)"))
        if named := NAMED.get(token.rpartition(":")[2]):
            alone = f"{request.urn.rpartition('::')[2]}-{secrets.token_hex(4)[:7]}"
            news.setdefault(named, olds.get(named) or alone)
        if KINDS[token].tags:
            tags, unknown = news.get("tags") or {}, UNKNOWN in (self._default_tags, news.get("tags"))
            news["tagsAll"] = UNKNOWN if unknown else {**self._default_tags, **tags}
        return _checked(news, failures)

    @answered
    def Diff(self, request: Any) -> provider_pb2.DiffResponse:  # noqa: N802
        """Tell what would change, and whether by replacing it."""
        kind, olds, news = KINDS[_token(request.urn)], plain(request.old_inputs), plain(request.news)
        replaces = kind.replaces | ({"userData"} if news.get("userDataReplaceOnChange") else set())
        return _diff(olds, news, replaces)

    @answered
    def Create(self, request: Any) -> provider_pb2.CreateResponse:  # noqa: N802
        """Make a resource; in a preview, tell what is not known before it is made."""
        token, inputs = _token(request.urn), plain(request.properties)
        if request.preview:
            unknown = {name: UNKNOWN for name in KINDS[token].computed if name not in inputs}
            return provider_pb2.CreateResponse(properties=struct({**inputs, **unknown}))
        identity, state = self._account.create(token, request.urn.rpartition("::")[2], inputs)
        return provider_pb2.CreateResponse(id=identity, properties=struct(state))

    @answered
    def Read(self, request: Any) -> provider_pb2.ReadResponse:  # noqa: N802
        """Tell a resource's state, or that it is gone."""
        state = self._account.read(request.id)
        if state is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, properties=struct(state), inputs=request.inputs)

    @answered
    def Update(self, request: Any) -> provider_pb2.UpdateResponse:  # noqa: N802
        """Change a resource."""
        news = plain(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=struct({**plain(request.olds), **news}))
        state = self._account.update(_token(request.urn), request.id, news)
        return provider_pb2.UpdateResponse(properties=struct(state))

    @answered
    def Delete(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        """Remove a resource."""
        self._account.delete(_token(request.urn), request.id)
        return empty_pb2.Empty()

    @answered
    def Invoke(self, request: Any) -> provider_pb2.InvokeResponse:  # noqa: N802
        """Answer for Debian's images."""
        name = plain(request.args).get("name", "")
        if request.tok != "aws:ssm/getParameter:getParameter":
            raise Refusal(f"the stand-in has no {request.tok}; see tests/standin/provider.py")
        architecture = name.removeprefix(IMAGE)
        if architecture not in ARCHITECTURES:
            raise Refusal(f"reading SSM Parameter ({name}): couldn't find resource")
        found = {"id": name, "name": name, "type": "String", "version": 1, "arn": name}
        image = self._account.image(architecture)
        return provider_pb2.InvokeResponse(**{"return": struct({**found, "value": image, "insecureValue": image})})


def _token(urn: str) -> str:
    return str(urn.split("::")[2].rpartition("$")[2])


def _parsed(value: Any) -> Any:
    # A provider's own settings that are no plain strings travel as JSON.
    return json.loads(value) if isinstance(value, str) and value != UNKNOWN else value


def _checked(inputs: dict[str, Any], failures: list[tuple[str, str]]) -> provider_pb2.CheckResponse:
    told = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures]
    return provider_pb2.CheckResponse(inputs=struct(inputs), failures=told)


def _diff(olds: dict[str, Any], news: dict[str, Any], replaces: frozenset[str] | set[str]) -> provider_pb2.DiffResponse:
    changed = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name))
    kinds = provider_pb2.PropertyDiff
    detailed = {
        name: kinds(kind=kinds.UPDATE_REPLACE if name in replaces else kinds.UPDATE, inputDiff=True) for name in changed
    }
    # Always set: the engine takes "unknown" for a change.
    changes = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=changes,
        diffs=changed,
        replaces=[name for name in changed if name in replaces],
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def main() -> None:
    """Serve the engine that has started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which then cancels
    provider = Provider()
    server = grpc.server(futures.ThreadPoolExecutor(32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    provider.wait()


if __name__ == "__main__":
    main()
