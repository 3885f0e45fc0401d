"""The way in for clients: a load balancer, its certificate, and its name in the DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import CustomTimeouts

from infra.aws.controllers import load_balancers
from infra.kubernetes import ingress as kubernetes

if TYPE_CHECKING:
    import pulumi
    from pulumi_kubernetes.networking.v1 import Ingress

    from infra.aws.account import Account
    from infra.aws.controllers import Inside
    from infra.aws.network import Network
    from infra.kubernetes.cluster import Cluster

_ALB = "alb.ingress.kubernetes.io"
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
_HAS_A_NAME = {
    "pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0].hostname}"
}


def ingress(
    within: Inside, net: Network, at: Cluster, service: pulumi.Resource
) -> None:
    """A load balancer to the serve port, which goes before what serves there."""
    wanted = within.here.config.ingress
    balancer = load_balancers(within, net)
    spec = {"ingressClassName": "alb", "rules": kubernetes.rules(at.place, wanted.host)}
    told = _balancer(within.here, net)
    after = [service, balancer]
    if wanted.hosted_zone_id is None:
        kubernetes.ingress(at, spec, told, depends_on=after)
        return
    made = kubernetes.ingress(
        at,
        spec,
        told | _HAS_A_NAME,
        depends_on=after,
        # Of another scheme it is another load balancer, by another name: that is
        # known only of an Ingress that never had the old one.
        replace_on_changes=[f'metadata.annotations["{_ALB}/scheme"]'],
        delete_before_replace=True,
    )
    _host(within.here, made)


def _balancer(here: Account, net: Network) -> dict[str, Any]:
    """What the load balancer controller is told. A long answer may take its time.

    Without networks it would let everybody in who reaches the load balancer, which
    with peered networks is more than the VPC.
    """
    wanted = here.config.ingress
    idle = f"idle_timeout.timeout_seconds={wanted.idle_timeout}"
    told: dict[str, Any] = {
        f"{_ALB}/scheme": wanted.scheme,
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/healthcheck-path": "/-/healthz",
        f"{_ALB}/load-balancer-attributes": idle,
        f"{_ALB}/target-group-attributes": "deregistration_delay.timeout_seconds=30",
        f"{_ALB}/tags": ",".join(f"{k}={v}" for k, v in here.tags().items()),
        f"{_ALB}/listen-ports": '[{"HTTP": 80}]',
        f"{_ALB}/inbound-cidrs": ",".join(wanted.allowed_cidrs or [net.inside]),
    }
    if wanted.certificate_arn or wanted.hosted_zone_id:
        told[f"{_ALB}/listen-ports"] = '[{"HTTPS": 443}]'
        told[f"{_ALB}/certificate-arn"] = wanted.certificate_arn or _issued(here)
        told[f"{_ALB}/ssl-policy"] = _TLS_POLICY
    return told


def _issued(here: Account) -> pulumi.Output[str]:
    """A certificate for the host, once ACM has found its record in the zone."""
    wanted = here.config.ingress
    asked = aws.acm.Certificate(
        "host",
        domain_name=wanted.host,
        validation_method="DNS",
        opts=here.options(),
    )
    option = asked.domain_validation_options[0]
    proof = aws.route53.Record(
        "host-validation",
        zone_id=wanted.hosted_zone_id or "",
        name=option.resource_record_name,
        type=option.resource_record_type,
        records=[option.resource_record_value],
        ttl=60,
        # ACM asks the same of every certificate for this name in the account.
        allow_overwrite=True,
        opts=here.options(),
    )
    issued = aws.acm.CertificateValidation(
        "host",
        certificate_arn=asked.arn,
        validation_record_fqdns=[proof.fqdn],
        opts=here.options(custom_timeouts=CustomTimeouts(create="30m")),
    )
    return issued.certificate_arn


def _host(here: Account, made: Ingress) -> None:
    """The host's name leads to the load balancer, also where it is the zone's own."""
    wanted = here.config.ingress
    zone = here.ask(aws.lb.get_hosted_zone_id, load_balancer_type="application")
    aws.route53.Record(
        "host",
        zone_id=wanted.hosted_zone_id or "",
        name=wanted.host or "",
        type="A",
        aliases=[
            {
                "name": made.status.load_balancer.ingress[0].hostname,
                "zone_id": zone.id,
                "evaluate_target_health": False,
            }
        ],
        opts=here.options(),
    )
