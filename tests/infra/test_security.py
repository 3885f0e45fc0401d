"""What a stack leaves open: nothing but what its file names, whatever is combined.

`holes` looks at every object; the faults at the end are what it must see.
"""

from __future__ import annotations

import base64
import copy
import functools

import options
import pulumi
import pytest
from holes import METRICS, SERVE, STACK, Named, Thing, holes, is_wide, pods
from options import ADMIN, CANARY, WEIGHTS
from recording import FACTS, run
from shipped import SHIPPED, recorded

from infra.kubernetes.component import redis_options
from infra.kubernetes.ingress import rules
from infra.kubernetes.network_policy import Callers, network_policies
from infra.kubernetes.ray_service import Place, Storage, ray_service
from infra.program import build

EACH, WHOLE = 600, 20  # of each target: by pure functions, and by the whole program
K8S = "kubernetes:"
POLICY = f"{K8S}networking.k8s.io/v1:NetworkPolicy"
SERVICE = f"{K8S}ray.io/v1:RayService"
API_SERVER, BALANCERS = "192.0.2.10/32", "10.0.192.0/21"


# By the pure functions: many


@pytest.mark.parametrize("target", options.TARGETS)
def test_nothing_is_open_in_any_combination_of_options(target):
    found, left = {}, options.all_pairs(target)
    choices = options.at_random(target, EACH)
    for choice in choices:
        left -= options.pairs_of(choice)
        config = options.config_of(target, choice)
        for line in holes(_objects(config), _named_for_objects(config), [CANARY]):
            found.setdefault(line, choice)
    assert found == {}
    assert left == set()
    assert len(choices) * len(options.TARGETS) >= 1000


def _objects(config):
    """The RayService, its policies and the way in, without Pulumi."""
    place = Place("demo", config.kubernetes.namespace, dict(config.tags))
    callers = Callers(
        operator=config.ray.operator.namespace,
        api_server=config.network_policy.api_server_cidrs or [API_SERVER],
        serve=config.network_policy.serve_from,
        serve_cidrs=[BALANCERS] if config.ingress.type == "alb" else [],
        metrics=config.network_policy.metrics_from,
    )
    secret = "demo-env" if config.ray.secret_env else None
    yield Thing(
        SERVICE,
        "ray-service",
        ray_service(
            place, config.ray, config.workers(), _storage(config), secret=secret
        ),
    )
    if config.network_policy.enabled:
        for body in network_policies(place, callers):
            yield Thing(POLICY, body["metadata"]["name"], body)
    if config.ingress.type == "ingressClass":
        spec = {"ingressClassName": "x", "rules": rules(place, config.ingress.host)}
        inputs = {"metadata": {"name": "demo"}, "spec": spec}
        yield Thing(f"{K8S}networking.k8s.io/v1:Ingress", "ingress", inputs)


def _storage(config):
    kept = config.fault_tolerance
    if kept.gcs_storage == "elasticache":
        return Storage(redis={"redisAddress": "rediss://gcs:6379"})
    claim = "demo-gcs" if kept.gcs_storage == "rocksdb" else None
    return Storage(claim, redis_options(kept))


def _named_for_objects(config):
    return _named(
        config, {API_SERVER}, {BALANCERS} if config.ingress.type == "alb" else set()
    )


def _named(config, api_server, balancers):
    policy = config.network_policy
    proxies = set(policy.api_server_cidrs or api_server)
    return Named(
        serve=frozenset({*policy.serve_from, *balancers, *proxies}),
        dashboard=frozenset({config.ray.operator.namespace, *proxies}),
        metrics=frozenset({*policy.metrics_from, *proxies}),
        policies=policy.enabled,
        admins=frozenset({ADMIN}),
        policy_arns=frozenset({WEIGHTS}),
        taints={
            group.name: [{"key": "ml", "value": "", "effect": "NO_EXECUTE"}]
            for group in config.node_groups
            if getattr(group, "taints", None)
        },
    )


# By the whole program: some


@pytest.mark.parametrize("target", options.TARGETS)
def test_nothing_is_open_in_the_whole_program(target):
    found = {}
    for choice in options.covering(target, WHOLE):
        config = options.config_of(target, choice)
        assert [wrong for wrong in config.checks() if not wrong.is_warning] == []
        program, outputs = _built(config)
        assert CANARY not in str(outputs)
        for line in holes(
            program.resources.values(), _named_in(config, program), [CANARY]
        ):
            found.setdefault(line, choice)
    assert found == {}


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_is_open_in_a_shipped_stack(name):
    assert holes(recorded(name).resources.values(), _shipped(name)) == []


