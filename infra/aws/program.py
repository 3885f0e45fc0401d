"""The Pulumi program of target `aws`, from the VPC to the Ray service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from raylift.infra.aws import elasticache, helm_charts, package_bucket
from raylift.infra.aws.account import open_account, zones_of
from raylift.infra.aws.addons import scheduled_addons
from raylift.infra.aws.cloudwatch import flow_logs
from raylift.infra.aws.cluster import cluster, kubeconfig, kubernetes_provider
from raylift.infra.aws.iam import (
    PODS,
    attach,
    body,
    role,
)
from raylift.infra.aws.ingress import ingress
from raylift.infra.aws.kms import with_key
from raylift.infra.aws.network import network
from raylift.infra.aws.node_group import foundation, system_group, worker_group
from raylift.infra.aws.node_shapes import workers_of
from raylift.infra.aws.tags import STACK_TAG
from raylift.infra.kubernetes.gpu import NODE_GROUP_LABEL
from raylift.infra.kubernetes.network_policy import Callers
from raylift.infra.kubernetes.object_scope import ObjectScope
from raylift.infra.kubernetes.operator import operator
from raylift.infra.kubernetes.placement import Placement, namespace
from raylift.infra.kubernetes.program import stack_outputs
from raylift.infra.kubernetes.ray_service import (
    RayService,
    RayServiceArgs,
    redis_options,
    volume_of,
)

if TYPE_CHECKING:
    from raylift.infra.aws.account import Account
    from raylift.infra.aws.config import AwsConfig
    from raylift.infra.aws.network import Network


def build(config: AwsConfig, stack: str) -> dict[str, Any]:
    """Register every resource of the stack and return the stack outputs."""
    account = with_key(open_account(config, stack))
    net = network(account, zones_of(account))
    flow_logs(account, net)
    eks_cluster = cluster(account, net)
    nodes = foundation(account, eks_cluster, net)
    system = system_group(nodes)
    for group in config.node_groups:
        worker_group(nodes, group, system)
    after = scheduled_addons(account, eks_cluster.eks, system)
    ready = [system, *eks_cluster.for_nodes]
    provider = kubernetes_provider(account, eks_cluster, ready)
    access = helm_charts.ClusterAccess(account, eks_cluster, provider, system)
    scope = ObjectScope(stack, config.kubernetes.namespace, {})
    bucket = package_bucket.bucket(account)
    identities = _identities(access, scope, bucket)
    service = _ray(net, access, scope, [*after, *identities])
    _controllers(access)
    if config.ingress.type == "alb":
        ingress(access, net, Placement(scope, provider), service.service)
    _budget(account)
    return _outputs(account, eks_cluster.eks, bucket)


def _controllers(access: helm_charts.ClusterAccess) -> None:
    config = access.account.config
    if config.autoscaler.type == "clusterAutoscaler":
        helm_charts.autoscaler(access)
    if config.has_gpus and config.accelerators.device_plugin == "install":
        helm_charts.device_plugin(access)
    if config.accelerators.dcgm_exporter:
        helm_charts.dcgm_exporter(access)
    if any(group.efa for group in config.node_groups):
        helm_charts.efa_plugin(access)


def _ray(
    net: Network,
    access: helm_charts.ClusterAccess,
    scope: ObjectScope,
    after: list[pulumi.Resource],
) -> RayService:
    """Create the operator and the Ray service with storage for the head's state."""
    account, config = access.account, access.account.config
    storage = config.fault_tolerance
    # Only Ray's pods wait for add-ons and identities, not the operator.
    disks = helm_charts.storage_class(access, after)
    at = Placement(scope, access.provider, [access.system])
    space = namespace(at)
    release = operator(at, config.ray)
    before: list[pulumi.Resource] = [space, release, disks, *after]
    options = None
    if storage.gcs_storage == "elasticache":
        group, rule = elasticache.replication_group(account, net, access.cluster)
        options = elasticache.options_of(at, group, [space, rule])
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
    args = RayServiceArgs(
        ray=_with_system_head(config),
        workers=workers_of(config),
        callers=callers,
        volume=volume_of(storage, helm_charts.STORAGE_CLASS),
        redis=options,
        policies=policy.enabled,
    )
    return RayService(at, args, after=before)


def _with_system_head(config: AwsConfig) -> Any:  # noqa: ANN401 a Ray section
    """Place the head on system nodes, because the autoscaler removes idle GPU nodes."""
    selector = {**config.ray.head.node_selector, NODE_GROUP_LABEL: "system"}
    head = config.ray.head.model_copy(update={"node_selector": selector})
    return config.ray.model_copy(update={"head": head})


def _identities(
    access: helm_charts.ClusterAccess, scope: ObjectScope, bucket: aws.s3.Bucket
) -> list[pulumi.Resource]:
    """Allow Ray's pods to read packages, and attach the policies of the stack file."""
    account = access.account
    pods, _ = role(account, "ray", PODS)
    reads = aws.iam.RolePolicy(
        "ray",
        role=pods.name,
        policy=pulumi.Output.json_dumps(body(package_bucket.reading(bucket))),
        opts=account.options(),
    )
    extra = account.config.service_account_policy_arns
    attached = [attach(account, pods, arn, "ray") for arn in extra]
    return [
        aws.eks.PodIdentityAssociation(
            f"ray-{kind}",
            cluster_name=access.cluster.eks.name,
            namespace=scope.namespace,
            service_account=f"{scope.stack}-{kind}",
            role_arn=pods.arn,
            opts=account.options(depends_on=[reads, *attached]),
        )
        for kind in ("head", "worker")
    ]


def _budget(account: Account) -> None:
    config = account.config.budget
    if config is None:
        return
    notification: Any = {
        "comparison_operator": "GREATER_THAN",
        "threshold": 80,
        "threshold_type": "PERCENTAGE",
        "notification_type": "FORECASTED",
        "subscriber_email_addresses": [config.email],
    }
    aws.budgets.Budget(
        "budget",
        budget_type="COST",
        limit_amount=str(config.monthly_usd),
        limit_unit="USD",
        time_unit="MONTHLY",
        cost_filters=[{"name": "TagKeyValue", "values": [_tagged(account)]}],
        notifications=[notification],
        opts=account.options(),
    )


def _tagged(account: Account) -> str:
    """Return the stack's tag in the format of AWS Budgets."""
    return f"user:{STACK_TAG}${account.stack}"


def _outputs(
    account: Account, eks: aws.eks.Cluster, bucket: aws.s3.Bucket
) -> dict[str, Any]:
    """Return the outputs of target `kubernetes`, and those for cluster access."""
    return {
        **stack_outputs(account.config, account.stack, eks.arn),
        "clusterName": eks.name,
        "region": account.region,
        "kubeconfig": kubeconfig(account, eks),
        "packages": pulumi.Output.concat("s3://", bucket.bucket),
        **({"profile": profile} if (profile := account.config.aws.profile) else {}),
    }
