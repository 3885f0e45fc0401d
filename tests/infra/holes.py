"""Search of rendered resources for everything that is open; pure.

A resource has `kind`, `name` and `inputs`; Pulumi secrets in it read `[secret]`, as in
recording.py. The rules are in kubernetes_holes.py and aws_holes.py.
"""

from __future__ import annotations

import base64

import aws_holes
import kubernetes_holes
from rendered import ENCRYPTION, Allowed, is_wide, walk

# Kinds that a rule checks, or that cannot open anything. Before a kind is added here,
# a person reviews it.
KINDS = {
    "aws:acm/certificate:Certificate",
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:budgets/budget:Budget",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/eip:Eip",
    "aws:ec2/flowLog:FlowLog",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/placementGroup:PlacementGroup",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:eks/accessEntry:AccessEntry",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    "aws:eks/addon:Addon",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    "aws:elasticache/parameterGroup:ParameterGroup",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:elasticache/subnetGroup:SubnetGroup",
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:kms/alias:Alias",
    "aws:kms/key:Key",
    "aws:route53/record:Record",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    f"aws:s3/bucketServerSideEncryptionConfiguration:{ENCRYPTION}",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:core/v1:Secret",
    "kubernetes:core/v1:Service",
    "kubernetes:core/v1:ServiceAccount",
    "kubernetes:helm.sh/v3:Release",
    "kubernetes:monitoring.coreos.com/v1:PodMonitor",
    "kubernetes:networking.k8s.io/v1:Ingress",
    "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    "kubernetes:policy/v1:PodDisruptionBudget",
    "kubernetes:ray.io/v1:RayService",
    "kubernetes:rbac.authorization.k8s.io/v1:Role",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
    "kubernetes:storage.k8s.io/v1:StorageClass",
    "pulumi:providers:aws",
    "pulumi:providers:kubernetes",
    "raylift:kubernetes:PackageStore",
    "raylift:kubernetes:RayService",
}
# Keys that must not appear anywhere in a resource.
NEVER = {
    "associatePublicIpAddress",
    "enableIngress",
    "externalIPs",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPath",
    "hostPort",
    "keyName",
    "loadBalancerIP",
    "mapPublicIpOnLaunch",
    "nodePort",
    "privileged",
    "procMount",
    "remoteAccess",
}
_RULES = aws_holes.RULES | kubernetes_holes.RULES


def holes(resources, allowed: Allowed, canaries=()) -> list[str]:
    """Return a line for everything that is open and should not be.

    `canaries` are secret values that no resource may contain.
    """
    resources = list(resources)
    found = []
    for resource in resources:
        lines = [*_anywhere(resource), *_secrets(resource, canaries)]
        _, _, kind = resource.kind.partition(":")
        rule = _RULES.get(kind) or _RULES.get(kind.rpartition(":")[2])
        if rule is not None and not resource.kind.startswith("raylift:"):
            lines += rule(resource, allowed)
        found += [f"{resource.kind} {resource.name}: {line}" for line in lines]
    return [
        *found,
        *kubernetes_holes.policies(resources, allowed),
        *aws_holes.buckets(resources),
    ]


def _anywhere(resource):
    if resource.kind not in KINDS:
        yield "this kind has not been reviewed"
    for path, value in walk(resource.inputs):
        key = path[-1] if path else ""
        if key in NEVER and value not in (None, False, 0, "false", "", [], {}):
            yield f"{_at(path)} is {value}"
        if value in ("LoadBalancer", "NodePort", "ExternalName"):
            yield f"{_at(path)} is {value}"
        if isinstance(value, str) and not _is_way_out(resource, path):
            for part in value.split(","):
                if is_wide(part.strip()):
                    yield f"{_at(path)}: {part} allows everybody"


def _is_way_out(resource, path) -> bool:
    """Return whether a path describes outgoing connections."""
    kind = resource.kind.rpartition(":")[2]
    return (
        (kind == "NetworkPolicy" and path[:2] == ("spec", "egress"))
        or (kind == "Route" and path == ("destinationCidrBlock",))
        or kind == "SecurityGroupEgressRule"
    )


def _secrets(resource, canaries):
    for path, value in walk(resource.inputs):
        texts = [str(part) for part in path[-1:]]
        if isinstance(value, str):
            texts += [value, _decoded(value)]
        if any(canary in text for canary in canaries for text in texts):
            yield f"{_at(path)} contains a secret"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="ignore")
    except ValueError:
        return ""


def _at(path) -> str:
    return ".".join(str(key) for key in path)
