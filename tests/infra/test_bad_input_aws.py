"""Stack files of target aws that are refused, each with its exact message."""

from __future__ import annotations

import pytest
from shipped import told

HEAD = "config:\n  aws:region: us-west-2\n  raylift:target: aws\n"
BLOCK = "capacityType: CAPACITY_BLOCK, capacityReservationId: cr-1"
ONE = "CAPACITY_BLOCK needs capacityReservationId, one type and one zone"
TAINTS = ", ".join(f"{{key: k{number}}}" for number in range(51))
KEY = (
    "must be letters, digits, '-', '_' and '.', at most 63 characters,"
    " after a domain and a slash if there is one"
)
ARN = "must be an ARN such as arn:aws:iam::123456789012:role/name"
CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/x"
OPEN = (
    "internet-facing needs the networks that may call, and not all of them:"
    " applications have no authentication of their own"
)
ISSUED = "is no domain name of at most 64 lowercase letters, which ACM asks for"
RAY = "raylift:ray: {{workerGroups: [{}]}}"

# Of one node group: what stands in it, where the error is, and what it says.
GROUPS = {
    "instanceTypes: []": "instanceTypes: must have 1 or more, not none",
    "instanceTypes: g6.xlarge": 'instanceTypes: must be a list, not the text "g6.xlarge"',
    "instanceTypes: [g6e.xlrge]": "instanceTypes[0]: g6e.xlrge is not known;"
    " closest: g6e.xlarge, g6e.8xlarge, g6e.4xlarge",
    "instanceTypes: [g6e.xlarge, g5.xlarge]": "instanceTypes: L40S (g6e.xlarge) and A10G"
    " (g5.xlarge) in one group; split it into two",
    "instanceTypes: [m7i.xlarge, m7g.xlarge]": "instanceTypes: m7i.xlarge is x86_64,"
    " m7g.xlarge is arm64",
    "instanceTypes: [g6e.xlarge, g6e.12xlarge]": "instanceTypes: g6e.xlarge has 1 GPU,"
    " g6e.12xlarge has 4 GPUs",
    "instanceTypes: [g6.xlarge, g6.2xlarge]": "instanceTypes: g6.xlarge has 4 vCPUs and"
    " 16 GiB, g6.2xlarge has 8 vCPUs and 32 GiB; a group has one size",
    "instanceTypes: [g6f.xlarge]": "instanceTypes[0]: g6f.xlarge has a fraction of an L4;"
    " use g6.xlarge",
    "instanceTypes: [gr6f.4xlarge]": "instanceTypes[0]: gr6f.4xlarge has a fraction of"
    " an L4; use gr6.4xlarge",
    "instanceTypes: [g6.xlarge], minSize: 5, maxSize: 4": "minSize: 5 is above maxSize 4",
    "instanceTypes: [g6.xlarge], minSize: -1": "minSize: must be 0 or more, not -1",
    "instanceTypes: [g6.xlarge], desiredSize: 5, maxSize: 4": "desiredSize: 5 is outside"
    " of 0 to 4",
    "instanceTypes: [g6.xlarge], maxSize: 0": "maxSize: must be 1 or more; to pause a"
    " group set minSize: 0 and let the autoscaler empty it",
    "instanceTypes: [g6.xlarge], capacityType: SPOT, capacityReservationId: cr-1":
    "capacityReservationId: spot nodes cannot use a reservation",
    "instanceTypes: [p5.48xlarge], capacityType: CAPACITY_BLOCK": f"capacityType: {ONE}",
    f"instanceTypes: [p5.48xlarge], {BLOCK}": f"capacityType: {ONE}",
    f"instanceTypes: [p5e.48xlarge, p5en.48xlarge], {BLOCK},"
    " availabilityZones: [us-west-2a]": f"capacityType: {ONE}",
    f"instanceTypes: [g6e.xlarge], {BLOCK}, availabilityZones: [us-west-2a]":
    "capacityType: capacity blocks exist for p4d, p4de, p5 and p6 only",
    "instanceTypes: [g6e.xlarge], efa: true, availabilityZones: [us-west-2a]":
    "efa: g6e.xlarge has no EFA; the smallest of its family: g6e.8xlarge",
    "instanceTypes: [g6e.8xlarge], efa: true": "efa: needs one zone; set"
    " availabilityZones of the group",
    "instanceTypes: [g6e.8xlarge], efa: true, availabilityZones: [us-west-2a, us-west-2b]":
    "efa: needs one zone; set availabilityZones of the group",
    "instanceTypes: [g6.xlarge], availabilityZones: [eu-west-1a]":
    "availabilityZones[0]: eu-west-1a is not in us-west-2",
    "instanceTypes: [g6.xlarge], taints: [{key: a b}]": f"taints[0].key: a b: {KEY}",
    "instanceTypes: [g6.xlarge], taints: [{key: a, value: b c}]": "taints[0].value: b c:"
    " must be letters, digits, '-', '_' and '.', at most 63 characters",
    "instanceTypes: [g6.xlarge], taints: [{key: a, effect: NO_SCHEDULE}]":
    "taints[0].effect: must be one of NoSchedule, PreferNoSchedule, NoExecute,"
    ' not the text "NO_SCHEDULE"; did you mean NoSchedule?',
    f"instanceTypes: [g6.xlarge], taints: [{TAINTS}]": "taints: at most 50 taints",
    f"instanceTypes: [g6.xlarge], labels: {{{'a' * 64}: b}}": f"labels: {'a' * 64}: b:"
    " Ray's rule for labels: letters, digits, '-', '_', '.', at most 63 characters",
    "instanceTypes: [g6.xlarge], disk: {sizeGib: 50}": "disk.sizeGib: 50 is too small for"
    " a GPU image; use 100",
    "instanceTypes: [g6.xlarge], capacityType: SPOT, warmPool: {}": "warmPool: not with"
    " capacityType: SPOT",
    "instanceTypes: [g6.xlarge], amiType: BOTTLEROCKET_x86_64_NVIDIA,"
    " warmPool: {poolState: HIBERNATED}": "warmPool.poolState: Bottlerocket cannot"
    " hibernate; use STOPPED",
    "instanceTypes: [g6.xlarge], amiType: BOTTLEROCKET_x86_64_NVIDIA,"
    " warmPool: {reuseOnScaleIn: true}": "warmPool.reuseOnScaleIn: Bottlerocket nodes"
    " cannot go back into a warm pool",
    "instanceTypes: [g6.xlarge], amiType: AL2023_ARM_64_NVIDIA": "amiType:"
    " AL2023_ARM_64_NVIDIA does not run on g6.xlarge (x86_64)",
    "instanceTypes: [g6.xlarge], amiType: AL2023_x86_64_STANDARD": "amiType:"
    " AL2023_x86_64_STANDARD, but g6.xlarge has GPUs",
}  # fmt: skip

