"""AwsConfig: all keys of a stack file with target `aws`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from raylift.infra.aws.cluster_config import (
    Accelerators,
    Autoscaler,
    FaultTolerance,
    Kubernetes,
)
from raylift.infra.aws.network_config import Ingress, Network
from raylift.infra.aws.node_group_config import NodeGroup, SystemNodeGroup
from raylift.infra.aws.types import Arn, Arns, Tags
from raylift.infra.config.base import Section
from raylift.infra.kubernetes.ray_config import RayOnKubernetes
from raylift.infra.kubernetes.types import Auto


class Provider(Section):
    """Keys of Pulumi's AWS provider, `aws:…`; it accepts more than these."""

    model_config = ConfigDict(extra="ignore")

    region: str
    """Region of the stack, such as `us-west-2`."""

    profile: str | None = None
    """AWS profile of the credentials. Defaults to that of the environment."""

    allowed_account_ids: list[str] = []
    """Accounts in which the stack may be created. By default, any account."""


class Storage(Section):
    """The bucket for code packages."""

    force_destroy: bool = True
    """Whether `delete` deletes the bucket even if it contains packages.

    Otherwise, `delete` fails at the bucket after the first deploy.
    """

    expire_days: Annotated[int, Field(ge=1)] | None = None
    """Days after which packages are deleted, at least 1. By default, they are kept."""


class Budget(Section):
    """A monthly budget for the stack, with an email alert."""

    monthly_usd: Annotated[int, Field(ge=1)]
    """Monthly limit in US dollars, at least 1."""

    email: str
    """Email address to notify when the forecast exceeds 80% of the limit."""


class Protection(Section):
    """Protection from accidental deletion."""

    deletion_protection: bool = False
    """Whether to prevent the deletion of the stack."""


class AwsConfig(RayOnKubernetes):
    """A stack in a new EKS cluster."""

    target: Literal["aws"] = "aws"
    """Where the stack runs: AWS."""

    aws: Provider
    """Keys of Pulumi's AWS provider."""

    tags: Tags = {}
    """Tags of every AWS resource of the stack."""

    permissions_boundary: Arn | None = None
    """ARN of the IAM policy to set as the permissions boundary of every role."""

    kms_key_arn: Annotated[Arn | None, Auto] = None
    """ARN of the KMS key that encrypts secrets, logs and ElastiCache.

    It must be in the region of the stack. By default, the stack creates a key.
    """

    network: Network = Network()
    """The VPC and its subnets."""

    kubernetes: Kubernetes = Kubernetes()
    """The EKS cluster."""

    system_node_group: SystemNodeGroup = SystemNodeGroup()
    """CPU nodes for the Ray head, the operator and add-ons."""

    node_groups: list[NodeGroup] = []
    """Groups of nodes for Ray workers. By default, workers run on system nodes."""

    autoscaler: Autoscaler = Autoscaler()
    """The autoscaler of node groups."""

    accelerators: Accelerators = Accelerators()
    """Add-ons for GPUs."""

    fault_tolerance: FaultTolerance = FaultTolerance()
    """Storage for the head's state, which must survive a restart."""

    ingress: Ingress = Ingress()
    """The entry point for clients."""

    storage: Storage = Storage()
    """The bucket for code packages."""

    budget: Budget | None = None
    """Monthly budget of the stack. By default, none is created."""

    protection: Protection = Protection()
    """Protection from accidental deletion."""

    service_account_policy_arns: Arns = []
    """IAM policies to attach to the role of Ray's pods."""

    @property
    def has_gpus(self) -> bool:
        """Whether a node group has NVIDIA GPUs."""
        return any(group.has_gpus for group in self.node_groups)

    def resolved(self) -> dict[str, Any]:
        """Return all keys like StackConfig.resolved, those of the provider first."""
        values = super().resolved()
        provider = values.pop("raylift:aws")
        provider_keys = {
            f"aws:{key}": value for key, value in provider.items() if value
        }
        return provider_keys | values
