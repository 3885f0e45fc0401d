"""Invalid stack files of target aws, each with its exact message."""

from __future__ import annotations

import pytest
from shipped import translate_error

HEAD = "config:\n  aws:region: us-west-2\n  raylift:target: aws\n"
BLOCK = "capacityType: CAPACITY_BLOCK, capacityReservationId: cr-1"
ONE = "CAPACITY_BLOCK requires capacityReservationId, one type and one zone"
TAINTS = ", ".join(f"{{key: k{number}}}" for number in range(51))
CHARACTERS = "must contain only letters, digits, '-', '_' and '.', and have at most 63 characters"
ARN = "must be an ARN such as arn:aws:iam::123456789012:role/name"
CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/x"
OPEN = "must list the networks of clients, not the whole internet: applications have no authentication"
DOMAIN = "must be a lowercase domain name of at most 64 characters, as ACM requires"

# Values of one node group that are invalid by themselves.
INVALID = {
    "instanceTypes: []":
    "instanceTypes: must have at least 1 entry, not 0",
    "instanceTypes: g6.xlarge":
    "instanceTypes: must be a list, not the string 'g6.xlarge'",
    "instanceTypes: [g6e.xlrge]":
    "instanceTypes[0]: unknown instance type 'g6e.xlrge'; did you mean g6e.xlarge or g6e.8xlarge or g6e.4xlarge?",
    "instanceTypes: [g6f.xlarge]":
    "instanceTypes[0]: 'g6f.xlarge' has only a fraction of an L4 GPU, which is not supported; use g6.xlarge",
    "instanceTypes: [gr6f.4xlarge]":
    "instanceTypes[0]: 'gr6f.4xlarge' has only a fraction of an L4 GPU, which is not supported; use gr6.4xlarge",
    "instanceTypes: [g6.xlarge], minSize: -1":
    "minSize: must be at least 0, not -1",
    "instanceTypes: [g6.xlarge], taints: [{key: a b}]":
    f"taints[0].key: 'a b' {CHARACTERS}, not counting an optional domain prefix such as example.com/",
    "instanceTypes: [g6.xlarge], taints: [{key: a, value: b c}]":
    f"taints[0].value: 'b c' {CHARACTERS}",
    "instanceTypes: [g6.xlarge], taints: [{key: a, effect: NO_SCHEDULE}]":
    "taints[0].effect: must be one of NoSchedule, PreferNoSchedule, NoExecute, not the string 'NO_SCHEDULE'; did you mean NoSchedule?",
    "instanceTypes: [g6.xlarge], labels: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: b}":
    f"labels: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: b' {CHARACTERS} in the key and in the value, as Ray requires for labels",
}  # fmt: skip