REFUSED = {
    "raylift:aws: {region: us-east-1}": "raylift:aws: keys of Pulumi's provider stand for"
    " themselves, such as aws:region",
    "raylift:karpenter: {}": "raylift:karpenter: unknown key",
    "raylift:autoscaler: {type: karpenter}": "raylift:autoscaler.type: must be one of"
    ' clusterAutoscaler, none, not the text "karpenter"',
    "raylift:tags: {'aws:x': y}": "raylift:tags: aws:x: tags of aws: are not for you to"
    " set",
    "raylift:tags: {'raylift:stack': y}": "raylift:tags: raylift:stack: tags of raylift:"
    " are not for you to set",
    f"raylift:nodeGroups: [{', '.join(['{name: a, instanceTypes: [g6.xlarge]}'] * 2)}]":
    "raylift:nodeGroups[1].name: two groups named 'a'",
    "raylift:nodeGroups: [{name: system, instanceTypes: [g6.xlarge]}]":
    "raylift:nodeGroups[0].name: 'system' is the group of raylift's own",
    # the cluster
    "raylift:kubernetes: {version: 1.30}": "raylift:kubernetes.version: must be text, not"
    " the number 1.3; put it in quotes",
    "raylift:kubernetes: {version: latest}": "raylift:kubernetes.version: must be a minor"
    " version in quotes, such as '1.35'",
    "raylift:kubernetes: {version: '1.32'}": "raylift:kubernetes.version: 1.32 is not in"
    " standard support; use one of 1.34, 1.35, 1.36, or set supportType: EXTENDED",
    "raylift:kubernetes: {publicAccessCidrs: [0.0.0.0/0]}":
    "raylift:kubernetes.publicAccessCidrs: open to the whole internet; name addresses,"
    " such as 203.0.113.7/32",
    "raylift:kubernetes: {publicAccessCidrs: [0.0.0.0/1, 128.0.0.0/1]}":
    "raylift:kubernetes.publicAccessCidrs: open to the whole internet; name addresses,"
    " such as 203.0.113.7/32",
    "raylift:kubernetes: {publicAccessCidrs: [], endpointPrivateAccess: false}":
    "raylift:kubernetes.endpointPrivateAccess: nobody could reach the API server",
    "raylift:kubernetes: {namespace: kube-system}": "raylift:kubernetes.namespace:"
    " 'kube-system' is Kubernetes' own",
    "raylift:kubernetes: {adminPrincipalArns: [ann]}":
    f'raylift:kubernetes.adminPrincipalArns[0]: {ARN}, not the text "ann"',
    "raylift:serviceAccountPolicyArns: ['arn:aws:iam::aws:policy/A',"
    " 'arn:aws:iam::aws:policy/A']": "raylift:serviceAccountPolicyArns:"
    " arn:aws:iam::aws:policy/A is given twice",
    "raylift:systemNodeGroup: {instanceTypes: []}":
    "raylift:systemNodeGroup.instanceTypes: must have 1 or more, not none",
    "raylift:systemNodeGroup: {instanceTypes: [g6.xlarge]}":
    "raylift:systemNodeGroup.instanceTypes[0]: g6.xlarge has a GPU; system nodes need"
    " none",
    "raylift:systemNodeGroup: {instanceTypes: [m7i.large, m7g.large]}":
    "raylift:systemNodeGroup.instanceTypes: m7i.large is x86_64, m7g.large is arm64",
    "raylift:systemNodeGroup: {minSize: 5}": "raylift:systemNodeGroup.minSize: 5 is above"
    " maxSize 4",
    "raylift:ray: {head: {numCpus: 4}}": "raylift:ray.head.numCpus: a system node gives"
    " pods 3; take larger systemNodeGroup types",
    "raylift:ray: {head: {memory: 16Gi}}": "raylift:ray.head.memory: a system node gives"
    " pods 12Gi; take larger systemNodeGroup types",
    "raylift:ray: {operator: {install: false, featureGates: [{name: RayCronJob}]}}":
    "raylift:ray.operator.featureGates: not used with install: false: that operator has"
    " its own",
    "raylift:ray: {operator: {featureGates: [{name: A}, {name: A, enabled: false}]}}":
    "raylift:ray.operator.featureGates[1].name: A is given twice",
    "raylift:ray: {operator: {featureGates: [{name: RayCronJob=true}]}}":
    "raylift:ray.operator.featureGates[0].name: must be a name such as RayCronJob, not"
    ' the text "RayCronJob=true"',
    "raylift:ray: {operator: {featureGates: [RayCronJob]}}":
    "raylift:ray.operator.featureGates[0]: must be a mapping, not the text"
    ' "RayCronJob"',
    "raylift:accelerators: {dcgmExporter: true}": "raylift:accelerators.dcgmExporter:"
    " needs a node group with GPUs",
    "raylift:accelerators: {timeSlicingReplicas: 4}":
    "raylift:accelerators.timeSlicingReplicas: unknown key",
    # the key
    "raylift:kmsKeyArn: mine": f'raylift:kmsKeyArn: {ARN}, not the text "mine"',
    "raylift:kmsKeyArn: arn:aws:kms:us-west-2:123456789012:alias/mine":
    "raylift:kmsKeyArn: is no ARN of a KMS key; an alias is none",
    "raylift:kmsKeyArn: arn:aws:iam::123456789012:role/mine": "raylift:kmsKeyArn: is no"
    " ARN of a KMS key; an alias is none",
    "raylift:kmsKeyArn: arn:aws:kms:us-east-2:123456789012:key/mine":
    "raylift:kmsKeyArn: is in us-east-2; the stack needs one in us-west-2",
    # the network
    "raylift:network: {cidrBlock: 10.0.0.0/28}": "raylift:network.cidrBlock: 10.0.0.0/28"
    " is too small for three zones; use a /20",
    "raylift:network: {cidrBlock: 10.0.0.0/8}": "raylift:network.cidrBlock: 10.0.0.0/8 is"
    " larger than a VPC may be; use a /16",
    "raylift:network: {cidrBlock: 172.20.0.0/16}": "raylift:network.cidrBlock:"
    " 172.20.0.0/16 overlaps the Kubernetes service range 172.20.0.0/16",
    "raylift:network: {cidrBlock: 11.0.0.0/16}": "raylift:network.cidrBlock: 11.0.0.0/16"
    " is not a private network",
    "raylift:network: {cidrBlock: 10.0.0.1/16}": "raylift:network.cidrBlock: must be a"
    ' network such as 10.0.0.0/16, not the text "10.0.0.1/16"',
    "raylift:network: {vpcId: vpc-1}": "raylift:network.privateSubnetIds: EKS needs"
    " subnets in at least two zones",
    "raylift:network: {privateSubnetIds: [subnet-1]}": "raylift:network.privateSubnetIds:"
    " needs vpcId: they are of a VPC",
    "raylift:network: {vpcId: vpc-1, privateSubnetIds: [a, b], natGateway: perAz}":
    "raylift:network.natGateway: not used with vpcId: that VPC has its own",
    "raylift:network: {vpcId: vpc-1, privateSubnetIds: [a, b], flowLogs: false}":
    "raylift:network.flowLogs: not used with vpcId: that VPC has its own",
    "raylift:network: {availabilityZones: [us-west-2a, us-west-2a]}":
    "raylift:network.availabilityZones: EKS needs at least two zones",
    "raylift:network: {availabilityZones: [us-west-2a, eu-west-1a]}":
    "raylift:network.availabilityZones: eu-west-1a is not in us-west-2",
    "raylift:network: {natGateway: none}": "raylift:network.natGateway: nodes could not"
    " reach ECR and STS; set vpcEndpoints: private",
    # the way in
    "raylift:ingress: {type: alb, scheme: internet-facing, allowedCidrs: [10.0.0.0/8]}":
    "raylift:ingress.certificateArn: TLS required for internet-facing: set"
    " certificateArn or host + hostedZoneId",
    f"raylift:ingress: {{type: alb, scheme: internet-facing, certificateArn: {CERTIFICATE}}}":
    f"raylift:ingress.allowedCidrs: {OPEN}",
    f"raylift:ingress: {{type: alb, scheme: internet-facing, certificateArn: {CERTIFICATE},"
    " allowedCidrs: [0.0.0.0/0]}": f"raylift:ingress.allowedCidrs: {OPEN}",
    "raylift:ingress: {type: alb, allowedCidrs: [0.0.0.0/0]}":
    "raylift:ingress.allowedCidrs: open to everybody who is routed to it; name networks",
    f"raylift:ingress: {{type: alb, certificateArn: {CERTIFICATE.replace('west', 'east')}}}":
    "raylift:ingress.certificateArn: is in us-east-2; the load balancer needs one in"
    " us-west-2",
    "raylift:ingress: {type: alb, certificateArn: x}": "raylift:ingress.certificateArn:"
    " is no ARN of an ACM certificate",
    "raylift:ingress: {host: a.example}": "raylift:ingress.host: not used without type:"
    " alb",
    "raylift:ingress: {type: alb, hostedZoneId: Z0123456789ABC}":
    "raylift:ingress.hostedZoneId: needs host: the certificate is for it",
    "raylift:ingress: {type: alb, host: a.example, hostedZoneId: Z0123456789ABC,"
    f" certificateArn: {CERTIFICATE}}}": "raylift:ingress.hostedZoneId: not with"
    " certificateArn: one certificate is enough",
    "raylift:ingress: {type: alb, host: a.example, hostedZoneId: example.com}":
    "raylift:ingress.hostedZoneId: must be an ID such as Z0123456789ABC, not the text"
    ' "example.com"',
    "raylift:ingress: {type: alb, host: 10.0.0.1, hostedZoneId: Z0123456789ABC}":
    f"raylift:ingress.host: 10.0.0.1 {ISSUED}",
    "raylift:ingress: {type: alb, host: Models.example.com,"
    " hostedZoneId: Z0123456789ABC}": "raylift:ingress.host: Models.example.com"
    f" {ISSUED}",
    "raylift:ingress: {hostedZoneId: Z0123456789ABC}": "raylift:ingress.hostedZoneId: not"
    " used without type: alb",
    "raylift:ingress: {type: alb, idleTimeout: 2h}": "raylift:ingress.idleTimeout: must be"
    " 4000 or less, not 2h",
    # the rest
    "raylift:faultTolerance: {gcsStorage: elasticache, replicas: 0}":
    "raylift:faultTolerance.multiAz: needs replicas: 1 or more",
    "raylift:faultTolerance: {nodeType: cache.r7g.large}":
    "raylift:faultTolerance.nodeType: not used with gcsStorage: rocksdb",
    "raylift:budget: {monthlyUsd: 5, email: nobody}": "raylift:budget.email: nobody is no"
    " e-mail address",
    "raylift:budget: {monthlyUsd: -5, email: a@b.example}": "raylift:budget.monthlyUsd:"
    " must be 1 or more, not -5",
}  # fmt: skip