def _built(config):
    """The program, and the outputs of the stack as Pulumi would keep them."""
    kept = {}

    def program():
        outputs = build(config, "demo", FACTS)
        pulumi.Output.all(**outputs).apply(kept.update)
        return outputs

    made = run(program)
    assert kept["stack"] == "demo"
    return made, kept


def _named_in(config, program):
    """Who is named, with the networks that the program gave to subnets."""
    if config.target == "kubernetes":
        return _named(config, FACTS.api_server, set())
    if config.network.vpc_id:
        api_server = private = {"10.1.0.0/24", "10.1.1.0/24"}
        public = {"10.1.2.0/24", "10.1.3.0/24"}
    else:
        api_server, private, public = (
            {
                subnet.inputs["cidrBlock"]
                for subnet in program.of("ec2/subnet:Subnet")
                if subnet.name.startswith(name)
            }
            for name in ("control-plane", "private", "public")
        )
    balancers = private if config.ingress.scheme == "internal" else public
    is_alb = config.ingress.type == "alb"
    return _named(config, api_server, balancers if is_alb else set())


@functools.cache
def _shipped(name):
    """Who the shipped files name: what stands in the policies, read by a person."""
    if name == "kubernetes":
        proxies = frozenset(FACTS.api_server)
        return Named(proxies, proxies | {"kuberay-operator"}, proxies)
    proxies = frozenset(f"10.0.248.{last}/28" for last in (0, 16, 32))
    balancers = {"10.0.192.0/21", "10.0.200.0/21", "10.0.208.0/21"}
    return Named(
        serve=proxies | (balancers if name == "aws-prod" else set()),
        dashboard=proxies | {"kuberay-operator"},
        metrics=proxies,
        admins=frozenset({ADMIN}),
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_every_gpu_group_has_a_taint_and_every_policy_somebody_to_close_out(name):
    """The walk sees what it is to see: no rule is kept by having nothing to look at."""
    program = recorded(name)
    (service,) = program.of("ray.io/v1:RayService")
    assert [role for role, *_ in pods(service)][:2] == ["head", "worker"]
    assert len(program.of("v1:NetworkPolicy")) == 2
    if name != "kubernetes":
        groups = program.of("eks/nodeGroup:NodeGroup")
        assert any(group.inputs["amiType"].endswith("NVIDIA") for group in groups)


def test_what_is_wide():
    assert is_wide("0.0.0.0/0")
    assert is_wide("::/0")
    assert is_wide("128.0.0.0/1")
    assert not is_wide("10.0.0.0/8")
    assert not is_wide("0.0.0.0")
    assert not is_wide("rayproject/ray")


# Faults: what would be open if the program were otherwise


class _Stack:
    """The objects of a shipped stack, to be changed by a fault."""

    def __init__(self, name):
        self.named = _shipped(name)
        self.things = [
            Thing(r.kind, r.name, copy.deepcopy(r.inputs))
            for r in recorded(name).resources.values()
        ]

    def one(self, name, kind):
        (found,) = [t for t in self.things if t.name == name and t.kind.endswith(kind)]
        return found.inputs

    def drop(self, name, kind):
        gone = [t for t in self.things if t.name == name and t.kind.endswith(kind)]
        assert gone
        self.things = [t for t in self.things if t not in gone]

    def add(self, kind, **inputs):
        self.things.append(Thing(kind, "fault", inputs))

    @property
    def ray(self):
        return self.one("ray-service", ":RayService")["spec"]["rayClusterConfig"]

    @property
    def head(self):
        return self.ray["headGroupSpec"]["template"]["spec"]

    @property
    def worker(self):
        return self.ray["workerGroupSpecs"][0]["template"]["spec"]

    @property
    def container(self):
        return self.worker["containers"][0]

    def policy(self, name):
        return self.one(f"{name}-policy", ":NetworkPolicy")["spec"]

    @property
    def eks(self):
        return self.one("cluster", "eks/cluster:Cluster")

    @property
    def template(self):
        return self.one("l4-template", ":LaunchTemplate")

    @property
    def annotations(self):
        return self.one("ingress", ":Ingress")["metadata"]["annotations"]


ALB = "alb.ingress.kubernetes.io"
GROUP_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EVERYBODY = {"ipBlock": {"cidr": "0.0.0.0/0"}}
PUBLIC = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]}'


