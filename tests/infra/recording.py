"""Runs of a Pulumi program with mocks, recording every resource that it registers.

No resource is created: Pulumi's MockMonitor replaces the engine. The resource classes
are the real ones, so a misspelled argument fails.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import graphlib
import os
import warnings
from unittest import mock

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks

from raylift.infra.config.loader import load_stack_file
from raylift.infra.kubernetes.cluster_info import ClusterInfo
from raylift.infra.program import build

_STACK = "pulumi:pulumi:Stack"
ZONES = ("us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d")
GPU_ZONES = ("us-west-2b", "us-west-2d")
CALLER = "203.0.113.7/32"
FACTS = ClusterInfo(
    uid="11111111-2222-3333-4444-555555555555",
    api_server=("192.0.2.10/32",),
    storage_classes=("standard",),
    default_storage_class="standard",
    ingress_classes=("nginx",),
    gpus=8,
    has_prometheus=True,
)


@dataclasses.dataclass(frozen=True)
class Resource:
    """One registration: `kind` is its type token, `inputs` its properties."""

    urn: str
    kind: str
    name: str
    inputs: dict
    needs: frozenset[str]
    request: object = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """All registrations of one run, and the stack's outputs.

    `made_late` contains the names of resources registered inside an `apply`.
    """

    resources: dict[str, Resource]
    outputs: dict
    made_late: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of a type, such as `eks/cluster:Cluster`."""
        return [r for r in self.resources.values() if r.kind.endswith(kind)]

    def one(self, name: str, kind: str = "") -> Resource:
        """Return the only resource with a name, and optionally a type."""
        (found,) = [r for r in self.of(kind) if r.name == name]
        return found

    @functools.cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for urn in graphlib.TopologicalSorter(
            {urn: r.needs for urn, r in self.resources.items()}
        ).static_order():
            needs = self.resources[urn].needs
            found[urn] = needs.union(*(found[need] for need in needs))
        return found

    def before(self, resource: Resource) -> list[Resource]:
        """Return the resources created before a resource, and deleted after it."""
        return [self.resources[urn] for urn in sorted(self._ancestors[resource.urn])]

    def outlives(self, resource: Resource, other: Resource) -> bool:
        """Return whether a resource is deleted only after another one."""
        return resource.urn in self._ancestors[other.urn]

    def waits_for(self, resource: Resource) -> list[Resource]:
        """Return the direct dependencies that no other dependency implies."""
        implied = frozenset().union(*(self._ancestors[n] for n in resource.needs))
        return [self.resources[urn] for urn in sorted(resource.needs - implied)]


class _Monitor(mocks.MockMonitor):
    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.requests = {}

    def RegisterResource(self, request):  # noqa: N802 gRPC's name
        response = super().RegisterResource(request)
        assert response.urn not in self.requests, f"{response.urn}: registered twice"
        self.requests[response.urn] = request
        return response


class _Answers(mocks.Mocks):
    """Outputs that AWS and Kubernetes would add to the inputs."""

    def __init__(self, *, preview):
        self._preview = preview

    def new_resource(self, args):
        if self._preview:
            return "", {}
        made = {"arn": f"arn:aws:mock:::{args.name}", "name": args.name} | args.inputs
        made |= _MADE.get(args.typ, lambda _: {})(args)
        metadata = dict(made.get("metadata") or {})
        if args.typ.startswith("kubernetes:"):
            generated = {"name": f"{args.name}-1a2b3c4d", "uid": f"{args.name}-uid"}
            made["metadata"] = {**generated, **metadata}
        return f"{args.name}-id", made

    def call(self, args):
        return _FUNCTIONS[args.token](args.args)


