"""Stack file sections shared by the targets `kubernetes` and `aws`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from raylift.infra.config.base import Section, StackConfig
from raylift.infra.config.types import Bytes, Env, Labels, Name, Seconds, variables
from raylift.infra.kubernetes.pod_config import (
    EnvSource,
    Toleration,
    TopologySpread,
    Volume,
)
from raylift.infra.kubernetes.types import (
    Auto,
    Cidr,
    Count,
    ExtraResources,
    FeatureGateName,
    ObjectName,
    Registry,
    Secret,
    Version,
)
from raylift.infra.serve_proxy import Ingress
from raylift.strict_model import Positive

RAY_VERSION = "2.60.0"
# The newest tested operator; authOptions requires 1.5.1.
OPERATOR_VERSION = "1.6.1"


class WorkerGroup(Section):
    """Ray workers of one shape. Omitted keys are derived from the node group."""

    name: Name
    """Name of the group, unique in the stack.

    Lowercase letters, digits and `-`, at most 20 characters.
    """

    node_group: Name | None = None
    """Node group that the workers run on. Defaults to the one with the same name."""

    num_cpus: Annotated[Positive | None, Auto] = None
    """CPUs of each pod.

    By default, a share of the node proportional to `numGpus`, or the whole node
    if `numGpus` is 0.
    """

    num_gpus: Annotated[Count | None, Auto] = None
    """GPUs of each pod. Defaults to all GPUs of a node."""

    memory: Annotated[Bytes | None, Auto] = None
    """Memory of each pod, in bytes or with a unit, such as `16Gi`.

    By default, a share of the node proportional to `numGpus`, or the whole node
    if `numGpus` is 0.
    """

    min_replicas: Annotated[Count | None, Auto] = None
    """Minimum number of workers. By default, as many as fit on `minSize` nodes."""

    max_replicas: Annotated[Count | None, Auto] = None
    """Maximum number of workers. By default, as many as fit on `maxSize` nodes."""

    num_of_hosts: Annotated[int, Field(ge=1)] = 1
    """Number of pods that form one replica of the group."""

    idle_timeout: Seconds | None = None
    """Time after which the autoscaler removes an idle worker.

    In seconds or with a unit, such as `5m`.

    Defaults to `ray.autoscaling.idleTimeout`.
    """

    extra_resources: ExtraResources = {}
    """Resources of each pod other than CPUs, memory and GPUs.

    A count or a size, such as `{rdma/hca: 1, ephemeral-storage: 100Gi}`.
    """

    topology_spread: list[TopologySpread] = []
    """Rules that spread the workers over nodes or zones."""


class FeatureGate(Section):
    """A feature gate of KubeRay, named as in its Helm chart."""

    name: FeatureGateName
    """Name of the feature gate, such as `RayCronJob`."""

    enabled: bool = True
    """Whether the feature is enabled."""


class Operator(Section):
    """The KubeRay operator: installed with its Helm chart, or an existing one."""

    install: Annotated[bool | None, Auto] = None
    """Whether to install the operator. By default, only if the cluster has none."""

    version: Version = OPERATOR_VERSION
    """Version of the Helm chart, at least 1.5.1."""

    namespace: Name = "kuberay-operator"
    """Namespace of the operator. It must differ from that of the stack."""

    feature_gates: list[FeatureGate] = []
    """Feature gates of the operator, which replace those of the Helm chart.

    They cannot be combined with `install: false`.
    """


class Head(Section):
    """The pod that runs Ray's control plane. It never runs replicas."""

    num_cpus: Positive = 1.0
    """CPUs of the pod."""

    memory: Bytes = 4 << 30
    """Memory of the pod, in bytes or with a unit, such as `4Gi`."""

    node_selector: Labels = {}
    """Labels that a node must have to run the pod."""

    tolerations: list[Toleration] = []
    """Taints that the pod tolerates."""


class Autoscaling(Section):
    """Ray's autoscaler, version 2."""

    idle_timeout: Seconds = 300
    """Time after which an idle worker is removed.

    In seconds or with a unit, such as `5m`.
    """

    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] = "Default"
    """How fast workers are added; KubeRay's `upscalingMode`."""


