"""Rules for AWS resources: networks, nodes, the cluster, storage, keys and roles."""

from __future__ import annotations

import ipaddress
import json

from rendered import ENCRYPTION, GCS, SECRET

SERVICES_OF_AWS = {
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
}
FLOW_LOGS = "vpc-flow-logs.amazonaws.com"  # also acts on behalf of other accounts
BALANCER = "alb.example"


def _launch_template(resource, allowed):
    options = resource.inputs.get("metadataOptions", {})
    if options.get("httpTokens") != "required":
        yield "allows IMDSv1"
    if options.get("httpPutResponseHopLimit") != 1:
        yield "pods can read the node's credentials: hop limit"
    disks = resource.inputs.get("blockDeviceMappings", [])
    if not disks or any(disk["ebs"].get("encrypted") != "true" for disk in disks):
        yield "a volume is not encrypted"


def _node_group(resource, allowed):
    inputs = resource.inputs
    if "launchTemplate" not in inputs:
        yield "no launch template"
    if any("public" in subnet for subnet in inputs["subnetIds"]):
        yield "nodes in a public subnet"
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
    expected = allowed.taints.get(resource.name, [taint])
    if inputs["amiType"].endswith("NVIDIA") and inputs.get("taints", []) != expected:
        yield "GPU nodes are not tainted"


def _cluster(resource, allowed):
    inputs = resource.inputs
    endpoints = inputs["vpcConfig"]
    if endpoints.get("endpointPublicAccess", True) and not endpoints.get(
        "publicAccessCidrs"
    ):
        yield "the API server is open to everybody"
    if inputs["accessConfig"].get("authenticationMode") != "API":
        yield "access is configured in a ConfigMap"
    if "audit" not in inputs.get("enabledClusterLogTypes", []):
        yield "no audit log"
    if inputs.get("encryptionConfig", {}).get("resources") != ["secrets"]:
        yield "secrets are not encrypted by the stack's key"


def _entry(resource, allowed):
    if resource.inputs["principalArn"] not in allowed.admins:
        yield f"allows {resource.inputs['principalArn']}"


def _default_group(resource, allowed):
    if resource.inputs.get("ingress") or resource.inputs.get("egress"):
        yield "allows traffic"


def _group(resource, allowed):
    if resource.inputs.get("ingress"):
        yield "has inline rules"


def _group_rule(resource, allowed):
    inputs = resource.inputs
    ports = (inputs.get("ipProtocol"), inputs.get("fromPort"), inputs.get("toPort"))
    other = inputs.get("referencedSecurityGroupId")
    if inputs.get("cidrIpv6") or inputs.get("prefixListId"):
        yield "from networks that have not been reviewed"
    if ports == ("-1", None, None):
        if other != inputs["securityGroupId"]:
            yield "allows all traffic from other groups"
    elif ports == ("tcp", GCS, GCS):
        if other != "sg-eks":
            yield "allows access to the head's state from outside the nodes"
    elif ports == ("tcp", 443, 443):
        cidr = inputs.get("cidrIpv4")
        if not cidr or not ipaddress.ip_network(cidr).is_private:
            yield "allows access to AWS endpoints from outside the VPC"
    else:
        yield f"opens {ports}"


def _redis(resource, allowed):
    inputs = resource.inputs
    for key in ("atRestEncryptionEnabled", "transitEncryptionEnabled"):
        if inputs.get(key) is not True:
            yield f"no {key}"
    if not inputs.get("kmsKeyId"):
        yield "not encrypted by the stack's key"
    if inputs.get("authToken") != SECRET:
        yield "no password, or an unencrypted one"
    if not inputs.get("securityGroupIds"):
        yield "in the default security group"


def _role(resource, allowed):
    for statement in json.loads(resource.inputs["assumeRolePolicy"])["Statement"]:
        principal = statement["Principal"]
        service = principal.get("Service") if set(principal) == {"Service"} else None
        of_account = statement.get("Condition", {}).get("StringEquals", {})
        if service == FLOW_LOGS and of_account.get("aws:SourceAccount"):
            continue
        if service not in SERVICES_OF_AWS:
            yield f"may be assumed by {principal}"


