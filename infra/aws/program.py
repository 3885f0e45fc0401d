"""The Pulumi program of target `aws`: from a VPC to a Ray service on GPU nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.aws import controllers, packages, redis
from infra.aws.account import STACK_TAG, account, zones_of
from infra.aws.cluster import cluster, inside, kubeconfig
from infra.aws.identity import PODS, attach, body, role
from infra.aws.ingress import ingress
from infra.aws.keys import with_key
from infra.aws.logs import flow_logs
from infra.aws.network import network
from infra.aws.node_group import ground, system_group, worker_group
from infra.kubernetes.cluster import Cluster, namespace
from infra.kubernetes.component import RayService, Wanted, redis_options, volume_of
from infra.kubernetes.gpu import NODE_GROUP_LABEL
from infra.kubernetes.network_policy import Callers
from infra.kubernetes.operator import operator
from infra.kubernetes.program import handed_over
from infra.kubernetes.ray_service import Place

if TYPE_CHECKING:
    from infra.aws.account import Account
    from infra.aws.config import AwsConfig
    from infra.aws.network import Network


def build(config: AwsConfig, stack: str) -> dict[str, Any]:
    """Register every resource of the stack; what it hands over."""
    here = with_key(account(config, stack))
    net = network(here, zones_of(here))
    flow_logs(here, net)
    made = cluster(here, net)
    on = ground(here, made, net)
    system = system_group(on)
    for group in config.node_groups:
        worker_group(on, group, system)
    after = controllers.addons(here, made, system)
    provider = inside(here, made, [system, *made.for_nodes])
    within = controllers.Inside(here, made, provider, system)
    place = Place(stack, config.kubernetes.namespace, {})
    bucket = packages.bucket(here)
    identities = _identities(within, place, bucket)
    service = _ray(net, within, place, [*after, *identities])
    _controllers(within)
    if config.ingress.type == "alb":
        ingress(within, net, Cluster(place, provider), service.service)
    _budget(here)
    return _handed_over(here, made.eks, bucket)


def _controllers(within: controllers.Inside) -> None:
    config = within.here.config
    if config.autoscaler.type == "clusterAutoscaler":
        controllers.autoscaler(within)
    if config.has_gpus and config.accelerators.device_plugin == "install":
        controllers.device_plugin(within)
    if config.accelerators.dcgm_exporter:
        controllers.dcgm_exporter(within)
    if any(group.efa for group in config.node_groups):
        controllers.efa_plugin(within)


def _ray(
    net: Network,
    within: controllers.Inside,
    place: Place,
    after: list[pulumi.Resource],
) -> RayService:
    """The operator and the Ray service, its state kept as the file says."""
    here, config = within.here, within.here.config
    storage = config.fault_tolerance
    # Add-ons and identities are for Ray's pods; the operator is installed meanwhile.
    disks = controllers.storage_class(within, after)
    at = Cluster(place, within.provider, [within.system])
    space = namespace(at)
    release = operator(at, config.ray)
    before: list[pulumi.Resource] = [space, release, disks, *after]
    options = None
    if storage.gcs_storage == "elasticache":
        group, way = redis.replication_group(here, net, within.cluster)
        options = redis.options_of(at, group, [space, way])
    elif storage.gcs_storage == "redis":
        options = redis_options(storage)
    policy = config.network_policy
    callers = Callers(
        operator=config.ray.operator.namespace,
        api_server=policy.api_server_cidrs or net.api_server,
        serve=policy.serve_from,
        serve_cidrs=net.load_balancers if config.ingress.type == "alb" else [],
        metrics=policy.metrics_from,
    )
    wanted = Wanted(
        ray=_with_system_head(config),
        workers=config.workers(),
        callers=callers,
        volume=volume_of(storage, controllers.STORAGE_CLASS),
        redis=options,
        policies=policy.enabled,
    )
    return RayService(at, wanted, after=before)


def _with_system_head(config: AwsConfig) -> Any:  # noqa: ANN401 a Ray section
    """The head on system nodes: a GPU node goes when nobody needs GPUs."""
    selector = {**config.ray.head.node_selector, NODE_GROUP_LABEL: "system"}
    head = config.ray.head.model_copy(update={"node_selector": selector})
    return config.ray.model_copy(update={"head": head})


def _identities(
    within: controllers.Inside, place: Place, bucket: aws.s3.Bucket
) -> list[pulumi.Resource]:
    """What Ray's pods may do in AWS: read code packages, and what the file adds."""
    here = within.here
    made, _ = role(here, "ray", PODS)
    reads = aws.iam.RolePolicy(
        "ray",
        role=made.name,
        policy=pulumi.Output.json_dumps(body(packages.reading(bucket))),
        opts=here.options(),
    )
    extra = here.config.service_account_policy_arns
    attached = [attach(here, made, arn, "ray") for arn in extra]
    return [
        aws.eks.PodIdentityAssociation(
            f"ray-{kind}",
            cluster_name=within.cluster.eks.name,
            namespace=place.namespace,
            service_account=f"{place.stack}-{kind}",
            role_arn=made.arn,
            opts=here.options(depends_on=[reads, *attached]),
        )
        for kind in ("head", "worker")
    ]


def _budget(here: Account) -> None:
    wanted = here.config.budget
    if wanted is None:
        return
    told: Any = {
        "comparison_operator": "GREATER_THAN",
        "threshold": 80,
        "threshold_type": "PERCENTAGE",
        "notification_type": "FORECASTED",
        "subscriber_email_addresses": [wanted.email],
    }
    aws.budgets.Budget(
        "budget",
        budget_type="COST",
        limit_amount=str(wanted.monthly_usd),
        limit_unit="USD",
        time_unit="MONTHLY",
        cost_filters=[{"name": "TagKeyValue", "values": [_tagged(here)]}],
        notifications=[told],
        opts=here.options(),
    )


def _tagged(here: Account) -> str:
    """The stack's tag in the budget's own notation."""
    return f"user:{STACK_TAG}${here.stack}"


def _handed_over(
    here: Account, eks: aws.eks.Cluster, bucket: aws.s3.Bucket
) -> dict[str, Any]:
    """What target `kubernetes` hands over, and how to reach the cluster."""
    return {
        **handed_over(here.config, here.stack, eks.arn),
        "clusterName": eks.name,
        "region": here.region,
        "kubeconfig": kubeconfig(here, eks),
        "packages": pulumi.Output.concat("s3://", bucket.bucket),
        **({"profile": profile} if (profile := here.config.aws.profile) else {}),
    }