# Of one node group and one worker group of its name.
WORKERS = {
    ("m7i.large", "numGpus: 1"): "numGpus: 1, but a node of 'a' has none",
    ("g6e.xlarge", "numCpus: 4"): "numCpus: a node of 'a' gives pods 3; leave it out",
    (
        "g6e.xlarge",
        "memory: 32Gi",
    ): "memory: a node of 'a' gives pods 26Gi; leave it out",
    ("g6e.xlarge", "minReplicas: 2, maxReplicas: 1"): "minReplicas: 2 is above"
    " maxReplicas 1",
    ("g6e.xlarge", "nodeGroup: a100"): "nodeGroup: no node group 'a100'; there are a",
}
HARDLY = {
    ("g6.12xlarge", "numGpus: 3, maxReplicas: 1"): "numGpus: a node has 4 GPUs, so 1 of"
    " them stays idle",
    ("g6e.xlarge", "maxReplicas: 8"): "maxReplicas: 8 replicas need 8 nodes, but 'a'"
    " grows to 4",
    (
        "g6e.xlarge",
        "minReplicas: 2",
    ): "minReplicas: needs 2 nodes at once, but 'a' starts"
    " with 0: the cluster begins by scaling up",
    (
        "g6e.xlarge",
        "numOfHosts: 2, maxReplicas: 4",
    ): "maxReplicas: 4 replicas, each of 2 pods, need 8 nodes, but 'a' grows to 4",
}


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_refused_with_its_line_and_what_is_wrong(tmp_path, line):
    assert told(tmp_path, HEAD + f"  {line}\n") == [f":4: {REFUSED[line]}"]


