"""No combination of options opens more than the stack file allows.

`holes` checks every resource; the faults at the end prove that it finds each kind of
hole.
"""

from __future__ import annotations

import base64
import copy
import functools

import options
import pulumi
import pytest
from holes import holes
from options import ADMIN, CANARY, WEIGHTS
from recording import FACTS, run
from rendered import METRICS, SERVE, STACK, Allowed, Rendered, is_wide, pods
from shipped import SHIPPED, recorded

from raylift.infra.aws.node_shapes import workers_of as aws_workers
from raylift.infra.config.loader import findings_of
from raylift.infra.kubernetes.ingress import rules
from raylift.infra.kubernetes.manifest import ray_service
from raylift.infra.kubernetes.network_policy import Callers, network_policies
from raylift.infra.kubernetes.object_scope import ObjectScope
from raylift.infra.kubernetes.pod_template import PodSettings, Storage
from raylift.infra.kubernetes.ray_service import redis_options
from raylift.infra.kubernetes.worker_groups import workers_of as kubernetes_workers
from raylift.infra.program import build

EACH, WHOLE = 600, 20  # per target: with pure functions, and with the whole program
K8S = "kubernetes:"
POLICY = f"{K8S}networking.k8s.io/v1:NetworkPolicy"
RBAC = f"{K8S}rbac.authorization.k8s.io/v1"
SERVICE = f"{K8S}ray.io/v1:RayService"
API_SERVER, BALANCERS = "192.0.2.10/32", "10.0.192.0/21"


# Many combinations, rendered by pure functions


@pytest.mark.parametrize("target", options.TARGETS)
def test_nothing_is_open_in_any_combination_of_options(target):
    found, left = {}, options.all_pairs(target)
    choices = options.at_random(target, EACH)
    for choice in choices:
        left -= options.pairs_of(choice)
        config = options.config_of(target, choice)
        for line in holes(_objects(config), _allowed_for_objects(config), [CANARY]):
            found.setdefault(line, choice)
    assert found == {}
    assert left == set()
    assert len(choices) * len(options.TARGETS) >= 1000


def _objects(config):
    """Yield the RayService, its network policies and its Ingress, without Pulumi."""
    scope = ObjectScope("demo", config.kubernetes.namespace, dict(config.tags))
    callers = Callers(
        operator=config.ray.operator.namespace,
        api_server=config.network_policy.api_server_cidrs or [API_SERVER],
        serve=config.network_policy.serve_from,
        serve_cidrs=[BALANCERS] if config.ingress.type == "alb" else [],
        metrics=config.network_policy.metrics_from,
    )
    secret = "demo-env" if config.ray.secret_env else None
    settings = PodSettings(scope, config.ray, _storage(config), secret)
    yield Rendered(SERVICE, "ray-service", ray_service(settings, _workers(config)))
    if config.network_policy.enabled:
        for body in network_policies(scope, callers):
            yield Rendered(POLICY, body["metadata"]["name"], body)
    if config.ingress.type == "ingressClass":
        spec = {"ingressClassName": "x", "rules": rules(scope, config.ingress.host)}
        inputs = {"metadata": {"name": "demo"}, "spec": spec}
        yield Rendered(f"{K8S}networking.k8s.io/v1:Ingress", "ingress", inputs)


def _workers(config):
    of_target = aws_workers if config.target == "aws" else kubernetes_workers
    return of_target(config)


def _storage(config):
    settings = config.fault_tolerance
    if settings.gcs_storage == "elasticache":
        return Storage(redis={"redisAddress": "rediss://gcs:6379"})
    claim = "demo-gcs" if settings.gcs_storage == "rocksdb" else None
    return Storage(claim, redis_options(settings))


def _allowed_for_objects(config):
    return _allowed(
        config, {API_SERVER}, {BALANCERS} if config.ingress.type == "alb" else set()
    )


