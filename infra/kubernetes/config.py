"""KubernetesConfig: all keys of a stack file with target `kubernetes`."""

from __future__ import annotations

from typing import Annotated, Literal

from raylift.infra.config.base import Section
from raylift.infra.config.types import Bytes, Host, Labels, Name, Resources
from raylift.infra.kubernetes.pod_config import Toleration
from raylift.infra.kubernetes.ray_config import InCluster, RayOnKubernetes
from raylift.infra.kubernetes.types import Auto, Bucket, Count, ObjectName, SubjectName
from raylift.strict_model import Positive


class NodeGroup(Section):
    """Nodes of one shape in the cluster; resources are those available to a pod."""

    name: Name
    """Name of the group, unique in the stack.

    Lowercase letters, digits and `-`, at most 20 characters.
    """

    node_selector: Labels = {}
    """Labels of the nodes in the group. By default, the group includes all nodes."""

    tolerations: list[Toleration] = []
    """Taints of the nodes, which Ray workers tolerate."""

    runtime_class_name: ObjectName | None = None
    """RuntimeClass of Ray workers, such as `nvidia` on k3s, RKE2 and Talos."""

    num_cpus: Positive = 2.0
    """CPUs of a node that are available to a pod."""

    num_gpus: Count = 0
    """GPUs of a node that are available to a pod."""

    memory: Bytes = 4 << 30
    """Memory of a node that is available to a pod, in bytes or with a unit.

    For example, `26Gi`.
    """

    resources: Resources = {}
    """Custom Ray resources of each worker and their amounts, such as `{fast: 3}`."""

    labels: Labels = {}
    """Ray labels of each worker, for the `label_selector` of a deployment."""

    min_size: Count = 0
    """Minimum number of nodes."""

    max_size: Count = 4
    """Maximum number of nodes, at least 1."""


class Ingress(Section):
    """The entry point for clients, to the serve port only."""

    type: Literal["none", "ingressClass"] = "none"
    """Whether to create an Ingress."""

    ingress_class_name: str | None = None
    """IngressClass of the controller, such as `nginx`.

    Required with `type: ingressClass`.
    """

    host: Host | None = None
    """Host name that the Ingress matches. By default, every host."""

    tls_secret_name: str | None = None
    """Secret in the namespace of the stack that holds the TLS certificate."""

    annotations: dict[str, str] = {}
    """Annotations of the Ingress, for its controller."""


class Observability(Section):
    """Monitoring with the Prometheus Operator."""

    prometheus: Annotated[bool | None, Auto] = None
    """Whether to create a PodMonitor for Ray's metrics.

    By default, only if the cluster has the Prometheus Operator and the network policies
    admit Prometheus (`networkPolicy.metricsFrom`). `true` requires both.
    """


class Subject(Section):
    """A user, group or service account, as in a RoleBinding."""

    kind: Literal["User", "Group", "ServiceAccount"]
    """Kind of subject."""

    name: SubjectName
    """Name of the subject."""

    namespace: ObjectName | None = None
    """Namespace of the subject. Required for a ServiceAccount."""


class Access(Section):
    """Permissions in the namespace of the stack, for those who do not run `up`."""

    deployers: list[Subject] = []
    """Subjects that may use `deploy`, `delete APP` and everything that viewers may."""

    viewers: list[Subject] = []
    """Subjects that may use `status`, `logs`, `traffic APP`, and `open` to read."""


class PackageVolume(Section):
    """A volume for application code, and a pod that serves it to the stack's pods."""

    size: Bytes = 10 << 30
    """Size of the volume, in bytes or with a unit, such as `10Gi`.

    It can only grow, and only if the StorageClass allows expansion.
    """

    storage_class_name: str | None = None
    """StorageClass of the volume. Defaults to the cluster's default."""


class Kubernetes(InCluster):
    """The Kubernetes cluster and the namespace of the stack."""

    context: str | None = None
    """Context in the kubeconfig. Defaults to the current context."""

    kubeconfig: str | None = None
    """Path to the kubeconfig. Defaults to the one that kubectl uses."""


class KubernetesConfig(RayOnKubernetes):
    """A stack in a namespace of an existing cluster."""

    target: Literal["kubernetes"] = "kubernetes"
    """Where the stack runs: an existing Kubernetes cluster."""

    tags: Labels = {}
    """Labels of every object in the stack."""

    kubernetes: Kubernetes = Kubernetes()
    """The Kubernetes cluster and the namespace of the stack."""

    access: Access = Access()
    """Permissions in the namespace of the stack, for those who do not run `up`."""

    node_groups: list[NodeGroup] = []
    """Groups of nodes for Ray workers. By default, one group includes all nodes."""

    ingress: Ingress = Ingress()
    """The entry point for clients."""

    observability: Observability = Observability()
    """Monitoring with the Prometheus Operator."""

    packages: Bucket | None = None
    """Bucket for application code, as `s3://BUCKET/PREFIX`.

    Every pod must be able to read it. To deploy a local directory, the stack requires
    this or `packageVolume`.
    """

    package_volume: PackageVolume | None = None
    """A volume in the cluster for application code, instead of a bucket.

    `{}` uses the defaults.
    """
