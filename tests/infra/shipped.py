"""Recorded programs of the shipped stack files, and of files that use every key."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from recording import record, record_text

from raylift.errors import InvalidInput
from raylift.infra.config.loader import load_stack_file, target_of, warnings_of

STACKS = Path(__file__).parents[2] / "stacks"
SHIPPED = tuple(
    name
    for file in sorted(STACKS.glob("Pulumi.*.yaml"))
    if target_of(file) != "local"
    for name in [file.name.removeprefix("Pulumi.").removesuffix(".yaml")]
)

_AWS = "config:\n  aws:region: us-west-2\n  raylift:target: aws\n"
TEXTS = {
    # Every key that adds a resource.
    "aws with all": f"""{_AWS}
  aws:profile: team
  raylift:tags: {{team: ml}}
  raylift:permissionsBoundary: arn:aws:iam::123456789012:policy/boundary
  raylift:kmsKeyArn: arn:aws:kms:us-west-2:123456789012:key/k
  raylift:serviceAccountPolicyArns: [arn:aws:iam::123456789012:policy/weights]
  raylift:network: {{natGateway: perAz, vpcEndpoints: private}}
  raylift:kubernetes:
    adminPrincipalArns: ["arn:aws:iam::123456789012:role/platform"]
  raylift:nodeGroups:
    - name: p5
      instanceTypes: [p5.48xlarge]
      efa: true
      availabilityZones: [us-west-2b]
      maxSize: 2
    - name: block
      instanceTypes: [p5.48xlarge]
      capacityType: CAPACITY_BLOCK
      capacityReservationId: cr-1
      availabilityZones: [us-west-2b]
    - {{name: spot, instanceTypes: [g6.xlarge], capacityType: SPOT}}
    - name: warm
      instanceTypes: [g6e.xlarge]
      warmPool: {{maxPreparedCapacity: 1}}
    - {{name: cpu, instanceTypes: [m7i.4xlarge]}}
  raylift:accelerators: {{dcgmExporter: true}}
  raylift:ray:
    operator: {{featureGates: [{{name: RayCronJob}}]}}
    secretEnv: {{HF_TOKEN: {{secure: x}}}}
    workerGroups:
      - {{name: half, nodeGroup: spot, maxReplicas: 1}}
  raylift:faultTolerance: {{gcsStorage: elasticache}}
  raylift:ingress: {{type: alb, host: models.example.com}}
  raylift:storage: {{expireDays: 30}}
  raylift:budget: {{monthlyUsd: 500, email: ml@example.com}}
  raylift:protection: {{deletionProtection: true}}
""",
    "aws without internet access": f"""{_AWS}
  raylift:network: {{natGateway: none, vpcEndpoints: private, flowLogs: false}}
  raylift:kubernetes: {{publicAccessCidrs: []}}
  raylift:autoscaler: {{type: none}}
  raylift:faultTolerance: {{gcsStorage: none}}
  raylift:networkPolicy: {{enabled: false}}
""",
    "aws in an existing VPC": f"""{_AWS}
  raylift:network:
    vpcId: vpc-1
    privateSubnetIds: [subnet-0, subnet-1]
    publicSubnetIds: [subnet-2, subnet-3]
  raylift:nodeGroups: [{{name: l4, instanceTypes: [g6.xlarge]}}]
  raylift:faultTolerance: {{gcsStorage: redis, redisAddress: "redis://redis:6379"}}
  raylift:ingress: {{type: alb}}
""",
    "aws with a zone": f"""{_AWS}
  raylift:ingress:
    type: alb
    scheme: internet-facing
    host: models.example.com
    hostedZoneId: Z0123456789ABC
    allowedCidrs: [203.0.113.0/24]
""",
    "kubernetes with all": """config:
  raylift:target: kubernetes
  raylift:nodeGroups:
    - {name: l4, numGpus: 1, tolerations: [{key: nvidia.com/gpu}]}
  raylift:ray: {secretEnv: {HF_TOKEN: {secure: x}}}
  raylift:faultTolerance:
    gcsStorage: redis
    redisAddress: redis://redis:6379
    redisPassword: {name: redis, key: password}
  raylift:ingress:
    type: ingressClass
    ingressClassName: nginx
    host: models.example.com
    tlsSecretName: tls
  raylift:networkPolicy: {serveFrom: [ingress-nginx]}
""",
}
ALL = (*SHIPPED, *TEXTS)
AWS = tuple(name for name in ALL if name.startswith("aws"))


@functools.cache
def recorded(name, *, preview=False):
    """Return the program of a shipped stack file, or of one of TEXTS."""
    if name in TEXTS:
        with tempfile.TemporaryDirectory() as folder:
            return record_text(Path(folder), TEXTS[name], preview=preview)
    path = STACKS / f"Pulumi.{name}.yaml"
    return record(load_stack_file(path), stack=name, preview=preview)


def translate_error(folder, text) -> list[str]:
    """Return the errors and warnings for the text of a stack file."""
    path = Path(folder) / "stacks" / "Pulumi.demo.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        config = load_stack_file(path)
    except InvalidInput as failed:
        return [str(p).removeprefix("stacks/Pulumi.demo.yaml") for p in failed.problems]
    return [f"warning: {text}" for text in warnings_of(config)]