_MADE = {
    "aws:eks/cluster:Cluster": lambda args: {
        "endpoint": "https://eks.example",
        "certificateAuthority": {"data": "Q0E="},
        "vpcConfig": {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-eks"},
    },
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _: {"latestVersion": 1},
    "aws:s3/bucket:Bucket": lambda args: {"bucket": f"{args.name}-1a2b3c4"},
    "aws:acm/certificate:Certificate": lambda args: {
        "domainValidationOptions": [
            {
                "domainName": args.inputs["domainName"],
                "resourceRecordName": f"_1a2b.{args.inputs['domainName']}.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_3c4d.acm-validations.aws.",
            }
        ]
    },
    "aws:route53/record:Record": lambda args: {"fqdn": args.inputs["name"].strip(".")},
    "kubernetes:networking.k8s.io/v1:Ingress": lambda _: {
        "status": {"loadBalancer": {"ingress": [{"hostname": "alb.example"}]}}
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": lambda _: {
        "primaryEndpointAddress": "gcs.example"
    },
}
_FUNCTIONS = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda _: {
        "names": list(ZONES),
        "zoneIds": [],
        "groupNames": [],
        "id": "zones",
        "region": "us-west-2",
    },
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _: {
        "accountId": "123456789012",
        "arn": "arn:aws:iam::123456789012:user/ann",
        "userId": "AIDA",
        "id": "123456789012",
    },
    "aws:lb/getHostedZoneId:getHostedZoneId": lambda _: {
        "id": "Z1H1FL5HABSF5",
        "region": "us-west-2",
    },
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": lambda args: (
        _offerings(args["filters"][0]["values"])
    ),
    "aws:ec2/getSubnet:getSubnet": lambda args: {
        "id": args["id"],
        "availabilityZone": ZONES[int(args["id"][-1])],
        "cidrBlock": f"10.1.{args['id'][-1]}.0/24",
    },
    "aws:ec2/getVpc:getVpc": lambda args: {
        "id": args["id"],
        "cidrBlock": "10.1.0.0/16",
    },
}


def _offerings(types):
    pairs = [(name, zone) for name in types for zone in GPU_ZONES]
    return {
        "instanceTypes": [name for name, _ in pairs],
        "locations": [zone for _, zone in pairs],
        "locationTypes": [],
        "id": "offerings",
        "region": "us-west-2",
    }


def record(config, *, stack="demo", info=FACTS, preview=False) -> Recorded:
    """Run the program of a StackConfig; in a preview, all outputs are unknown."""
    return run(lambda: build(config, stack, info), stack=stack, preview=preview)


def run(program, *, stack="demo", preview=False) -> Recorded:
    """Run a function that registers resources and returns outputs."""
    answers = _Answers(preview=preview)
    monitor = _Monitor(answers)
    outputs, late = {}, []
    with warnings.catch_warnings(), _watching(late), mock.patch.dict(os.environ) as env:
        # Pulumi gets its event loop in a way that Python 3.11 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        mocks.set_mocks(
            answers, project="raylift", stack=stack, preview=preview, monitor=monitor
        )
        env["RAYLIFT_CALLER_CIDR"] = CALLER
        pulumi.runtime.test(lambda: outputs.update(program()))()
    known = {u: r for u, r in monitor.requests.items() if r.type != _STACK}
    found = {urn: _resource(urn, request, known) for urn, request in known.items()}
    return Recorded(found, outputs, tuple(late))


@contextlib.contextmanager
def _watching(late):
    """Record resources registered inside an `apply`, which no preview shows."""
    applying = contextvars.ContextVar("applying", default=False)
    apply, init = pulumi.Output.apply, pulumi.Resource.__init__

    def watched_apply(output, function, *more, **options):
        def marked(value):
            token = applying.set(True)
            try:
                return function(value)
            finally:
                applying.reset(token)

        return apply(output, marked, *more, **options)

    def watched_init(resource, kind, name, *more, **options):
        if applying.get():
            late.append(name)
        init(resource, kind, name, *more, **options)

    with (
        mock.patch.object(pulumi.Output, "apply", watched_apply),
        mock.patch.object(pulumi.Resource, "__init__", watched_init),
    ):
        yield


def record_text(folder, text, **options) -> Recorded:
    """Write a stack file and run its program."""
    path = folder / "stacks" / "Pulumi.demo.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return record(load_stack_file(path), **options)


def _resource(urn, request, known) -> Resource:
    provider = {request.provider.rsplit("::", 1)[0]} if request.provider else set()
    parent = {request.parent} if request.parent else set()
    by_value = {u for d in request.propertyDependencies.values() for u in d.urns}
    needs = (set(request.dependencies) | by_value | parent | provider) & known.keys()
    return Resource(
        urn=urn,
        kind=request.type,
        name=request.name,
        inputs=plain(json_format.MessageToDict(request.object)),
        needs=frozenset(needs),
        request=request,
    )


_SECRET = "4dabf18193072939515e22adb298388d"


def plain(value):
    """Return a value with whole numbers as int and secrets as `[secret]`."""
    if isinstance(value, dict):
        if _SECRET in value:
            return "[secret]"
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