# Values of one node group that conflict with each other.
CONFLICTS = {
    "instanceTypes: [g6e.xlarge, g5.xlarge]":
    "instanceTypes: must all have the same GPU model: found L40S (g6e.xlarge) and A10G (g5.xlarge)",
    "instanceTypes: [m7i.xlarge, m7g.xlarge]":
    "instanceTypes: must all have the same architecture: found x86_64 (m7i.xlarge) and arm64 (m7g.xlarge)",
    "instanceTypes: [g6e.xlarge, g6e.12xlarge]":
    "instanceTypes: must all have the same number of GPUs: found 1 (g6e.xlarge) and 4 (g6e.12xlarge)",
    "instanceTypes: [g6.xlarge, g6.2xlarge]":
    "instanceTypes: must all have the same size: found 4 vCPUs, 16 GiB (g6.xlarge) and 8 vCPUs, 32 GiB (g6.2xlarge)",
    "instanceTypes: [g6.xlarge], minSize: 5, maxSize: 4":
    "minSize: must be at most maxSize 4, not 5",
    "instanceTypes: [g6.xlarge], desiredSize: 5, maxSize: 4":
    "desiredSize: must be between minSize 0 and maxSize 4, not 5",
    "instanceTypes: [g6.xlarge], maxSize: 0":
    "maxSize: must be at least 1; to pause a group, set minSize: 0 and let the autoscaler empty it",
    "instanceTypes: [g6.xlarge], capacityType: SPOT, capacityReservationId: cr-1":
    "capacityReservationId: cannot be combined with capacityType: SPOT",
    "instanceTypes: [p5.48xlarge], capacityType: CAPACITY_BLOCK":
    f"capacityType: {ONE}",
    f"instanceTypes: [p5.48xlarge], {BLOCK}":
    f"capacityType: {ONE}",
    f"instanceTypes: [p5e.48xlarge, p5en.48xlarge], {BLOCK}, availabilityZones: [us-west-2a]":
    f"capacityType: {ONE}",
    f"instanceTypes: [g6e.xlarge], {BLOCK}, availabilityZones: [us-west-2a]":
    "capacityType: CAPACITY_BLOCK is only supported with p4d, p4de, p5, p5e, p5en, p6-b200, p6-b300",
    "instanceTypes: [g6e.xlarge], efa: true, availabilityZones: [us-west-2a]":
    "efa: is not supported with g6e.xlarge; the smallest of its family with EFA is g6e.8xlarge",
    "instanceTypes: [g6e.8xlarge], efa: true":
    "efa: requires exactly one zone; set the group's availabilityZones to one zone",
    "instanceTypes: [g6e.8xlarge], efa: true, availabilityZones: [us-west-2a, us-west-2b]":
    "efa: requires exactly one zone; set the group's availabilityZones to one zone",
    "instanceTypes: [g6.xlarge], availabilityZones: [eu-west-1a]":
    "availabilityZones[0]: must be a zone of us-west-2, not 'eu-west-1a'",
    f"instanceTypes: [g6.xlarge], taints: [{TAINTS}]":
    "taints: must have at most 50 entries, not 51",
    "instanceTypes: [g6.xlarge], disk: {sizeGib: 50}":
    "disk.sizeGib: must be at least 100 for a GPU image, not 50",
    "instanceTypes: [g6.xlarge], capacityType: SPOT, warmPool: {}":
    "warmPool: cannot be combined with capacityType: SPOT",
    "instanceTypes: [g6.xlarge], amiType: BOTTLEROCKET_x86_64_NVIDIA, warmPool: {poolState: HIBERNATED}":
    "warmPool.poolState: HIBERNATED is not supported with Bottlerocket; use STOPPED",
    "instanceTypes: [g6.xlarge], amiType: BOTTLEROCKET_x86_64_NVIDIA, warmPool: {reuseOnScaleIn: true}":
    "warmPool.reuseOnScaleIn: is not supported with Bottlerocket",
    "instanceTypes: [g6.xlarge], amiType: AL2023_ARM_64_NVIDIA":
    "amiType: must be for x86_64, the architecture of g6.xlarge, not AL2023_ARM_64_NVIDIA",
    "instanceTypes: [g6.xlarge], amiType: AL2023_x86_64_STANDARD":
    "amiType: must be an NVIDIA type: g6.xlarge has GPUs",
}  # fmt: skip
GROUPS = INVALID | CONFLICTS

