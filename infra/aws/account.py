"""The AWS account and region of a stack: its provider, tags and zones."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
import pulumi_aws as aws
from pulumi import (
    ResourceOptions,
    ResourceTransformationArgs,
    ResourceTransformationResult,
)

from raylift.errors import FailedPrecondition, InvalidInput, PermissionDenied
from raylift.infra.aws.tags import RESOURCE_TAG, STACK_TAG
from raylift.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from raylift.infra.aws.config import AwsConfig
    from raylift.infra.aws.node_group_config import NodeGroup

T = TypeVar("T")

_CHECK_IP = "https://checkip.amazonaws.com"
_CALLER = "RAYLIFT_CALLER_CIDR"
_ZONES = 3
_CREDENTIALS = re.compile(
    r"credential|ExpiredToken|InvalidClientTokenId|AccessDenied|UnauthorizedOperation"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The AWS account and region of a stack; `key` is the ARN of its KMS key."""

    stack: str
    config: AwsConfig
    provider: aws.Provider
    id: str = ""
    key: Any = None

    @property
    def region(self) -> str:
        """The region, such as `us-west-2`."""
        return self.config.aws.region

    def options(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Return the options of a resource in this account; they also tag it."""
        return ResourceOptions(
            provider=self.provider, transformations=[self._tag], **more
        )

    def _tag(
        self, args: ResourceTransformationArgs
    ) -> ResourceTransformationResult | None:
        """Add the tag that recovery looks for, if the type of the resource has tags."""
        if "tags" not in args.props:
            return None
        # AWS allows 256 characters.
        value = pulumi.Output.concat(self.provider.id, "/", args.name[:200])
        own_tags: Any = args.props["tags"] or {}
        tags = {**own_tags, RESOURCE_TAG: value}
        return ResourceTransformationResult({**args.props, "tags": tags}, args.opts)

    def guarded(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Return the options of a resource that is subject to deletion protection."""
        return self.options(protect=self.config.protection.deletion_protection, **more)

    def call(self, function: Callable[..., T], **arguments: Any) -> T:  # noqa: ANN401 Pulumi's own
        """Call a function of pulumi_aws and return its result.

        Raises:
            PermissionDenied: Credentials are missing or not sufficient.
            FailedPrecondition: AWS returns another error.
        """
        options = pulumi.InvokeOptions(provider=self.provider)
        try:
            return function(**arguments, opts=options)
        except Exception as error:  # noqa: BLE001 Pulumi raises nothing narrower
            text = printable(str(error).rpartition(" failed: ")[2], limit=300)
            if not _CREDENTIALS.search(text):
                raise FailedPrecondition(f"AWS request failed: {text}") from None
            raise PermissionDenied(
                f"AWS denied the request: {text}",
                hint="run `aws sts get-caller-identity`",
            ) from None

    def tags(self, **more: str) -> dict[str, str]:
        """Return the stack's tags, for resources that default tags do not cover."""
        return {STACK_TAG: self.stack, **self.config.tags, **more}


def open_account(config: AwsConfig, stack: str) -> Account:
    """Create the provider for the account that the stack file names.

    The provider is explicit: other credentials in the environment must not create the
    stack in another account.
    """
    settings = config.aws
    provider = aws.Provider(
        "aws",
        region=settings.region,
        profile=settings.profile,
        allowed_account_ids=settings.allowed_account_ids or None,
        default_tags={"tags": {STACK_TAG: stack, **config.tags}},
    )
    account = Account(stack, config, provider)
    return replace(account, id=account.call(aws.get_caller_identity).account_id)


def zones_of(account: Account) -> list[str]:
    """Return the stack's zones.

    Zones of node groups come first, then those that offer the types of most groups.
    """
    if account.config.network.availability_zones is not None:
        return account.config.network.availability_zones
    # Local Zones require an opt-in, and the EKS control plane cannot run in them.
    standard: Any = {"name": "opt-in-status", "values": ["opt-in-not-required"]}
    available = account.call(
        aws.get_availability_zones, state="available", filters=[standard]
    )
    groups = account.config.node_groups
    named = {zone for group in groups for zone in group.availability_zones or ()}
    offering = [zones_offering(account, group) for group in groups]

    def rank(zone: str) -> tuple[bool, int, str]:
        return zone not in named, -sum(zone in zones for zones in offering), zone

    return sorted(sorted(available.names, key=rank)[:_ZONES])


def zones_offering(account: Account, group: NodeGroup) -> set[str]:
    """Return the zones that offer every instance type of a group."""
    types: Any = {"name": "instance-type", "values": group.instance_types}
    offerings = account.call(
        aws.ec2.get_instance_type_offerings,
        location_type="availability-zone",
        filters=[types],
    )
    pairs = zip(offerings.instance_types, offerings.locations, strict=True)
    return _common(pairs, group.instance_types)


def _common(pairs: Iterable[tuple[str, str]], names: list[str]) -> set[str]:
    zones: dict[str, set[str]] = {name: set() for name in names}
    for name, zone in pairs:
        zones.get(name, set()).add(zone)
    return set.intersection(*zones.values())


def caller_cidr() -> str:
    """Return this machine's public IPv4 address as a /32 network.

    Raises:
        InvalidInput: The address cannot be determined.
    """
    address = os.environ.get(_CALLER)
    try:
        if address is None:
            with urllib.request.urlopen(_CHECK_IP, timeout=5) as response:
                address = response.read(64).decode().strip()
        return str(ipaddress.IPv4Network(address))
    except (OSError, ValueError) as error:
        raise InvalidInput.at(
            "raylift:kubernetes.publicAccessCidrs",
            f"cannot determine your public IP address: {error}",
            hint="set it to a list such as [203.0.113.7/32], or to []"
            " for a private endpoint",
        ) from None
