"""KubernetesConfig: every key of a stack file whose target is `kubernetes`.

The sections on Ray itself are those of target `aws` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core.core_schema import no_info_before_validator_function

from infra.config import (
    Bytes,
    Env,
    Host,
    Labels,
    Name,
    Resources,
    Seconds,
    Section,
    StackConfig,
    variables,
)
from infra.kubernetes import checks
from infra.kubernetes.names import (
    bucket,
    cidr,
    feature_gate,
    label_key,
    label_value,
    object_name,
    version,
)
from infra.kubernetes.workers import Pool, Taint, Worker, workers_of
from raylift.model import Positive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from infra.config import Wrong

RAY_VERSION = "2.60.0"
# The newest operator that raylift was tried with; authOptions came in 1.5.1.
OPERATOR_VERSION = "1.6.1"


class _Auto:
    """`auto` may stand for nothing given."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        told = handler(schema)
        return {"anyOf": [{"const": "auto"}, *told.get("anyOf", [told])]}

    @staticmethod
    def _read(value: object) -> object:
        return None if value == "auto" else value


def _encrypted(value: object) -> object:
    """A secret as it stands in the file, or decrypted by Pulumi in the program."""
    if isinstance(value, dict) and value.keys() == {"secure"}:
        return str(value["secure"])
    return value


_SECURE = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}
Auto = _Auto()
Secret = Annotated[str, BeforeValidator(_encrypted), WithJsonSchema(_SECURE)]
Count = Annotated[int, Field(ge=0)]
Cidr = Annotated[str, AfterValidator(cidr)]
ObjectName = Annotated[str, AfterValidator(object_name)]
LabelKey = Annotated[str, AfterValidator(label_key)]
LabelValue = Annotated[str, AfterValidator(label_value)]
Version = Annotated[str, AfterValidator(version)]


class Toleration(Section):
    """A taint that pods of a node group may be scheduled in spite of."""

    key: LabelKey
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class NodeGroup(Section):
    """Nodes of the cluster that are alike; the sizes are what one gives to one pod."""

    name: Name
    node_selector: Labels = {}
    tolerations: list[Toleration] = []
    runtime_class_name: ObjectName | None = None
    num_cpus: Positive = 2.0
    num_gpus: Count = 0
    memory: Bytes = 4 << 30
    resources: Resources = {}
    labels: Labels = {}
    min_size: Count = 0
    max_size: Count = 4


_ANY_NODE = NodeGroup.model_validate({"name": "workers", "minSize": 1})


class WorkerGroup(Section):
    """Alike Ray workers. What is left out follows from the node group."""

    name: Name
    node_group: Name | None = None
    num_cpus: Annotated[Positive | None, Auto] = None
    num_gpus: Annotated[Count | None, Auto] = None
    memory: Annotated[Bytes | None, Auto] = None
    min_replicas: Annotated[Count | None, Auto] = None
    max_replicas: Annotated[Count | None, Auto] = None
    num_of_hosts: Annotated[int, Field(ge=1)] = 1
    idle_timeout: Seconds | None = None


class FeatureGate(Section):
    """One of KubeRay's feature gates, as its Helm chart names them."""

    name: Annotated[str, AfterValidator(feature_gate)]
    enabled: bool = True


class Operator(Section):
    """The KubeRay operator: installed by its Helm chart, or found."""

    install: Annotated[bool | None, Auto] = None
    version: Version = OPERATOR_VERSION
    namespace: Name = "kuberay-operator"
    feature_gates: list[FeatureGate] = []


class Head(Section):
    """The pod that runs Ray's control plane; replicas never run there."""

    num_cpus: Positive = 1.0
    memory: Bytes = 4 << 30
    node_selector: Labels = {}
    tolerations: list[Toleration] = []


class Autoscaling(Section):
    """Ray's autoscaler, version 2."""

    idle_timeout: Seconds = 300
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] = "Default"


class Ray(Section):
    """The Ray cluster."""

    version: Version = RAY_VERSION
    image: Annotated[str | None, Auto] = None
    image_pull_secrets: list[str] = []
    operator: Operator = Operator()
    head: Head = Head()
    worker_groups: Annotated[list[WorkerGroup] | None, Auto] = None
    autoscaling: Autoscaling = Autoscaling()
    env: Env = {}
    secret_env: Annotated[dict[str, Secret], AfterValidator(variables)] = Field(
        default={}, repr=False
    )