REFUSED = {
    "raylift:aws: {region: us-east-1}":
    "raylift:aws: set AWS provider keys without the raylift: prefix, as in aws:region",
    "raylift:karpenter: {}":
    "raylift:karpenter: unknown key",
    "raylift:autoscaler: {type: karpenter}":
    "raylift:autoscaler.type: must be one of clusterAutoscaler, none, not the string 'karpenter'",
    "raylift:tags: {'aws:x': y}":
    "raylift:tags: 'aws:x' has the reserved prefix aws:",
    "raylift:tags: {'raylift:stack': y}":
    "raylift:tags: 'raylift:stack' has the reserved prefix raylift:",
    "raylift:nodeGroups: [{name: a, instanceTypes: [g6.xlarge]}, {name: a, instanceTypes: [g6.xlarge]}]":
    "raylift:nodeGroups[1].name: must be unique; 'a' is already used",
    "raylift:nodeGroups: [{name: system, instanceTypes: [g6.xlarge]}]":
    "raylift:nodeGroups[0].name: must not be 'system', the name of the system node group",
    # the cluster
    "raylift:kubernetes: {version: 1.30}":
    "raylift:kubernetes.version: must be a string, not the number 1.3; put it in quotes",
    "raylift:kubernetes: {version: latest}":
    "raylift:kubernetes.version: must be a minor version in quotes, such as '1.35'",
    "raylift:kubernetes: {version: '1.32'}":
    "raylift:kubernetes.version: 1.32 is not in standard support; use one of 1.34, 1.35, 1.36, or set supportType: EXTENDED",
    "raylift:kubernetes: {publicAccessCidrs: [0.0.0.0/0]}":
    "raylift:kubernetes.publicAccessCidrs: must not include the whole internet; list addresses such as 203.0.113.7/32",
    "raylift:kubernetes: {publicAccessCidrs: [0.0.0.0/1, 128.0.0.0/1]}":
    "raylift:kubernetes.publicAccessCidrs: must not include the whole internet; list addresses such as 203.0.113.7/32",
    "raylift:kubernetes: {publicAccessCidrs: [], endpointPrivateAccess: false}":
    "raylift:kubernetes.endpointPrivateAccess: must be true if publicAccessCidrs is empty; otherwise the cluster has no endpoint",
    "raylift:kubernetes: {namespace: kube-system}":
    "raylift:kubernetes.namespace: must not be 'kube-system', which is reserved for Kubernetes",
    "raylift:kubernetes: {adminPrincipalArns: [ann]}":
    f"raylift:kubernetes.adminPrincipalArns[0]: {ARN}, not the string 'ann'",
    "raylift:serviceAccountPolicyArns: ['arn:aws:iam::aws:policy/A', 'arn:aws:iam::aws:policy/A']":
    "raylift:serviceAccountPolicyArns: must be unique; 'arn:aws:iam::aws:policy/A' is listed twice",
    "raylift:systemNodeGroup: {instanceTypes: []}":
    "raylift:systemNodeGroup.instanceTypes: must have at least 1 entry, not 0",
    "raylift:systemNodeGroup: {instanceTypes: [g6.xlarge]}":
    "raylift:systemNodeGroup.instanceTypes[0]: must be a type without GPUs, not g6.xlarge",
    "raylift:systemNodeGroup: {instanceTypes: [m7i.large, m7g.large]}":
    "raylift:systemNodeGroup.instanceTypes: must all have the same architecture: found x86_64 (m7i.large) and arm64 (m7g.large)",
    "raylift:systemNodeGroup: {minSize: 5}":
    "raylift:systemNodeGroup.minSize: must be at most maxSize 4, not 5",
    "raylift:ray: {head: {numCpus: 4}}":
    "raylift:ray.head.numCpus: must be at most 3, the allocatable amount on a system node; use larger instance types in systemNodeGroup",
    "raylift:ray: {head: {memory: 16Gi}}":
    "raylift:ray.head.memory: must be at most 12Gi, the allocatable amount on a system node; use larger instance types in systemNodeGroup",
    "raylift:ray: {operator: {install: false, featureGates: [{name: RayCronJob}]}}":
    "raylift:ray.operator.featureGates: cannot be combined with install: false; set them on the existing operator",
    "raylift:ray: {operator: {featureGates: [{name: A}, {name: A, enabled: false}]}}":
    "raylift:ray.operator.featureGates[1].name: must be unique; 'A' is already used",
    "raylift:ray: {operator: {featureGates: [{name: RayCronJob=true}]}}":
    "raylift:ray.operator.featureGates[0].name: must be a name such as RayCronJob, not the string 'RayCronJob=true'",
    "raylift:ray: {operator: {featureGates: [RayCronJob]}}":
    "raylift:ray.operator.featureGates[0]: must be a mapping, not the string 'RayCronJob'",
    "raylift:accelerators: {dcgmExporter: true}":
    "raylift:accelerators.dcgmExporter: requires a node group with GPUs",
    "raylift:accelerators: {timeSlicingReplicas: 4}":
    "raylift:accelerators.timeSlicingReplicas: unknown key",
    # the key
    "raylift:kmsKeyArn: mine":
    f"raylift:kmsKeyArn: {ARN}, not the string 'mine'",
    "raylift:kmsKeyArn: arn:aws:kms:us-west-2:123456789012:alias/mine":
    "raylift:kmsKeyArn: must be the ARN of a KMS key, not of an alias",
    "raylift:kmsKeyArn: arn:aws:iam::123456789012:role/mine":
    "raylift:kmsKeyArn: must be the ARN of a KMS key, not of an alias",
    "raylift:kmsKeyArn: arn:aws:kms:us-east-2:123456789012:key/mine":
    "raylift:kmsKeyArn: must be in us-west-2, the region of the stack, not us-east-2",
    # the network
    "raylift:network: {cidrBlock: 10.0.0.0/28}":
    "raylift:network.cidrBlock: must be at least a /20 to hold three zones, not 10.0.0.0/28",
    "raylift:network: {cidrBlock: 10.0.0.0/8}":
    "raylift:network.cidrBlock: must be at most a /16, the largest block of a VPC, not 10.0.0.0/8",
    "raylift:network: {cidrBlock: 172.20.0.0/16}":
    "raylift:network.cidrBlock: must not overlap 172.20.0.0/16, the Service CIDR of the cluster",
    "raylift:network: {cidrBlock: 11.0.0.0/16}":
    "raylift:network.cidrBlock: must be a private network, not 11.0.0.0/16",
    "raylift:network: {cidrBlock: 10.0.0.1/16}":
    "raylift:network.cidrBlock: must be an IPv4 CIDR block without host bits, such as 10.0.0.0/16, not the string '10.0.0.1/16'",
    "raylift:network: {vpcId: vpc-1}":
    "raylift:network.privateSubnetIds: must have subnets in at least two zones, as EKS requires",
    "raylift:network: {privateSubnetIds: [subnet-1]}":
    "raylift:network.privateSubnetIds: requires vpcId, the VPC of the subnets",
    "raylift:network: {vpcId: vpc-1, privateSubnetIds: [a, b], natGateway: perAz}":
    "raylift:network.natGateway: applies only to a new VPC and cannot be combined with vpcId",
    "raylift:network: {vpcId: vpc-1, privateSubnetIds: [a, b], flowLogs: false}":
    "raylift:network.flowLogs: applies only to a new VPC and cannot be combined with vpcId",
    "raylift:network: {availabilityZones: [us-west-2a, us-west-2a]}":
    "raylift:network.availabilityZones: must have at least two zones, as EKS requires",
    "raylift:network: {availabilityZones: [us-west-2a, eu-west-1a]}":
    "raylift:network.availabilityZones: must list zones of us-west-2, not 'eu-west-1a'",
    "raylift:network: {natGateway: none}":
    "raylift:network.natGateway: none requires vpcEndpoints: private; otherwise nodes cannot reach ECR and STS",
    # the way in
    "raylift:ingress: {type: alb, scheme: internet-facing, allowedCidrs: [10.0.0.0/8]}":
    "raylift:ingress.certificateArn: required with scheme: internet-facing, unless host and hostedZoneId are set",
    f"raylift:ingress: {{type: alb, scheme: internet-facing, certificateArn: {CERTIFICATE}}}":
    f"raylift:ingress.allowedCidrs: {OPEN}",
    f"raylift:ingress: {{type: alb, scheme: internet-facing, certificateArn: {CERTIFICATE}, allowedCidrs: [0.0.0.0/0]}}":
    f"raylift:ingress.allowedCidrs: {OPEN}",
    "raylift:ingress: {type: alb, allowedCidrs: [0.0.0.0/0]}":
    f"raylift:ingress.allowedCidrs: {OPEN}",
    "raylift:ingress: {type: alb, certificateArn: arn:aws:acm:us-east-2:123456789012:certificate/x}":
    "raylift:ingress.certificateArn: must be in us-west-2, the region of the load balancer, not us-east-2",
    "raylift:ingress: {type: alb, certificateArn: x}":
    "raylift:ingress.certificateArn: must be the ARN of an ACM certificate",
    "raylift:ingress: {host: a.example}":
    "raylift:ingress.host: requires type: alb",
    "raylift:ingress: {type: alb, hostedZoneId: Z0123456789ABC}":
    "raylift:ingress.hostedZoneId: requires host, the name in the certificate",
    f"raylift:ingress: {{type: alb, host: a.example, hostedZoneId: Z0123456789ABC, certificateArn: {CERTIFICATE}}}":
    "raylift:ingress.hostedZoneId: cannot be combined with certificateArn, because the stack requests a certificate if hostedZoneId is set",
    "raylift:ingress: {type: alb, host: a.example, hostedZoneId: example.com}":
    "raylift:ingress.hostedZoneId: must be a hosted zone ID such as Z0123456789ABC, not the string 'example.com'",
    "raylift:ingress: {type: alb, host: 10.0.0.1, hostedZoneId: Z0123456789ABC}":
    f"raylift:ingress.host: {DOMAIN}, not '10.0.0.1'",
    "raylift:ingress: {type: alb, host: Models.example.com, hostedZoneId: Z0123456789ABC}":
    f"raylift:ingress.host: {DOMAIN}, not 'Models.example.com'",
    "raylift:ingress: {hostedZoneId: Z0123456789ABC}":
    "raylift:ingress.hostedZoneId: requires type: alb",
    "raylift:ingress: {type: alb, idleTimeout: 2h}":
    "raylift:ingress.idleTimeout: must be at most 4000, not 2h",
    # the rest
    "raylift:faultTolerance: {gcsStorage: elasticache, replicas: 0}":
    "raylift:faultTolerance.multiAz: requires at least 1 replica",
    "raylift:faultTolerance: {nodeType: cache.r7g.large}":
    "raylift:faultTolerance.nodeType: cannot be combined with gcsStorage: rocksdb",
    "raylift:budget: {monthlyUsd: 5, email: nobody}":
    "raylift:budget.email: must be an email address, not 'nobody'",
    "raylift:budget: {monthlyUsd: -5, email: a@b.example}":
    "raylift:budget.monthlyUsd: must be at least 1, not -5",
}  # fmt: skip