@pytest.mark.parametrize("text", GROUPS)
def test_a_node_group_is_refused_with_what_is_wrong_in_it(tmp_path, text):
    line = f"  raylift:nodeGroups: [{{name: a, {text}}}]\n"
    assert told(tmp_path, HEAD + line) == [f":4: raylift:nodeGroups[0].{GROUPS[text]}"]


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_told_beside_what_is_wrong_elsewhere(tmp_path, line):
    """One pass says everything: what does not fit, and a value that is none."""
    told_of = told(tmp_path, HEAD + f"  {line}\n  raylift:storage: 3\n")
    elsewhere = ":5: raylift:storage: must be a mapping, not the number 3"
    assert told_of == [f":4: {REFUSED[line]}", elsewhere]


@pytest.mark.parametrize("text", GROUPS)
def test_it_is_told_beside_what_is_wrong_in_the_same_group(tmp_path, text):
    line = f"  raylift:nodeGroups: [{{name: a, {text}, nodeRepair: 3}}]\n"
    told_of = set(told(tmp_path, HEAD + line))
    assert told_of == {
        f":4: raylift:nodeGroups[0].{GROUPS[text]}",
        ":4: raylift:nodeGroups[0].nodeRepair: must be true or false, not the number 3",
    }


def test_nothing_is_said_that_follows_from_what_is_wrong(tmp_path):
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
    keys = [problem.split(": ")[1] for problem in told(tmp_path, text)]
    assert keys == [
        "raylift:ingress.type",
        "raylift:nodeGroups[0].capacityType",
        "raylift:nodeGroups[0].maxSize",
        "raylift:kubernetes.endpointPrivateAccess",
    ]