def _dashboard_service(stack, kind):
    stack.add(
        f"{K8S}core/v1:Service",
        spec={
            "type": kind,
            "selector": {STACK: "x", "ray.io/node-type": "head"},
            "ports": [{"port": 8265, "targetPort": 8265}],
        },
    )


def _let_in(stack, policy, peers, *ports):
    rule = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    if peers is not None:
        rule["from"] = peers
    stack.policy(policy)["ingress"].append({k: v for k, v in rule.items() if v})


def _namespace(name):
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _leak(stack, into):
    into["leak"] = f"--token={CANARY}"


# What is done to aws-prod, and a part of the line that must be said of it.
FAULTS = {
    # Services and Ingresses
    "a Service of type LoadBalancer for the dashboard": (
        lambda s: _dashboard_service(s, "LoadBalancer"),
        "LoadBalancer",
    ),
    "a Service of type NodePort": (
        lambda s: s.one("serve", "v1:Service")["spec"].update(type="NodePort"),
        "NodePort",
    ),
    "a Service in the cluster for the dashboard": (
        lambda s: _dashboard_service(s, "ClusterIP"),
        "leads to [8265]",
    ),
    "a Service with an address of its own": (
        lambda s: s.one("serve", "v1:Service")["spec"].update(externalIPs=["1.2.3.4"]),
        "externalIPs",
    ),
    "a Service without a selector of this stack": (
        lambda s: s.one("serve", "v1:Service")["spec"].update(selector={"a": "b"}),
        "selects",
    ),
    "KubeRay's Service of the head as a NodePort": (
        lambda s: s.ray["headGroupSpec"].update(serviceType="NodePort"),
        "serviceType is NodePort",
    ),
    "KubeRay's own Ingress to the dashboard": (
        lambda s: s.ray["headGroupSpec"].update(enableIngress=True),
        "enableIngress",
    ),
    "KubeRay's Service of the head by a template": (
        lambda s: s.ray["headGroupSpec"].update(headService={"spec": {}}),
        "a Service of its own making",
    ),
    "an Ingress to the dashboard": (
        lambda s: s.one("ingress", ":Ingress")["spec"]["rules"][0]["http"]["paths"][0][
            "backend"
        ]["service"].update(port={"number": 8265}),
        "leads to",
    ),
    "an Ingress with a default of another Service": (
        lambda s: s.one("ingress", ":Ingress")["spec"].update(
            defaultBackend={"service": {"name": "aws-prod-head-svc"}}
        ),
        "leads to",
    ),
    "a load balancer without TLS": (
        lambda s: s.annotations.update({f"{ALB}/listen-ports": '[{"HTTP": 80}]'}),
        "is in clear",
    ),
    "a load balancer without a certificate": (
        lambda s: s.annotations.pop(f"{ALB}/certificate-arn"),
        "without a certificate",
    ),
    "a load balancer that takes old TLS": (
        lambda s: s.annotations.pop(f"{ALB}/ssl-policy"),
        "a policy of TLS",
    ),
    "a load balancer for everybody": (
        lambda s: s.annotations.pop(f"{ALB}/inbound-cidrs"),
        "lets everybody in",
    ),
    "a load balancer for everybody among others": (
        lambda s: s.annotations.update(
            {f"{ALB}/inbound-cidrs": "10.0.0.0/8,0.0.0.0/0"}
        ),
        "0.0.0.0/0 is everybody",
    ),
    "a second listener in clear": (
        lambda s: s.annotations.update(
            {f"{ALB}/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]'}
        ),
        "listens on",
    ),
    # Pods
    "a privileged container": (
        lambda s: s.container["securityContext"].update(privileged=True),
        "privileged",
    ),
    "a container that may become root": (
        lambda s: s.container["securityContext"].update(allowPrivilegeEscalation=True),
        "may become root",
    ),
    "a container with a capability": (
        lambda s: s.container["securityContext"].update(
            capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}
        ),
        "has capabilities",
    ),
    "a container that is root": (
        lambda s: s.container["securityContext"].update(runAsUser=0),
        "may be root",
    ),
    "an autoscaler without a security context": (
        lambda s: s.ray["autoscalerOptions"].pop("securityContext"),
        "may become root",
    ),
    "a pod without seccomp": (
        lambda s: s.head["securityContext"].pop("seccompProfile"),
        "no seccomp profile",
    ),
    "a pod in the node's network": (
        lambda s: s.head.update(hostNetwork=True),
        "hostNetwork",
    ),
    "a pod among the node's processes": (
        lambda s: s.worker.update(hostPID=True),
        "hostPID",
    ),
    "a port of the node": (
        lambda s: s.container["ports"][0].update(hostPort=8000),
        "hostPort",
    ),
    "a folder of the node": (
        lambda s: s.worker["volumes"].append({"name": "v", "hostPath": {"path": "/"}}),
        "hostPath",
    ),
    "a worker that may ask the API server": (
        lambda s: s.worker.update(automountServiceAccountToken=True),
        "has a token",
    ),
    "a head whose applications may ask the API server": (
        lambda s: (
            s.head["containers"][0]
            .setdefault("volumeMounts", [])
            .append({"name": "credentials", "mountPath": "/x"})
        ),
        "container ray-head has a token",
    ),
    "a worker with a token that somebody may mount": (
        lambda s: s.worker["volumes"].append(
            {"name": "t", "projected": {"sources": [{"serviceAccountToken": {}}]}}
        ),
        "a token of the API server to mount",
    ),
    "an account whose token every pod gets": (
        lambda s: s.one("worker-account", ":ServiceAccount").update(
            automountServiceAccountToken=True
        ),
        "has a token",
    ),
    "a port of Ray's client": (
        lambda s: s.head["containers"][0]["ports"].append({"containerPort": 10001}),
        "names ports [10001]",
    ),
    "a container that may take the whole node": (
        lambda s: s.container["resources"].pop("limits"),
        "no limits",
    ),
    "a namespace that lets pods do anything": (
        lambda s: s.one("namespace", "v1:Namespace")["metadata"]["labels"].pop(
            "pod-security.kubernetes.io/enforce"
        ),
        "baseline",
    ),
    # Ray
    "no token": (lambda s: s.ray.pop("authOptions"), "no token"),
    "the token switched off": (
        lambda s: s.ray.update(authOptions={"mode": "disabled"}),
        "no token",
    ),
    "the token switched off by a variable": (
        lambda s: s.container["env"].append({"name": "RAY_AUTH_MODE", "value": "x"}),
        "sets RAY_AUTH_MODE",
    ),
    "a Ray that has no token": (
        lambda s: s.ray.update(rayVersion="2.51.1"),
        "no token authentication",
    ),
    # Policies
    "a policy for everybody": (
        lambda s: _let_in(s, "ray", None),
        "everybody may connect to all ports",
    ),
    "a policy for everybody on the dashboard": (
        lambda s: _let_in(s, "head", None, 8265),
        "everybody may connect to [(8265",
    ),
    "a policy for every network": (
        lambda s: _let_in(s, "head", [EVERYBODY], 8265),
        "is everybody",
    ),
    "a policy for every namespace": (
        lambda s: _let_in(s, "ray", [{"namespaceSelector": {}}], 6379),
        "may connect to 6379",
    ),
    "a policy for a namespace that is not named": (
        lambda s: _let_in(s, "ray", [_namespace("default")], SERVE),
        "may connect to 8000",
    ),
    "a policy for all pods of the namespace": (
        lambda s: _let_in(s, "ray", [{"podSelector": {}}], 8265),
        "may connect to 8265",
    ),
    "metrics for a namespace that is not named": (
        lambda s: _let_in(s, "ray", [_namespace("default")], METRICS),
        "may connect to 8080",
    ),
    "all ports for the operator": (
        lambda s: _let_in(s, "head", [_namespace("kuberay-operator")]),
        "all ports",
    ),
    "a range of ports for the operator": (
        lambda s: s.policy("head")["ingress"][0]["ports"][0].update(endPort=10001),
        "may connect to 8265",
    ),
    "the control store for the operator": (
        lambda s: _let_in(s, "head", [_namespace("kuberay-operator")], 6379),
        "may connect to 6379",
    ),
    "the dashboard of every pod for the operator": (
        lambda s: _let_in(s, "ray", [_namespace("kuberay-operator")], 8265),
        "pod l4",
    ),
    "no policy for workers": (
        lambda s: s.drop("ray-policy", ":NetworkPolicy"),
        "no policy closes it",
    ),
    "a policy that selects other pods": (
        lambda s: s.policy("ray").update(podSelector={"matchLabels": {"a": "b"}}),
        "no policy closes it",
    ),
    "pods without the label that policies select by": (
        lambda s: s.ray["workerGroupSpecs"][0]["template"]["metadata"]["labels"].pop(
            STACK
        ),
        "no policy selects it",
    ),
    "the node's credentials for pods": (
        lambda s: s.policy("ray")["egress"].append({"to": [EVERYBODY]}),
        "node's credentials",
    ),
    # Secrets
    "a secret of the stack in clear": (
        lambda s: s.add(f"{K8S}core/v1:Secret", stringData={"TOKEN": "x"}),
        "in clear",
    ),
    "a secret value in the environment": (
        lambda s: s.container["env"].append({"name": "TOKEN", "value": CANARY}),
        "tells a secret",
    ),
    "a secret value on a command line": (
        lambda s: s.container.update(args=[f"--token={CANARY}"]),
        "tells a secret",
    ),
    "a secret value in an annotation": (
        lambda s: _leak(s, s.annotations),
        "tells a secret",
    ),
    "a secret value in user data": (
        lambda s: s.template.update(
            userData=base64.b64encode(f"TOKEN={CANARY}".encode()).decode()
        ),
        "tells a secret",
    ),
    # AWS
    "IMDSv1": (
        lambda s: s.template["metadataOptions"].update(httpTokens="optional"),
        "IMDSv1",
    ),
    "a second hop": (
        lambda s: s.template["metadataOptions"].update(httpPutResponseHopLimit=2),
        "hop limit",
    ),
    "a volume in clear": (
        lambda s: s.template["blockDeviceMappings"][0]["ebs"].update(encrypted="false"),
        "not encrypted",
    ),
    "a volume that nobody said anything of": (
        lambda s: s.template.pop("blockDeviceMappings"),
        "not encrypted",
    ),
    "a public address for nodes": (
        lambda s: s.template.update(
            networkInterfaces=[{"associatePublicIpAddress": "true"}]
        ),
        "associatePublicIpAddress",
    ),
    "SSH to nodes": (lambda s: s.template.update(keyName="me"), "keyName"),
    "nodes in public subnets": (
        lambda s: s.one("l4", ":NodeGroup").update(subnetIds=["public-us-west-2a-id"]),
        "public subnet",
    ),
    "GPU nodes without a taint": (
        lambda s: s.one("l4", ":NodeGroup").pop("taints"),
        "not tainted",
    ),
    "an API server for everybody": (
        lambda s: s.eks["vpcConfig"].update(publicAccessCidrs=["0.0.0.0/0"]),
        "is everybody",
    ),
    "an API server for both halves of everybody": (
        lambda s: s.eks["vpcConfig"].update(
            publicAccessCidrs=["0.0.0.0/1", "128.0.0.0/1"]
        ),
        "is everybody",
    ),
    "an API server for whom EKS lets in by default": (
        lambda s: s.eks["vpcConfig"].pop("publicAccessCidrs"),
        "open to everybody",
    ),
    "access by a ConfigMap": (
        lambda s: s.eks["accessConfig"].update(authenticationMode="CONFIG_MAP"),
        "ConfigMap",
    ),
    "an administrator that nobody named": (
        lambda s: s.add(
            "aws:eks/accessEntry:AccessEntry", principalArn="arn:aws:iam::9:role/x"
        ),
        "lets arn:aws:iam::9:role/x in",
    ),
    "no audit log": (
        lambda s: s.eks.update(enabledClusterLogTypes=["api"]),
        "audit",
    ),
    "a rule for everybody": (
        lambda s: s.add(
            GROUP_RULE,
            securityGroupId="sg-1",
            ipProtocol="tcp",
            fromPort=8265,
            toPort=8265,
            cidrIpv4="0.0.0.0/0",
        ),
        "opens",
    ),
    "a rule for everybody on IPv6": (
        lambda s: s.add(
            GROUP_RULE,
            securityGroupId="sg-1",
            ipProtocol="tcp",
            fromPort=443,
            toPort=443,
            cidrIpv6="::/0",
        ),
        "::/0 is everybody",
    ),
    "the head's state for the VPC": (
        lambda s: s.one("gcs-from-nodes", "Rule").update(
            cidrIpv4="10.0.0.0/16", referencedSecurityGroupId=None
        ),
        "not to nodes alone",
    ),
    "every protocol for another group": (
        lambda s: s.one("gcs-from-nodes", "Rule").update(
            ipProtocol="-1", fromPort=None, toPort=None
        ),
        "its own members",
    ),
    "a rule of another kind": (
        lambda s: s.add("aws:ec2/securityGroupRule:SecurityGroupRule", type="ingress"),
        "nobody has looked",
    ),
    "a default group that lets something in": (
        lambda s: s.one("default-security-group", "Group").update(
            ingress=[{"protocol": "-1", "self": True}]
        ),
        "lets something in",
    ),
    "a bucket that may be made public": (
        lambda s: s.one("packages", "AccessBlock").update(blockPublicPolicy=False),
        "may be made public",
    ),
    "a bucket without a block": (
        lambda s: s.drop("packages", "BucketPublicAccessBlock"),
        "may be made public",
    ),
    "a public bucket": (
        lambda s: s.one("packages", "BucketPolicy").update(policy=PUBLIC),
        "lets everybody in",
    ),
    "a bucket with a public ACL": (
        lambda s: s.one("packages", "bucket:Bucket").update(acl="public-read"),
        "acl",
    ),
    "a bucket without encryption": (
        lambda s: s.drop("packages", "EncryptionConfiguration"),
        "is not encrypted",
    ),
    "a Redis in clear": (
        lambda s: s.one("gcs", "ReplicationGroup").update(
            transitEncryptionEnabled=False
        ),
        "transitEncryptionEnabled",
    ),
    "a Redis without a password": (
        lambda s: s.one("gcs", "ReplicationGroup").pop("authToken"),
        "no password",
    ),
    "a Redis whose password is told": (
        lambda s: s.one("gcs", "ReplicationGroup").update(authToken="x"),
        "in clear",
    ),
    "volumes of claims in clear": (
        lambda s: s.one("gp3", "StorageClass")["parameters"].update(encrypted="false"),
        "not encrypted",
    ),
    "a role for everybody": (
        lambda s: s.one("ray", "role:Role").update(
            assumeRolePolicy='{"Statement": [{"Principal": {"AWS": "*"}}]}'
        ),
        "may be taken by",
    ),
    "a role that may do everything": (
        lambda s: s.one("ray", "RolePolicy").update(
            policy='{"Statement": [{"Action": "s3:*", "Resource": "*"}]}'
        ),
        "may do ['s3:*']",
    ),
    "flow logs of any account": (
        lambda s: s.one("flow-logs", "role:Role").update(
            assumeRolePolicy='{"Statement": [{"Principal":'
            ' {"Service": "vpc-flow-logs.amazonaws.com"}}]}'
        ),
        "may be taken by",
    ),
    "a key for everybody": (
        lambda s: s.one("key", "key:Key").update(
            policy='{"Statement": [{"Principal": {"AWS": "*"}, "Action": "kms:*"}]}'
        ),
        "may be used by",
    ),
    "a key for the logs of any account": (
        lambda s: s.one("key", "key:Key").update(
            policy='{"Statement": [{"Principal": {"Service": "logs.amazonaws.com"}}]}'
        ),
        "may be used by",
    ),
    "a key for all logs": (
        lambda s: s.one("key", "key:Key").update(
            policy=s.one("key", "key:Key")["policy"].replace("/aws/vpc/aws-prod", "*")
        ),
        "may be used by",
    ),
    "a key that is never changed": (
        lambda s: s.one("key", "key:Key").pop("enableKeyRotation"),
        "no rotation",
    ),
    "logs by a key of AWS": (
        lambda s: s.one("control-plane-logs", "LogGroup").pop("kmsKeyId"),
        "not encrypted by the stack's key",
    ),
    "a Redis by a key of AWS": (
        lambda s: s.one("gcs", "ReplicationGroup").pop("kmsKeyId"),
        "not encrypted by the stack's key",
    ),
    "secrets by a key of AWS": (
        lambda s: s.eks.pop("encryptionConfig"),
        "secrets are not encrypted",
    ),
    "a name that leads elsewhere": (
        lambda s: s.add(
            "aws:route53/record:Record",
            type="CNAME",
            name="models.example.com",
            records=["elsewhere.example"],
        ),
        "leads to",
    ),
    "nodes that are administrators": (
        lambda s: s.add(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        "AdministratorAccess",
    ),
}


def test_a_stack_that_nothing_is_done_to_has_no_holes():
    stack = _Stack("aws-prod")
    assert holes(stack.things, stack.named, [CANARY]) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault):
    stack = _Stack("aws-prod")
    make, line = FAULTS[fault]
    make(stack)
    found = holes(stack.things, stack.named, [CANARY])
    assert any(line in told for told in found), found


def test_the_faults_are_many():
    assert len(FAULTS) >= 30
