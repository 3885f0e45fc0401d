"""Where in AWS a stack is built: its provider, its tags, and what a zone offers."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from raylift.errors import CannotWork, Denied, InputFailed
from raylift.wording import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.aws.config import AwsConfig, NodeGroup

T = TypeVar("T")

STACK_TAG = "raylift:stack"
_MY_ADDRESS = "https://checkip.amazonaws.com"
_CALLER = "RAYLIFT_CALLER_CIDR"
_ZONES = 3
_CREDENTIALS = re.compile(
    r"credential|ExpiredToken|InvalidClientTokenId|AccessDenied|UnauthorizedOperation"
)


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account and region for one stack; `key` is the ARN of its KMS key."""

    stack: str
    config: AwsConfig
    provider: aws.Provider
    id: str = ""
    key: Any = None

    @property
    def region(self) -> str:
        """The region's name."""
        return self.config.aws.region

    def options(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Options of a resource in this account."""
        return ResourceOptions(provider=self.provider, **more)

    def guarded(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Options of a resource that must not go by mistake."""
        return self.options(protect=self.config.protection.deletion_protection, **more)

    def ask(self, question: Callable[..., T], **arguments: Any) -> T:  # noqa: ANN401 Pulumi's own
        """What AWS answers to a function of pulumi_aws.

        Raises:
            Denied: there are no credentials, or they do not do.
            CannotWork: it answers with another error.
        """
        options = pulumi.InvokeOptions(provider=self.provider)
        try:
            return question(**arguments, opts=options)
        except Exception as error:  # noqa: BLE001 Pulumi raises nothing narrower
            text = printable(str(error).rpartition(" failed: ")[2], limit=300)
            if not _CREDENTIALS.search(text):
                raise CannotWork(f"AWS says: {text}") from None
            raise Denied(
                f"AWS refuses: {text}", hint="aws sts get-caller-identity"
            ) from None

    def tags(self, **more: str) -> dict[str, str]:
        """Tags that the provider's default tags do not reach."""
        return {STACK_TAG: self.stack, **self.config.tags, **more}


def account(config: AwsConfig, stack: str) -> Account:
    """The account that the stack file names.

    A provider of the stack's own: an environment with other credentials must not
    build in another account.
    """
    named = config.aws
    provider = aws.Provider(
        "aws",
        region=named.region,
        profile=named.profile,
        allowed_account_ids=named.allowed_account_ids or None,
        default_tags={"tags": {STACK_TAG: stack, **config.tags}},
    )
    here = Account(stack, config, provider)
    return replace(here, id=here.ask(aws.get_caller_identity).account_id)


def zones_of(here: Account) -> list[str]:
    """The zones to build in: first those that groups name, or that offer types."""
    if here.config.network.availability_zones is not None:
        return here.config.network.availability_zones
    # Local Zones have to be opted into, and EKS' control plane is in none of them.
    usual: Any = {"name": "opt-in-status", "values": ["opt-in-not-required"]}
    found = here.ask(aws.get_availability_zones, state="available", filters=[usual])
    groups = here.config.node_groups
    named = {zone for group in groups for zone in group.availability_zones or ()}
    offering = [zones_offering(here, group) for group in groups]

    def rank(zone: str) -> tuple[bool, int, str]:
        return zone not in named, -sum(zone in zones for zones in offering), zone

    return sorted(sorted(found.names, key=rank)[:_ZONES])


def zones_offering(here: Account, group: NodeGroup) -> set[str]:
    """The zones where every type of a group can be had."""
    wanted: Any = {"name": "instance-type", "values": group.instance_types}
    found = here.ask(
        aws.ec2.get_instance_type_offerings,
        location_type="availability-zone",
        filters=[wanted],
    )
    pairs = zip(found.instance_types, found.locations, strict=True)
    return _common(pairs, group.instance_types)


def _common(pairs: Iterable[tuple[str, str]], names: list[str]) -> set[str]:
    zones: dict[str, set[str]] = {name: set() for name in names}
    for name, zone in pairs:
        zones.get(name, set()).add(zone)
    return set.intersection(*zones.values())


def caller_cidr() -> str:
    """The address that this machine is seen with, as a network of one.

    Raises:
        InputFailed: nobody tells.
    """
    told = os.environ.get(_CALLER)
    try:
        if told is None:
            with urllib.request.urlopen(_MY_ADDRESS, timeout=5) as answer:
                told = answer.read(64).decode().strip()
        return str(ipaddress.IPv4Network(told))
    except (OSError, ValueError) as error:
        raise InputFailed.at(
            "raylift:kubernetes.publicAccessCidrs",
            f"your address is not known ({error})",
            hint="name it, such as [203.0.113.7/32], or [] for a private endpoint",
        ) from None
