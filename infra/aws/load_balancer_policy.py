"""What the AWS Load Balancer Controller may do: its own published policy, in short.

Read everything it looks at; make load balancers with the tag of a cluster; change and
delete only what carries that tag. Narrower than theirs where an action has a kind of
resource: listeners and rules, certificates, security groups.
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation
"""

from __future__ import annotations

from infra.aws.identity import allow

_TAG = "elbv2.k8s.aws/cluster"
_ASKED = {"Null": {f"aws:RequestTag/{_TAG}": "false"}}
_OWNED = {"Null": {f"aws:ResourceTag/{_TAG}": "false"}}
_GROUPS = "arn:aws:ec2:*:*:security-group/*"
_BALANCERS = [
    "arn:aws:elasticloadbalancing:*:*:targetgroup/*/*",
    "arn:aws:elasticloadbalancing:*:*:loadbalancer/net/*/*",
    "arn:aws:elasticloadbalancing:*:*:loadbalancer/app/*/*",
]
_LISTENERS = [
    "arn:aws:elasticloadbalancing:*:*:listener/app/*/*/*",
    "arn:aws:elasticloadbalancing:*:*:listener-rule/app/*/*/*",
]


def _of(service: str, *actions: str) -> list[str]:
    return [f"{service}:{action}" for action in actions]


LOAD_BALANCERS = [
    allow(
        [
            *_of(
                "ec2",
                "DescribeAccountAttributes",
                "DescribeAddresses",
                "DescribeAvailabilityZones",
                "DescribeInstances",
                "DescribeInternetGateways",
                "DescribeNetworkInterfaces",
                "DescribeRouteTables",
                "DescribeSecurityGroups",
                "DescribeSubnets",
                "DescribeTags",
                "DescribeVpcs",
            ),
            "elasticloadbalancing:Describe*",
            "acm:ListCertificates",
        ],
        ["*"],
    ),
    allow(["acm:DescribeCertificate"], ["arn:aws:acm:*:*:certificate/*"]),
    allow(["ec2:CreateSecurityGroup"], [_GROUPS, "arn:aws:ec2:*:*:vpc/*"]),
    allow(
        ["ec2:CreateTags"],
        [_GROUPS],
        condition={
            "StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"},
            **_ASKED,
        },
    ),
    allow(
        _of(
            "ec2",
            "AuthorizeSecurityGroupIngress",
            "RevokeSecurityGroupIngress",
            "DeleteSecurityGroup",
        ),
        [_GROUPS],
        condition=_OWNED,
    ),
    allow(
        _of("elasticloadbalancing", "CreateLoadBalancer", "CreateTargetGroup"),
        ["*"],
        condition=_ASKED,
    ),
    allow(
        _of(
            "elasticloadbalancing",
            "CreateListener",
            "DeleteListener",
            "CreateRule",
            "DeleteRule",
            "ModifyListener",
            "ModifyRule",
            "AddListenerCertificates",
            "RemoveListenerCertificates",
            "SetWebAcl",
        ),
        [*_BALANCERS, *_LISTENERS],
    ),
    allow(
        _of("elasticloadbalancing", "AddTags", "RemoveTags"),
        [*_BALANCERS, *_LISTENERS],
    ),
    allow(
        _of(
            "elasticloadbalancing",
            "ModifyLoadBalancerAttributes",
            "SetIpAddressType",
            "SetSecurityGroups",
            "SetSubnets",
            "DeleteLoadBalancer",
            "ModifyTargetGroup",
            "ModifyTargetGroupAttributes",
            "DeleteTargetGroup",
        ),
        ["*"],
        condition=_OWNED,
    ),
    allow(
        _of("elasticloadbalancing", "RegisterTargets", "DeregisterTargets"),
        ["arn:aws:elasticloadbalancing:*:*:targetgroup/*/*"],
    ),
]