def _allowed(config, api_server, balancers):
    policy = config.network_policy
    proxies = set(policy.api_server_cidrs or api_server)
    return Allowed(
        serve=frozenset({*policy.serve_from, *balancers, *proxies}),
        dashboard=frozenset({config.ray.operator.namespace, *proxies}),
        metrics=frozenset({*policy.metrics_from, *proxies}),
        packages=frozenset(proxies),
        policies=policy.enabled,
        admins=frozenset({ADMIN}),
        policy_arns=frozenset({WEIGHTS}),
        taints={
            group.name: [{"key": "ml", "value": "", "effect": "NO_EXECUTE"}]
            for group in config.node_groups
            if getattr(group, "taints", None)
        },
    )


# Some combinations, rendered by the whole program


@pytest.mark.parametrize("target", options.TARGETS)
def test_nothing_is_open_in_the_whole_program(target):
    found = {}
    for choice in options.covering(target, WHOLE):
        config = options.config_of(target, choice)
        assert [each for each in findings_of(config) if not each.is_warning] == []
        program, outputs = _built(config)
        assert CANARY not in str(outputs)
        for line in holes(
            program.resources.values(), _allowed_in(config, program), [CANARY]
        ):
            found.setdefault(line, choice)
    assert found == {}


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_is_open_in_a_shipped_stack(name):
    assert holes(recorded(name).resources.values(), _shipped(name)) == []


def _built(config):
    """Return the program, and the outputs as they are in the stack's state."""
    stored = {}

    def program():
        outputs = build(config, "demo", FACTS)
        pulumi.Output.all(**outputs).apply(stored.update)
        return outputs

    recording = run(program)
    assert stored["stack"] == "demo"
    return recording, stored


def _allowed_in(config, program):
    """Return the allowed callers, with the networks of the program's subnets."""
    if config.target == "kubernetes":
        return _allowed(config, FACTS.api_server, set())
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
    return _allowed(config, api_server, balancers if is_alb else set())


@functools.cache
def _shipped(name):
    """Return the callers that the shipped stack files allow, written by hand."""
    if name == "kubernetes":
        proxies = frozenset(FACTS.api_server)
        return Allowed(proxies, proxies | {"kuberay-operator"}, proxies, proxies)
    proxies = frozenset(f"10.0.248.{last}/28" for last in (0, 16, 32))
    balancers = {"10.0.192.0/21", "10.0.200.0/21", "10.0.208.0/21"}
    return Allowed(
        serve=proxies | (balancers if name == "aws-prod" else set()),
        dashboard=proxies | {"kuberay-operator"},
        metrics=proxies,
        admins=frozenset({ADMIN}),
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_stack_has_the_resources_that_the_rules_check(name):
    """The rules have something to check, and do not pass on an empty program."""
    program = recorded(name)
    (service,) = program.of("ray.io/v1:RayService")
    assert [role for role, *_ in pods(service)][:2] == ["head", "worker"]
    assert len(program.of("v1:NetworkPolicy")) == (3 if name == "kubernetes" else 2)
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


# Faults: changes to a stack that open something


class _Stack:
    """The resources of a shipped stack, for a fault to change."""

    def __init__(self, name):
        self.allowed = _shipped(name)
        self.resources = [
            Rendered(r.kind, r.name, copy.deepcopy(r.inputs))
            for r in recorded(name).resources.values()
        ]

    def one(self, name, kind):
        (found,) = [
            t for t in self.resources if t.name == name and t.kind.endswith(kind)
        ]
        return found.inputs

    def drop(self, name, kind):
        gone = [t for t in self.resources if t.name == name and t.kind.endswith(kind)]
        assert gone
        self.resources = [t for t in self.resources if t not in gone]

    def add(self, kind, **inputs):
        self.resources.append(Rendered(kind, "fault", inputs))

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
    def store(self):
        return self.one("packages", ":Deployment")["spec"]["template"]["spec"]

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


def _rule(**changed):
    return {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]} | changed