# Of one node group and one worker group of its name.
WORKERS = {
    ("m7i.large", "numGpus: 1"):
    "numGpus: must be at most 0, the number of GPUs per node in 'a', not 1",
    ("g6e.xlarge", "numCpus: 4"):
    "numCpus: must be at most 3, the allocatable amount on a node of 'a'; omit the key to use the default",
    ("g6e.xlarge", "memory: 32Gi"):
    "memory: must be at most 26Gi, the allocatable amount on a node of 'a'; omit the key to use the default",
    ("g6e.xlarge", "minReplicas: 2, maxReplicas: 1"):
    "minReplicas: must be at most maxReplicas 1, not 2",
    ("g6e.xlarge", "nodeGroup: a100"):
    "nodeGroup: node group 'a100' not found; available: a",
}  # fmt: skip
WARNED = {
    ("g6.12xlarge", "numGpus: 3, maxReplicas: 1"):
    "numGpus: leaves 1 of 4 GPUs idle on each node",
    ("g6e.xlarge", "maxReplicas: 8"):
    "maxReplicas: 8 replicas need 8 nodes, but 'a' has at most 4",
    ("g6e.xlarge", "minReplicas: 2"):
    "minReplicas: needs 2 nodes from the start, but 'a' starts with 0, so the cluster must scale up first",
    ("g6e.xlarge", "numOfHosts: 2, maxReplicas: 4"):
    "maxReplicas: 4 replicas of 2 pods each need 8 nodes, but 'a' has at most 4",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_an_error_has_its_line_and_key(tmp_path, line):
    assert translate_error(tmp_path, HEAD + f"  {line}\n") == [f":4: {REFUSED[line]}"]


@pytest.mark.parametrize("text", GROUPS)
def test_an_error_of_a_node_group_has_its_key(tmp_path, text):
    line = f"  raylift:nodeGroups: [{{name: a, {text}}}]\n"
    assert translate_error(tmp_path, HEAD + line) == [
        f":4: raylift:nodeGroups[0].{GROUPS[text]}"
    ]


@pytest.mark.parametrize("line", REFUSED)
def test_an_error_is_reported_beside_an_invalid_section(tmp_path, line):
    problems = translate_error(tmp_path, HEAD + f"  {line}\n  raylift:storage: 3\n")
    other = ":5: raylift:storage: must be a mapping, not the number 3"
    assert problems == [f":4: {REFUSED[line]}", other]


REPAIR = ":4: raylift:nodeGroups[0].nodeRepair: must be true or false, not the number 3"


@pytest.mark.parametrize("text", INVALID)
def test_every_invalid_value_of_a_section_is_reported(tmp_path, text):
    line = f"  raylift:nodeGroups: [{{name: a, {text}, nodeRepair: 3}}]\n"
    assert set(translate_error(tmp_path, HEAD + line)) == {
        f":4: raylift:nodeGroups[0].{INVALID[text]}",
        REPAIR,
    }


@pytest.mark.parametrize("text", CONFLICTS)
def test_conflicts_in_a_section_are_reported_once_its_values_are_valid(tmp_path, text):
    line = f"  raylift:nodeGroups: [{{name: a, {text}, nodeRepair: 3}}]\n"
    assert translate_error(tmp_path, HEAD + line) == [REPAIR]


def test_no_error_is_reported_that_follows_from_another(tmp_path):
    """`albb` may have been meant as alb, `SPOTT` as SPOT, 4.5 as any number."""
    text = (
        f"{HEAD}  raylift:ingress: {{type: albb, host: a.example}}\n"
        "  raylift:nodeGroups:\n"
        "    - {name: a, instanceTypes: [g6.xlarge], capacityType: SPOTT, maxSize: 4.5,\n"
        "       minSize: 9, capacityReservationId: cr-1, warmPool: {}}\n"
        "  raylift:ray: {workerGroups: [{name: a, minReplicas: 9, numGpus: 9}]}\n"
        "  raylift:kubernetes: {namespace: x, endpointPrivateAccess: 0,"
        " publicAccessCidrs: []}\n"
    )
    keys = [problem.split(": ")[1] for problem in translate_error(tmp_path, text)]
    assert keys == [
        "raylift:ingress.type",
        "raylift:nodeGroups[0].capacityType",
        "raylift:nodeGroups[0].maxSize",
        "raylift:kubernetes.endpointPrivateAccess",
    ]


# Each with an invalid section, and a conflict that does not depend on it.
INDEPENDENT = {
    "raylift:network: {privateSubnetIds: foo}\n"
    "  raylift:ingress: {type: alb, certificateArn: x}": (
        "raylift:network.privateSubnetIds",
        "raylift:ingress.certificateArn",
    ),
    "raylift:nodeGroups: [{name: A, instanceTypes: [g6.xlarge]}]\n"
    "  raylift:ray: {workerGroups: [{name: x}, {name: x}]}": (
        "raylift:nodeGroups[0].name",
        "raylift:ray.workerGroups[1].name",
    ),
    "raylift:ingress: {host: 3}\n  raylift:network: {natGateway: none}": (
        "raylift:ingress.host",
        "raylift:network.natGateway",
    ),
    "raylift:ray: {workerGroups: auto, image: auto, version: 3}\n"
    "  raylift:systemNodeGroup: {minSize: 5}": (
        "raylift:ray.version",
        "raylift:systemNodeGroup.minSize",
    ),
    "raylift:storage: 3\n"
    "  raylift:kmsKeyArn: auto\n"
    "  raylift:nodeGroups: [{name: a, instanceTypes: [g6.xlarge], taints: auto}]\n"
    "  raylift:ray: {workerGroups: [{name: a, nodeGroup: b}]}": (
        "raylift:storage",
        "raylift:ray.workerGroups[0].nodeGroup",
    ),
}


@pytest.mark.parametrize("lines", INDEPENDENT)
def test_an_invalid_section_hides_no_conflict_in_others(tmp_path, lines):
    problems = translate_error(tmp_path, f"{HEAD}  {lines}\n")
    keys = tuple(problem.split(": ")[1] for problem in problems)
    assert keys == INDEPENDENT[lines]


def test_a_missing_region_hides_no_invalid_certificate(tmp_path):
    ingress = "  raylift:ingress: {type: alb, certificateArn: x}\n"
    problems = translate_error(tmp_path, f"config:\n  raylift:target: aws\n{ingress}")
    assert [problem.split(": ")[1] for problem in problems] == [
        "aws:region",
        "raylift:ingress.certificateArn",
    ]


def _with_workers(kind, text):
    group = f"{{name: a, instanceTypes: [{kind}], maxSize: 4}}"
    workers = f"{{name: a, {text}}}"
    return (
        f"{HEAD}  raylift:nodeGroups: [{group}]\n"
        f"  raylift:ray: {{workerGroups: [{workers}]}}\n"
    )


@pytest.mark.parametrize("case", WORKERS, ids=str)
def test_workers_that_do_not_fit_their_nodes_are_refused(tmp_path, case):
    problems = translate_error(tmp_path, _with_workers(*case))
    assert problems == [f":5: raylift:ray.workerGroups[0].{WORKERS[case]}"]


@pytest.mark.parametrize("case", WARNED, ids=str)
def test_workers_that_do_not_suit_their_nodes_cause_a_warning(tmp_path, case):
    problems = translate_error(tmp_path, _with_workers(*case))
    assert problems == [f"warning: raylift:ray.workerGroups[0].{WARNED[case]}"]


def test_an_image_without_cuda_causes_a_warning_if_workers_have_gpus(tmp_path):
    text = (
        f"{HEAD}  raylift:nodeGroups: [{{name: a, instanceTypes: [g6.xlarge]}}]\n"
        "  raylift:ray: {image: 'rayproject/ray:2.60.0-py311'}\n"
    )
    warning = (
        "raylift:ray.image: has no -gpu or -cuNNN in its tag, but workers request GPUs"
    )
    assert translate_error(tmp_path, text) == [f"warning: {warning}"]


def test_a_node_group_is_in_a_zone_of_the_network(tmp_path):
    text = (
        f"{HEAD}  raylift:network: {{availabilityZones: [us-west-2a, us-west-2b]}}\n"
        "  raylift:nodeGroups: [{name: a, instanceTypes: [g6.xlarge],"
        " availabilityZones: [us-west-2d]}]\n"
    )
    rule = "must be one of raylift:network.availabilityZones, not 'us-west-2d'"
    key = "raylift:nodeGroups[0].availabilityZones[0]"
    assert translate_error(tmp_path, text) == [f":5: {key}: {rule}"]


@pytest.mark.parametrize(
    ("region", "problem"),
    [
        ("", ":2: aws:region: required with target aws; for example, us-west-2"),
        (
            "  aws:region: us-wset-2\n",
            ":3: aws:region: 'us-wset-2' is not a region with EKS; did you mean us-west-2?",
        ),
    ],
)
def test_a_region_is_required_and_has_eks(tmp_path, region, problem):
    text = f"config:\n  raylift:target: aws\n{region}"
    assert translate_error(tmp_path, text) == [problem]


def test_an_unknown_key_is_refused_with_a_similar_one(tmp_path):
    line = "  raylift:nodeGroups: [{name: a, instanceType: [g6.xlarge]}]\n"
    assert translate_error(tmp_path, HEAD + line) == [
        ":4: raylift:nodeGroups[0].instanceTypes: required but missing",
        ":4: raylift:nodeGroups[0].instanceType: unknown key; did you mean instanceTypes?",
    ]


def test_an_unknown_key_at_the_top_of_the_file_is_refused(tmp_path):
    rule = "unknown key"
    assert translate_error(tmp_path, f"version: 3\n{HEAD}") == [
        f":1: version: {rule}; raylift's keys belong under config, such as raylift:target"
    ]


def test_a_duplicate_key_is_refused(tmp_path):
    (problem,) = translate_error(
        tmp_path, f"{HEAD}  raylift:tags: {{}}\n  raylift:tags: {{}}\n"
    )
    assert problem.startswith(":5: raylift:tags: duplicate key (lines 4 and 5)")
