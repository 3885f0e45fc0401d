"""Stack file sections for the EKS cluster of target `aws` and its add-ons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raylift.infra.aws.types import Arns, MinorVersion
from raylift.infra.config.base import Section
from raylift.infra.config.types import Seconds
from raylift.infra.kubernetes import ray_config
from raylift.infra.kubernetes.types import Auto, Cidr

# Standard support ends 2027-03-27; that of 1.34 on 2026-12-02.
KUBERNETES_VERSION = "1.35"
LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]


class Kubernetes(ray_config.InCluster):
    """The EKS cluster."""

    version: MinorVersion = KUBERNETES_VERSION
    """Minor version of Kubernetes, in quotes, such as `'1.35'`."""

    support_type: Literal["STANDARD", "EXTENDED"] = "STANDARD"
    """Support policy of EKS. `EXTENDED` allows older versions, at a higher price."""

    endpoint_private_access: bool = True
    """Whether the API server has an endpoint in the VPC."""

    public_access_cidrs: Annotated[list[Cidr] | None, Auto] = None
    """Networks that may reach the public endpoint of the API server.

    Defaults to the address of the machine that creates the cluster; `[]` removes the
    endpoint.
    """

    enabled_log_types: list[LogType] = [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    ]
    """Logs of the control plane to store in CloudWatch. Defaults to all."""

    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 365
    """Days to keep the logs of the control plane and the flow logs of the VPC."""

    admin_principal_arns: Arns = []
    """IAM principals that administer the cluster, besides its creator."""


class Autoscaler(Section):
    """The autoscaler of node groups."""

    type: Literal["clusterAutoscaler", "none"] = "clusterAutoscaler"
    """The autoscaler to install. With `none`, node groups keep their sizes."""

    scale_down_unneeded_time: Seconds = 600
    """Time after which an idle node is removed.

    In seconds or with a unit, such as `10m`.
    """


class Accelerators(Section):
    """Add-ons for GPUs."""

    device_plugin: Literal["install", "skip"] = "install"
    """Whether to install NVIDIA's device plugin on nodes with GPUs.

    Use `skip` if the image of the nodes contains it, as Bottlerocket does.
    """

    dcgm_exporter: bool = False
    """Whether to install NVIDIA's DCGM exporter of GPU metrics for Prometheus.

    It requires a node group with GPUs.
    """


class FaultTolerance(ray_config.FaultTolerance):
    """Storage for the head's state, which must survive a restart."""

    gcs_storage: Literal["rocksdb", "redis", "elasticache", "none"] = "rocksdb"  # type: ignore[assignment]
    """Type of storage: a volume, Redis, ElastiCache with TLS, or none.

    A volume is tied to one zone. With `none`, the Ray cluster is lost if its head
    fails.
    """

    node_type: str = "cache.t4g.small"
    """Node type of ElastiCache."""

    replicas: Annotated[int, Field(ge=0, le=5)] = 1
    """Number of ElastiCache replicas, 0 to 5."""

    multi_az: bool = True
    """Whether ElastiCache spans zones with automatic failover.

    It requires a replica.
    """
