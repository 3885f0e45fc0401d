"""AwsConfig: every key of a stack file whose target is `aws`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from infra.aws import checks, node_checks
from infra.aws.instance_types import types_of
from infra.config import Host, Labels, Name, Resources, Seconds, Section
from infra.kubernetes import checks as ray_checks
from infra.kubernetes import config as kubernetes
from infra.kubernetes.config import (
    Auto,
    Cidr,
    Count,
    LabelKey,
    LabelValue,
    RayOnKubernetes,
    hide_secrets,
)
from infra.kubernetes.gpu import GPU_TAINT, NODE_GROUP_LABEL, TAINT_VALUE
from infra.kubernetes.workers import Pool, Taint, Worker, workers_of
from raylift.wording import kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.aws.instance_types import InstanceType
    from infra.config import Wrong

# Standard support ends 2027-03-27; 1.34 leaves it on 2026-12-02.
KUBERNETES_VERSION = "1.35"
_ZONE = re.compile(r"[A-Z0-9]{1,32}")  # of Route 53
_ARN = re.compile(r"arn:[-a-z]+:[-a-z0-9]+:[-a-z0-9]*:[a-z0-9]*:[^\s]+")


def _minor(value: str) -> str:
    if not value.replace(".", "", 1).isdigit() or "." not in value:
        raise ValueError("must be a minor version in quotes, such as '1.35'")
    return value


def _arn(value: str) -> str:
    if not _ARN.fullmatch(value):
        text = "must be an ARN such as arn:aws:iam::123456789012:role/name"
        raise ValueError(f"{text}, not {kind(value)}")
    return value


def _zone(value: str | None) -> str | None:
    if value is not None and not _ZONE.fullmatch(value):
        raise ValueError(f"must be an ID such as Z0123456789ABC, not {kind(value)}")
    return value


def _once(value: list[str]) -> list[str]:
    for item in value:
        if value.count(item) > 1:
            raise ValueError(f"{item} is given twice")
    return value


def _tags(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if key.lower().startswith(("aws:", "raylift:")):
            owner = key.split(":")[0]
            raise ValueError(f"{key}: tags of {owner}: are not for you to set")
    return value


InstanceTypes = Annotated[list[str], Field(min_length=1, max_length=20)]
Arn = Annotated[str, AfterValidator(_arn)]
Arns = Annotated[list[Arn], AfterValidator(_once)]
Tags = Annotated[dict[str, str], AfterValidator(_tags)]


class Provider(Section):
    """Keys of Pulumi's own AWS provider, `aws:…`; it has more than these."""

    model_config = ConfigDict(extra="ignore")

    region: str
    profile: str | None = None
    allowed_account_ids: list[str] = []


class Network(Section):
    """A VPC of the stack's own, or one that is there."""

    vpc_id: str | None = None
    private_subnet_ids: list[str] = []
    public_subnet_ids: list[str] = []
    cidr_block: Cidr = "10.0.0.0/16"
    availability_zones: Annotated[list[str] | None, Auto] = None
    nat_gateway: Literal["none", "single", "perAz"] = "single"
    vpc_endpoints: Literal["s3", "private", "none"] = "s3"
    flow_logs: bool = True


class Kubernetes(kubernetes.InCluster):
    """The EKS cluster."""

    version: Annotated[str, AfterValidator(_minor)] = KUBERNETES_VERSION
    support_type: Literal["STANDARD", "EXTENDED"] = "STANDARD"
    endpoint_private_access: bool = True
    public_access_cidrs: Annotated[list[Cidr] | None, Auto] = None
    enabled_log_types: list[
        Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]
    ] = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 365
    admin_principal_arns: Arns = []


class SystemNodeGroup(Section):
    """CPU nodes for the Ray head, the operator and add-ons."""

    instance_types: InstanceTypes = ["m7i.xlarge", "m6i.xlarge"]
    min_size: Annotated[int, Field(ge=1)] = 2
    max_size: Count = 4

    def types(self) -> list[InstanceType]:
        """Its instance types."""
        return types_of(self.instance_types)


class Disk(Section):
    """The root volume of a node: gp3, encrypted."""

    size_gib: Annotated[int, Field(ge=20, le=16384)] = 200
    throughput_mibps: Annotated[int, Field(ge=125, le=1000)] = 500
    iops: Annotated[int, Field(ge=3000, le=16000)] = 3000
    snapshot_id: str | None = None


class WarmPool(Section):
    """Nodes that were started once and wait, stopped or running."""

    min_size: Count = 0
    max_prepared_capacity: Count | None = None
    pool_state: Literal["STOPPED", "RUNNING", "HIBERNATED"] = "STOPPED"
    reuse_on_scale_in: bool = False