# A change to aws-prod, and a part of the line that reports it.
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
        "routes to [8265]",
    ),
    "a Service with an external address": (
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
        "a customized Service",
    ),
    "a secret in a ConfigMap": (
        lambda s: s.add(f"{K8S}core/v1:ConfigMap", data={"token": "[secret]"}),
        "contains a secret",
    ),
    "a Role that allows everything": (
        lambda s: s.add(f"{RBAC}:Role", rules=[_rule(verbs=["*"])]),
        "allows everything",
    ),
    "a Role that lists secrets": (
        lambda s: s.add(f"{RBAC}:Role", rules=[_rule(resources=["secrets"])]),
        "lists or changes secrets",
    ),
    "a RoleBinding for everybody": (
        lambda s: s.add(
            f"{RBAC}:RoleBinding", subjects=[{"name": "system:authenticated"}]
        ),
        "grants access to system:authenticated",
    ),
    "an Ingress to the dashboard": (
        lambda s: s.one("ingress", ":Ingress")["spec"]["rules"][0]["http"]["paths"][0][
            "backend"
        ]["service"].update(port={"number": 8265}),
        "routes to",
    ),
    "an Ingress with a default of another Service": (
        lambda s: s.one("ingress", ":Ingress")["spec"].update(
            defaultBackend={"service": {"name": "aws-prod-head-svc"}}
        ),
        "routes to",
    ),
    "a load balancer without TLS": (
        lambda s: s.annotations.update({f"{ALB}/listen-ports": '[{"HTTP": 80}]'}),
        "is neither encrypted nor internal",
    ),
    "a load balancer without a certificate": (
        lambda s: s.annotations.pop(f"{ALB}/certificate-arn"),
        "without a certificate",
    ),
    "a load balancer that accepts old TLS": (
        lambda s: s.annotations.pop(f"{ALB}/ssl-policy"),
        "without a TLS 1.3 policy",
    ),
    "a load balancer for everybody": (
        lambda s: s.annotations.pop(f"{ALB}/inbound-cidrs"),
        "allows everybody",
    ),
    "a load balancer for everybody among others": (
        lambda s: s.annotations.update(
            {f"{ALB}/inbound-cidrs": "10.0.0.0/8,0.0.0.0/0"}
        ),
        "0.0.0.0/0 allows everybody",
    ),
    "a second listener without TLS": (
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
        "may escalate to root",
    ),
    "a container with a capability": (
        lambda s: s.container["securityContext"].update(
            capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}
        ),
        "has capabilities",
    ),
    "a container that runs as root": (
        lambda s: s.container["securityContext"].update(runAsUser=0),
        "may run as root",
    ),
    "an autoscaler without a security context": (
        lambda s: s.ray["autoscalerOptions"].pop("securityContext"),
        "may escalate to root",
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
    "a worker with an API server token": (
        lambda s: s.worker.update(automountServiceAccountToken=True),
        "mounts an API server token",
    ),
    "a head whose applications have an API server token": (
        lambda s: (
            s.head["containers"][0]
            .setdefault("volumeMounts", [])
            .append({"name": "credentials", "mountPath": "/x"})
        ),
        "container ray-head mounts an API server token",
    ),
    "a worker with a volume that has an API server token": (
        lambda s: s.worker["volumes"].append(
            {"name": "t", "projected": {"sources": [{"serviceAccountToken": {}}]}}
        ),
        "has a volume with an API server token",
    ),
    "an account whose token every pod gets": (
        lambda s: s.one("worker-account", ":ServiceAccount").update(
            automountServiceAccountToken=True
        ),
        "mounts an API server token",
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
        "does not restrict the privileges of pods",
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
        "allows everybody",
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
        "no policy restricts its ingress",
    ),
    "a policy that selects other pods": (
        lambda s: s.policy("ray").update(podSelector={"matchLabels": {"a": "b"}}),
        "no policy restricts its ingress",
    ),
    "pods without the label that policies select by": (
        lambda s: s.ray["workerGroupSpecs"][0]["template"]["metadata"]["labels"].pop(
            STACK
        ),
        "no network policy selects it",
    ),
    "the node's credentials for pods": (
        lambda s: s.policy("ray")["egress"].append({"to": [EVERYBODY]}),
        "node's credentials",
    ),
    # Secrets
    "an unencrypted secret of the stack": (
        lambda s: s.add(f"{K8S}core/v1:Secret", stringData={"TOKEN": "x"}),
        "is not encrypted",
    ),
    "a secret value in the environment": (
        lambda s: s.container["env"].append({"name": "TOKEN", "value": CANARY}),
        "contains a secret",
    ),
    "a secret value on a command line": (
        lambda s: s.container.update(args=[f"--token={CANARY}"]),
        "contains a secret",
    ),
    "a secret value in an annotation": (
        lambda s: _leak(s, s.annotations),
        "contains a secret",
    ),
    "a secret value in user data": (
        lambda s: s.template.update(
            userData=base64.b64encode(f"TOKEN={CANARY}".encode()).decode()
        ),
        "contains a secret",
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
    "an unencrypted volume": (
        lambda s: s.template["blockDeviceMappings"][0]["ebs"].update(encrypted="false"),
        "not encrypted",
    ),
    "a volume with default settings": (
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
        "allows everybody",
    ),
    "an API server for both halves of everybody": (
        lambda s: s.eks["vpcConfig"].update(
            publicAccessCidrs=["0.0.0.0/1", "128.0.0.0/1"]
        ),
        "allows everybody",
    ),
    "an API server with the default CIDRs of EKS": (
        lambda s: s.eks["vpcConfig"].pop("publicAccessCidrs"),
        "open to everybody",
    ),
    "access configured in a ConfigMap": (
        lambda s: s.eks["accessConfig"].update(authenticationMode="CONFIG_MAP"),
        "ConfigMap",
    ),
    "an administrator that the stack file does not name": (
        lambda s: s.add(
            "aws:eks/accessEntry:AccessEntry", principalArn="arn:aws:iam::9:role/x"
        ),
        "allows arn:aws:iam::9:role/x",
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
        "::/0 allows everybody",
    ),
    "the head's state for the VPC": (
        lambda s: s.one("gcs-from-nodes", "Rule").update(
            cidrIpv4="10.0.0.0/16", referencedSecurityGroupId=None
        ),
        "from outside the nodes",
    ),
    "every protocol for another group": (
        lambda s: s.one("gcs-from-nodes", "Rule").update(
            ipProtocol="-1", fromPort=None, toPort=None
        ),
        "from other groups",
    ),
    "a rule of another kind": (
        lambda s: s.add("aws:ec2/securityGroupRule:SecurityGroupRule", type="ingress"),
        "has not been reviewed",
    ),
    "a default group that lets something in": (
        lambda s: s.one("default-security-group", "Group").update(
            ingress=[{"protocol": "-1", "self": True}]
        ),
        "allows traffic",
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
        "allows everybody",
    ),
    "a bucket with a public ACL": (
        lambda s: s.one("packages", "bucket:Bucket").update(acl="public-read"),
        "acl",
    ),
    "a bucket without encryption": (
        lambda s: s.drop("packages", "EncryptionConfiguration"),
        "is not encrypted",
    ),
    "a Redis without TLS": (
        lambda s: s.one("gcs", "ReplicationGroup").update(
            transitEncryptionEnabled=False
        ),
        "transitEncryptionEnabled",
    ),
    "a Redis without a password": (
        lambda s: s.one("gcs", "ReplicationGroup").pop("authToken"),
        "no password",
    ),
    "a Redis with a readable password": (
        lambda s: s.one("gcs", "ReplicationGroup").update(authToken="x"),
        "an unencrypted one",
    ),
    "unencrypted volumes of claims": (
        lambda s: s.one("gp3", "StorageClass")["parameters"].update(encrypted="false"),
        "not encrypted",
    ),
    "a role for everybody": (
        lambda s: s.one("ray", "role:Role").update(
            assumeRolePolicy='{"Statement": [{"Principal": {"AWS": "*"}}]}'
        ),
        "may be assumed by",
    ),
    "a role that may do everything": (
        lambda s: s.one("ray", "RolePolicy").update(
            policy='{"Statement": [{"Action": "s3:*", "Resource": "*"}]}'
        ),
        "allows ['s3:*']",
    ),
    "flow logs of any account": (
        lambda s: s.one("flow-logs", "role:Role").update(
            assumeRolePolicy='{"Statement": [{"Principal":'
            ' {"Service": "vpc-flow-logs.amazonaws.com"}}]}'
        ),
        "may be assumed by",
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
    "a key without rotation": (
        lambda s: s.one("key", "key:Key").pop("enableKeyRotation"),
        "no key rotation",
    ),
    "logs encrypted with an AWS key": (
        lambda s: s.one("control-plane-logs", "LogGroup").pop("kmsKeyId"),
        "not encrypted by the stack's key",
    ),
    "a Redis encrypted with an AWS key": (
        lambda s: s.one("gcs", "ReplicationGroup").pop("kmsKeyId"),
        "not encrypted by the stack's key",
    ),
    "secrets encrypted with an AWS key": (
        lambda s: s.eks.pop("encryptionConfig"),
        "secrets are not encrypted",
    ),
    "a DNS record that points elsewhere": (
        lambda s: s.add(
            "aws:route53/record:Record",
            type="CNAME",
            name="models.example.com",
            records=["elsewhere.example"],
        ),
        "points to",
    ),
    "nodes that are administrators": (
        lambda s: s.add(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        "AdministratorAccess",
    ),
}


def test_an_unchanged_stack_has_no_holes():
    stack = _Stack("aws-prod")
    assert holes(stack.resources, stack.allowed, [CANARY]) == []


STORE_FAULTS = {
    "no policy for the package store": (
        lambda s: (
            s.drop("packages-policy", ":NetworkPolicy")
            or s.policy("ray").update(podSelector={"matchLabels": {"ray.io/x": "y"}})
        ),
        "pod packages: no policy restricts its ingress",
    ),
    "the package store for everybody": (
        lambda s: _let_in(s, "packages", [EVERYBODY], 8081),
        "may connect to 8081",
    ),
    "the dashboard's port on the package store": (
        lambda s: _let_in(s, "packages", [EVERYBODY], 8265),
        "may connect to 8265",
    ),
    "another port of the package store": (
        lambda s: s.one("packages", "v1:Service")["spec"].update(
            ports=[{"port": 8081, "targetPort": 22}]
        ),
        "routes to",
    ),
    "a package store that runs as root": (
        lambda s: s.store["securityContext"].update(runAsUser=0),
        "may run as root",
    ),
    "a token in the environment of the package store": (
        lambda s: s.store["containers"][0]["env"].append(
            {"name": "TOKEN", "value": CANARY}
        ),
        "contains a secret",
    ),
    "a package store in clear text": (
        lambda s: s.one("packages-token", "v1:Secret").update(stringData={"a": "b"}),
        "is not encrypted",
    ),
    "another Deployment": (
        lambda s: s.one("packages", ":Deployment")["spec"]["template"]["metadata"][
            "labels"
        ].pop("raylift.io/component"),
        "is not the package store",
    ),
}


@pytest.mark.parametrize("fault", [*FAULTS, *STORE_FAULTS])
def test_a_fault_is_reported(fault):
    stack = _Stack("aws-prod" if fault in FAULTS else "kubernetes")
    change, line = (FAULTS | STORE_FAULTS)[fault]
    change(stack)
    found = holes(stack.resources, stack.allowed, [CANARY])
    assert any(line in text for text in found), found


def test_the_faults_are_many():
    assert len(FAULTS) >= 30