BOTH = {
    "raylift:network: {privateSubnetIds: foo, natGateway: none}": (
        "raylift:network.privateSubnetIds",
        "raylift:network.natGateway",
    ),
    "raylift:nodeGroups: [{name: A, instanceTypes: [g6.xlarge]},"
    " {name: x, instanceTypes: [g6.xlarge]}, {name: x, instanceTypes: [g6.xlarge]}]": (
        "raylift:nodeGroups[0].name",
        "raylift:nodeGroups[2].name",
    ),
    "raylift:ingress: {host: 3, scheme: internet-facing}": (
        "raylift:ingress.host",
        "raylift:ingress.scheme",
    ),
}


@pytest.mark.parametrize("line", BOTH)
def test_a_wrong_value_hides_none_that_does_not_depend_on_it(tmp_path, line):
    keys = {problem.split(": ")[1] for problem in told(tmp_path, f"{HEAD}  {line}\n")}
    assert keys == set(BOTH[line])


def test_a_missing_region_hides_no_certificate_that_is_none(tmp_path):
    ingress = "  raylift:ingress: {type: alb, certificateArn: x}\n"
    said = told(tmp_path, f"config:\n  raylift:target: aws\n{ingress}")
    assert [problem.split(": ")[1] for problem in said] == [
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
def test_workers_are_refused_where_their_nodes_are_too_small(tmp_path, case):
    said = told(tmp_path, _with_workers(*case))
    assert said == [f":5: raylift:ray.workerGroups[0].{WORKERS[case]}"]


@pytest.mark.parametrize("case", HARDLY, ids=str)
def test_workers_that_hardly_fit_their_nodes_are_warned_of(tmp_path, case):
    said = told(tmp_path, _with_workers(*case))
    assert said == [f"warning: raylift:ray.workerGroups[0].{HARDLY[case]}"]


def test_an_image_without_cuda_is_warned_of_where_workers_have_gpus(tmp_path):
    text = (
        f"{HEAD}  raylift:nodeGroups: [{{name: a, instanceTypes: [g6.xlarge]}}]\n"
        "  raylift:ray: {image: 'rayproject/ray:2.60.0-py311'}\n"
    )
    said = "raylift:ray.image: no CUDA in its tag, but workers have GPUs"
    assert told(tmp_path, text) == [f"warning: {said}"]


def test_a_zone_that_the_network_leaves_out_has_no_node_group(tmp_path):
    text = (
        f"{HEAD}  raylift:network: {{availabilityZones: [us-west-2a, us-west-2b]}}\n"
        "  raylift:nodeGroups: [{name: a, instanceTypes: [g6.xlarge],"
        " availabilityZones: [us-west-2d]}]\n"
    )
    said = "us-west-2d is not in raylift:network.availabilityZones"
    place = ":5: raylift:nodeGroups[0].availabilityZones[0]"
    assert told(tmp_path, text) == [f"{place}: {said}"]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("", ":2: aws:region: required when raylift:target is aws, such as us-west-2"),
        (
            "  aws:region: us-wset-2\n",
            ":3: aws:region: us-wset-2 is no region with EKS; did you mean us-west-2?",
        ),
    ],
)
def test_a_region_is_named_and_there(tmp_path, region, said):
    assert told(tmp_path, f"config:\n  raylift:target: aws\n{region}") == [said]


def test_a_key_that_is_nearly_one_is_refused_with_that_one(tmp_path):
    line = "  raylift:nodeGroups: [{name: a, instanceType: [g6.xlarge]}]\n"
    assert told(tmp_path, HEAD + line) == [
        ":4: raylift:nodeGroups[0].instanceTypes: required, but not given",
        ":4: raylift:nodeGroups[0].instanceType: unknown key; did you mean instanceTypes?",
    ]


def test_a_key_at_the_top_of_the_file_is_refused(tmp_path):
    said = "not a key of a Pulumi stack file"
    assert told(tmp_path, f"version: 3\n{HEAD}") == [
        f":1: version: {said}; raylift's settings go under config: as raylift:…"
    ]


def test_a_key_that_is_given_twice_is_refused(tmp_path):
    (said,) = told(tmp_path, f"{HEAD}  raylift:tags: {{}}\n  raylift:tags: {{}}\n")
    assert said.startswith(":5: raylift:tags: given twice (lines 4 and 5)")
