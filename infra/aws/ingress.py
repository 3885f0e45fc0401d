"""The load balancer for clients, its certificate and its DNS record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import CustomTimeouts

from raylift.infra.aws.helm_charts import load_balancers
from raylift.infra.kubernetes import ingress as kubernetes
from raylift.infra.kubernetes.placement import EXISTS

if TYPE_CHECKING:
    import pulumi
    from pulumi_kubernetes.networking.v1 import Ingress

    from raylift.infra.aws.account import Account
    from raylift.infra.aws.helm_charts import ClusterAccess
    from raylift.infra.aws.network import Network
    from raylift.infra.kubernetes.placement import Placement

_ALB = "alb.ingress.kubernetes.io"
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
_WAIT_FOR_HOSTNAME = {
    "pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0].hostname}"
}


def ingress(
    access: ClusterAccess, net: Network, at: Placement, service: pulumi.Resource
) -> None:
    """Create a load balancer to the serve port; it is deleted before the service."""
    config = access.account.config.ingress
    controller = load_balancers(access, net)
    spec = {"ingressClassName": "alb", "rules": kubernetes.rules(at.scope, config.host)}
    annotations = _annotations(access.account, net)
    after = [service, controller]
    if config.hosted_zone_id is None:
        kubernetes.ingress(at, spec, annotations | EXISTS, depends_on=after)
        return
    balancer = kubernetes.ingress(
        at,
        spec,
        annotations | _WAIT_FOR_HOSTNAME,
        depends_on=after,
        # A different scheme results in a new load balancer with a new host name. The
        # status of an updated Ingress would still contain the old name.
        replace_on_changes=[f'metadata.annotations["{_ALB}/scheme"]'],
        delete_before_replace=True,
    )
    _record(access.account, balancer)


def _annotations(account: Account, net: Network) -> dict[str, Any]:
    """Return the annotations that configure the load balancer.

    Without `inbound-cidrs`, it would admit every network that can reach it, including
    peered networks.
    """
    config = account.config.ingress
    idle = f"idle_timeout.timeout_seconds={config.idle_timeout}"
    annotations: dict[str, Any] = {
        f"{_ALB}/scheme": config.scheme,
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/healthcheck-path": "/-/healthz",
        f"{_ALB}/load-balancer-attributes": idle,
        f"{_ALB}/target-group-attributes": "deregistration_delay.timeout_seconds=30",
        f"{_ALB}/tags": ",".join(f"{k}={v}" for k, v in account.tags().items()),
        f"{_ALB}/listen-ports": '[{"HTTP": 80}]',
        f"{_ALB}/inbound-cidrs": ",".join(config.allowed_cidrs or [net.inside]),
    }
    if config.certificate_arn or config.hosted_zone_id:
        annotations[f"{_ALB}/listen-ports"] = '[{"HTTPS": 443}]'
        certificate = config.certificate_arn or _certificate(account)
        annotations[f"{_ALB}/certificate-arn"] = certificate
        annotations[f"{_ALB}/ssl-policy"] = _TLS_POLICY
    return annotations


def _certificate(account: Account) -> pulumi.Output[str]:
    """Request a certificate for the host; return its ARN after its validation."""
    config = account.config.ingress
    certificate = aws.acm.Certificate(
        "host",
        domain_name=config.host,
        validation_method="DNS",
        opts=account.options(),
    )
    option = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        "host-validation",
        zone_id=config.hosted_zone_id or "",
        name=option.resource_record_name,
        type=option.resource_record_type,
        records=[option.resource_record_value],
        ttl=60,
        # ACM uses the same record for all certificates of this name in the account.
        allow_overwrite=True,
        opts=account.options(),
    )
    validation = aws.acm.CertificateValidation(
        "host",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=account.options(custom_timeouts=CustomTimeouts(create="30m")),
    )
    return validation.certificate_arn


def _record(account: Account, balancer: Ingress) -> None:
    """Point the host name to the load balancer; an alias also works at the apex."""
    config = account.config.ingress
    zone = account.call(aws.lb.get_hosted_zone_id, load_balancer_type="application")
    aws.route53.Record(
        "host",
        zone_id=config.hosted_zone_id or "",
        name=config.host or "",
        type="A",
        aliases=[
            {
                "name": balancer.status.load_balancer.ingress[0].hostname,
                "zone_id": zone.id,
                "evaluate_target_health": False,
            }
        ],
        opts=account.options(),
    )