class SecretKey(Section):
    """A key of a Secret that is in the namespace already."""

    name: str
    key: str


class FaultTolerance(Section):
    """Where the head keeps what must outlive it."""

    gcs_storage: Literal["rocksdb", "redis", "none"] = "rocksdb"
    storage_class_name: str | None = None
    size: Bytes = 2 << 30
    redis_address: str | None = None
    redis_password: SecretKey | None = None


class Ingress(Section):
    """The way in for clients, to the serve port alone."""

    type: Literal["none", "ingressClass"] = "none"
    ingress_class_name: str | None = None
    host: Host | None = None
    tls_secret_name: str | None = None
    annotations: dict[str, str] = {}


class NetworkPolicy(Section):
    """Who may connect: Ray to itself always, others by name."""

    enabled: bool = True
    api_server_cidrs: Annotated[list[Cidr] | None, Auto] = None
    serve_from: list[str] = []
    metrics_from: list[str] = []


class Observability(Section):
    """What Prometheus' operator is told of: a PodMonitor, where it can be of use."""

    prometheus: Annotated[bool | None, Auto] = None


class InCluster(Section):
    """Where in a cluster a stack is."""

    namespace: Name = "ray"


class Kubernetes(InCluster):
    """Which cluster, as kubectl names it, and the namespace in it."""

    context: str | None = None
    kubeconfig: str | None = None


class RayOnKubernetes(StackConfig):
    """What the targets `kubernetes` and `aws` share."""

    kubernetes: InCluster = InCluster()
    ray: Ray = Ray()
    fault_tolerance: FaultTolerance = FaultTolerance()
    network_policy: NetworkPolicy = NetworkPolicy()
    tags: dict[str, str] = {}

    def pools(self) -> list[Pool]:
        """What a node of each node group gives to pods."""
        raise NotImplementedError


class KubernetesConfig(RayOnKubernetes):
    """One place to serve from: a namespace of a cluster that is there."""

    target: Literal["kubernetes"] = "kubernetes"
    tags: Labels = {}
    kubernetes: Kubernetes = Kubernetes()
    node_groups: list[NodeGroup] = []
    ingress: Ingress = Ingress()
    observability: Observability = Observability()
    packages: Annotated[str, AfterValidator(bucket)] | None = None

    def checks(self) -> Iterator[Wrong]:
        """What is wrong although every single value is right."""
        yield from checks.of_groups(self)
        yield from checks.of_ray(self)
        yield from checks.of_policy(self)
        yield from checks.of_namespace(self)
        yield from checks.of_storage(self)
        yield from checks.of_ingress(self)
        yield from checks.of_observability(self)
        yield from checks.of_workers(self)

    def pools(self) -> list[Pool]:
        """The node groups, or one that any node of the cluster belongs to."""
        groups = self.node_groups or [_ANY_NODE]
        return [
            Pool(
                name=group.name,
                num_cpus=group.num_cpus,
                memory=group.memory,
                num_gpus=group.num_gpus,
                min_size=group.min_size,
                max_size=group.max_size,
                node_selector=group.node_selector,
                tolerations=taints_of(group.tolerations),
                runtime_class=group.runtime_class_name,
                labels=group.labels,
                resources=group.resources,
            )
            for group in groups
        ]

    def workers(self) -> list[Worker]:
        """The Ray workers that the file asks for."""
        return workers_of(self.ray.worker_groups, self.pools())

    def resolved(self) -> dict[str, Any]:
        """As StackConfig.resolved, with no secret in clear."""
        return hide_secrets(super().resolved())


def taints_of(tolerations: Iterable[Toleration]) -> tuple[Taint, ...]:
    """Tolerations as values."""
    return tuple(Taint(t.key, t.value, t.effect) for t in tolerations)


def hide_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration whose secrets are `[secret]`, as Pulumi shows them."""
    secret = values["raylift:ray"]["secretEnv"]
    values["raylift:ray"]["secretEnv"] = dict.fromkeys(secret, "[secret]")
    return values