class NodeTaint(Section):
    """A taint of every node of a group, in Kubernetes' words."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class NodeGroup(Section):
    """An EKS managed node group: instance types of one shape."""

    name: Name
    instance_types: InstanceTypes
    capacity_type: Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"] = "ON_DEMAND"
    capacity_reservation_id: str | None = None
    min_size: Count = 0
    max_size: Count = 1
    desired_size: Count | None = None
    availability_zones: Annotated[list[str] | None, Auto] = None
    ami_type: Annotated[
        Literal[
            "AL2023_x86_64_NVIDIA",
            "AL2023_ARM_64_NVIDIA",
            "AL2023_x86_64_STANDARD",
            "AL2023_ARM_64_STANDARD",
            "BOTTLEROCKET_x86_64_NVIDIA",
            "BOTTLEROCKET_ARM_64_NVIDIA",
            "BOTTLEROCKET_x86_64",
            "BOTTLEROCKET_ARM_64",
        ]
        | None,
        Auto,
    ] = None
    disk: Disk = Disk()
    instance_store: Literal["raid0", "none"] = "raid0"
    efa: bool = False
    placement_group: Literal["cluster"] | None = None
    labels: Labels = {}
    resources: Resources = {}
    taints: Annotated[list[NodeTaint] | None, Auto] = None
    update_strategy: Literal["DEFAULT", "MINIMAL"] = "DEFAULT"
    warm_pool: WarmPool | None = None
    node_repair: bool = True

    def types(self) -> list[InstanceType]:
        """Its instance types."""
        return types_of(self.instance_types)

    @property
    def has_gpus(self) -> bool:
        """Whether a node of the group has an NVIDIA GPU."""
        return any(found.gpus for found in self.types())

    def pool(self) -> Pool:
        """What a node of the group gives to pods: as much as its smallest type."""
        types = self.types()
        taints = [Taint(GPU_TAINT, TAINT_VALUE, "NoSchedule")] if self.has_gpus else []
        if self.taints is not None:
            taints = [Taint(t.key, t.value, t.effect) for t in self.taints]
        return Pool(
            name=self.name,
            num_cpus=float(min(found.pod_cpus for found in types)),
            memory=min(found.pod_memory for found in types),
            num_gpus=min(found.gpus for found in types),
            min_size=self.min_size,
            max_size=self.max_size,
            node_selector={NODE_GROUP_LABEL: self.name},
            tolerations=tuple(taints),
            labels=self.labels,
            resources=self.resources,
        )


class Autoscaler(Section):
    """What adds and removes nodes."""

    type: Literal["clusterAutoscaler", "none"] = "clusterAutoscaler"
    scale_down_unneeded_time: Seconds = 600


class Accelerators(Section):
    """What makes GPUs known to Kubernetes, and what says how they are used."""

    device_plugin: Literal["install", "skip"] = "install"
    dcgm_exporter: bool = False


class FaultTolerance(kubernetes.FaultTolerance):
    """Where the head keeps what must outlive it; on AWS also ElastiCache, with TLS."""

    gcs_storage: Literal["rocksdb", "redis", "elasticache", "none"] = "rocksdb"  # type: ignore[assignment]
    node_type: str = "cache.t4g.small"
    replicas: Annotated[int, Field(ge=0, le=5)] = 1
    multi_az: bool = True


class Ingress(Section):
    """The way in for clients: an ALB, for the serve port alone."""

    type: Literal["none", "alb"] = "none"
    scheme: Literal["internal", "internet-facing"] = "internal"
    host: Host | None = None
    certificate_arn: str | None = None
    hosted_zone_id: Annotated[str | None, AfterValidator(_zone)] = None
    allowed_cidrs: list[Cidr] = []
    idle_timeout: Annotated[Seconds, Field(ge=1, le=4000)] = 600


class Storage(Section):
    """The bucket for code packages."""

    force_destroy: bool = False
    expire_days: Annotated[int, Field(ge=1)] | None = None


class Budget(Section):
    """A monthly limit and who hears of it."""

    monthly_usd: Annotated[int, Field(ge=1)]
    email: str


class Protection(Section):
    """What a delete must not take by mistake."""

    deletion_protection: bool = False


class AwsConfig(RayOnKubernetes):
    """One place to serve from: an EKS cluster of the stack's own."""

    target: Literal["aws"] = "aws"
    aws: Provider
    tags: Tags = {}
    permissions_boundary: Arn | None = None
    kms_key_arn: Annotated[Arn | None, Auto] = None
    network: Network = Network()
    kubernetes: Kubernetes = Kubernetes()
    system_node_group: SystemNodeGroup = SystemNodeGroup()
    node_groups: list[NodeGroup] = []
    autoscaler: Autoscaler = Autoscaler()
    accelerators: Accelerators = Accelerators()
    fault_tolerance: FaultTolerance = FaultTolerance()
    ingress: Ingress = Ingress()
    storage: Storage = Storage()
    budget: Budget | None = None
    protection: Protection = Protection()
    service_account_policy_arns: Arns = []

    def checks(self) -> Iterator[Wrong]:
        """What is wrong although every single value is right."""
        yield from node_checks.of_node_groups(self)
        yield from checks.of_provider(self)
        yield from checks.of_key(self)
        yield from checks.of_network(self)
        yield from checks.of_cluster(self)
        yield from checks.of_namespace(self)
        yield from checks.of_fault_tolerance(self)
        yield from checks.of_ingress(self)
        yield from checks.of_accelerators(self)
        yield from checks.of_budget(self)
        yield from ray_checks.of_ray(self)
        yield from ray_checks.of_policy(self)
        yield from ray_checks.of_workers(self)

    @property
    def has_gpus(self) -> bool:
        """Whether a node group has NVIDIA GPUs."""
        return any(group.has_gpus for group in self.node_groups)

    def pools(self) -> list[Pool]:
        """The node groups for Ray workers; without any, the system group."""
        return [group.pool() for group in self.node_groups] or [self._system_pool()]

    def workers(self) -> list[Worker]:
        """The Ray workers that the file asks for."""
        return workers_of(self.ray.worker_groups, self.pools())

    def _system_pool(self) -> Pool:
        system = self.system_node_group
        return Pool(
            name="system",
            num_cpus=1.0,
            memory=2 << 30,
            num_gpus=0,
            min_size=1,
            max_size=system.max_size,
            node_selector={NODE_GROUP_LABEL: "system"},
        )

    def resolved(self) -> dict[str, Any]:
        """As StackConfig.resolved; Pulumi's own keys stand under their own names."""
        values = hide_secrets(super().resolved())
        provider = values.pop("raylift:aws")
        given = {f"aws:{key}": value for key, value in provider.items() if value}
        return given | values