def _key(resource, allowed):
    inputs = resource.inputs
    if inputs.get("enableKeyRotation") is not True:
        yield "no key rotation"
    for statement in json.loads(inputs["policy"])["Statement"]:
        (kind, who), *others = statement["Principal"].items()
        context = statement.get("Condition", {}).get("ArnEquals", {})
        groups = _list(context.get("kms:EncryptionContext:aws:logs:arn", []))
        is_account = kind == "AWS" and who.endswith(":root")
        is_logs = kind == "Service" and who.startswith("logs.") and groups
        if others or not (is_account or is_logs) or any("*" in arn for arn in groups):
            yield f"may be used by {statement['Principal']}"


def _log_group(resource, allowed):
    if not resource.inputs.get("kmsKeyId"):
        yield "not encrypted by the stack's key"


def _record(resource, allowed):
    """Check that a record points to the load balancer or validates a certificate."""
    inputs = resource.inputs
    names = [alias["name"] for alias in inputs.get("aliases", [])]
    is_proof = inputs["type"] == "CNAME" and inputs["name"].startswith("_")
    if names != [BALANCER] and not (is_proof and not names):
        yield f"points to {names or inputs.get('records')}"


def _role_policy(resource, allowed):
    for statement in json.loads(resource.inputs["policy"])["Statement"]:
        actions = _list(statement["Action"])
        changing = [a for a in actions if a.endswith("*") and "Describe" not in a]
        if changing:
            yield f"allows {changing}"


def _attachment(resource, allowed):
    arn = resource.inputs["policyArn"]
    is_aws_own = arn.startswith("arn:aws:iam::aws:policy/")
    service = arn.rpartition("/")[2].startswith(("AmazonEKS", "AmazonEBS", "AmazonEC2"))
    if not (is_aws_own and service) and arn not in allowed.policy_arns:
        yield f"allows everything in {arn}"


def _bucket_policy(resource, allowed):
    statements = json.loads(resource.inputs["policy"])["Statement"]
    if any(s["Effect"] == "Allow" and s["Principal"] == "*" for s in statements):
        yield "allows everybody"
    closed = {"Bool": {"aws:SecureTransport": "false"}}
    if not any(
        s["Effect"] == "Deny" and s.get("Condition") == closed for s in statements
    ):
        yield "allows access without TLS"


def _bucket(resource, allowed):
    if resource.inputs.get("acl", "private") != "private":
        yield f"acl {resource.inputs['acl']}"


def buckets(resources):
    """Check that each bucket has the resources that restrict access to it."""
    kinds = {
        "BucketPublicAccessBlock": "may be made public",
        ENCRYPTION: "is not encrypted",
        "BucketPolicy": "allows access without TLS",
    }
    for bucket in (t for t in resources if t.kind.endswith("s3/bucket:Bucket")):
        for kind, line in kinds.items():
            if not any(t.kind.endswith(f":{kind}") for t in resources):
                yield f"bucket {bucket.name} {line}"
    for block in (t for t in resources if t.kind.endswith("BucketPublicAccessBlock")):
        closed = {k for k, v in block.inputs.items() if v is True}
        if len(closed) != 4:
            yield f"bucket {block.name} may be made public: only {sorted(closed)}"


def _list(value):
    return value if isinstance(value, list) else [value]


RULES = {
    "AccessEntry": _entry,
    "AccessPolicyAssociation": _entry,
    "Bucket": _bucket,
    "BucketPolicy": _bucket_policy,
    "Cluster": _cluster,
    "DefaultSecurityGroup": _default_group,
    "Key": _key,
    "LaunchTemplate": _launch_template,
    "LogGroup": _log_group,
    "NodeGroup": _node_group,
    "Record": _record,
    "ReplicationGroup": _redis,
    "Role": _role,
    "RolePolicy": _role_policy,
    "RolePolicyAttachment": _attachment,
    "SecurityGroup": _group,
    "SecurityGroupIngressRule": _group_rule,
}