class Ray(Section):
    """The Ray cluster."""

    version: Version = RAY_VERSION
    """Ray version of the image, at least 2.52.0."""

    image: Annotated[str | None, Auto] = None
    """Container image of all pods. Its tag must match `ray.version`.

    Defaults to `rayproject/ray` of that version, with CUDA for workers with GPUs.
    """

    image_registry: Registry | None = None
    """Registry that mirrors the default images, such as `registry.example.com/mirror`.

    It must contain `rayproject/ray` and, to install the operator, `kuberay/operator`.
    """

    image_pull_secrets: list[str] = []
    """Secrets in the namespace of the stack that hold registry credentials."""

    priority_class_name: ObjectName | None = None
    """PriorityClass of every pod."""

    operator: Operator = Operator()
    """The KubeRay operator."""

    ingress: Annotated[Ingress | None, Auto] = None
    """Proxy in front of the replicas: HAProxy or Ray's Python proxy.

    `auto` is HAProxy with Ray 2.60 or newer, and otherwise Ray's proxy.
    """

    head: Head = Head()
    """The pod that runs Ray's control plane."""

    worker_groups: Annotated[list[WorkerGroup] | None, Auto] = None
    """Groups of Ray workers.

    By default, one per node group, with one worker per node.
    """

    autoscaling: Autoscaling = Autoscaling()
    """Ray's autoscaler."""

    env: Env = {}
    """Environment variables of every pod. Put secrets in `ray.secretEnv`."""

    secret_env: Annotated[dict[str, Secret], AfterValidator(variables)] = Field(
        default={}, repr=False
    )
    """Secret environment variables of every pod, stored in a Kubernetes Secret.

    Encrypt each with `pulumi config set --secret --path`.
    """

    env_from: list[EnvSource] = []
    """ConfigMaps and Secrets whose keys become environment variables of every pod.

    `env` and `secretEnv` take precedence.
    """

    volumes: list[Volume] = []
    """Volumes of every Ray pod, for models and caches."""


class SecretKey(Section):
    """A key of an existing Secret in the namespace of the stack."""

    name: str
    """Name of the Secret."""

    key: str
    """Key in the Secret."""


class FaultTolerance(Section):
    """Storage for the head's state, which must survive a restart."""

    gcs_storage: Literal["rocksdb", "redis", "none"] = "rocksdb"
    """Type of storage: a volume, Redis or none.

    With `none`, the Ray cluster is lost if its head fails.
    """

    storage_class_name: str | None = None
    """StorageClass of the volume for `rocksdb`. Defaults to the cluster's default."""

    size: Bytes = 2 << 30
    """Size of the volume for `rocksdb`, in bytes or with a unit, such as `2Gi`."""

    redis_address: str | None = None
    """Address for `redis`, such as `redis://redis:6379`, without a password."""

    redis_password: SecretKey | None = None
    """Secret that holds the password for `redis`."""


class NetworkPolicy(Section):
    """Who may connect to the pods. Ray's own pods always can."""

    enabled: bool = True
    """Whether to create network policies. A network plugin must enforce them."""

    api_server_cidrs: Annotated[list[Cidr] | None, Auto] = None
    """Networks from which the API server reaches pods, such as `10.0.0.0/28`.

    They can access Ray's dashboard. By default, the addresses of the API server.
    """

    serve_from: list[str] = []
    """Namespaces that may send requests to applications."""

    metrics_from: list[str] = []
    """Namespaces that may read metrics, such as that of Prometheus."""


class InCluster(Section):
    """The location of the stack in a cluster."""

    namespace: Name = "ray"
    """Namespace of the stack. It must differ from that of the operator."""


class RayOnKubernetes(StackConfig):
    """Sections shared by the targets `kubernetes` and `aws`."""

    kubernetes: InCluster = InCluster()
    """The location of the stack in a cluster."""

    ray: Ray = Ray()
    """The Ray cluster."""

    fault_tolerance: FaultTolerance = FaultTolerance()
    """Storage for the head's state, which must survive a restart."""

    network_policy: NetworkPolicy = NetworkPolicy()
    """Who may connect to the pods."""

    tags: dict[str, str] = {}
    """Labels or tags of everything in the stack."""

    def resolved(self) -> dict[str, Any]:
        """Return all keys like StackConfig.resolved, with secrets masked.

        Secrets are `[secret]`, as in the output of Pulumi.
        """
        values = super().resolved()
        secrets = values["raylift:ray"]["secretEnv"]
        values["raylift:ray"]["secretEnv"] = dict.fromkeys(secrets, "[secret]")
        return values
