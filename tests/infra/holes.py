"""What would be open in a stack: every rendered object is walked, a line for each hole.

Pure. Works on anything that has `kind`, `name` and `inputs`, in which a secret of
Pulumi's reads `[secret]`: see recording.py.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json

SERVE, DASHBOARD, METRICS, GCS, CLIENT = 8000, 8265, 8080, 6379, 10001
STACK, ROLE = "raylift.io/stack", "ray.io/node-type"
SECRET = "[secret]"
METADATA = "169.254.169.254/32"
ANY_NAMESPACE = "kubernetes.io/metadata.name"
ENCRYPTION = "BucketServerSideEncryptionConfiguration"
WIDE = 8  # a network of a shorter prefix is as good as everybody

# Kinds that a rule below looks at, or that open nothing whatever they say. A new kind
# is looked at by a person first, and then stands here.
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
    "kubernetes:storage.k8s.io/v1:StorageClass",
    "pulumi:providers:aws",
    "pulumi:providers:kubernetes",
    "raylift:kubernetes:RayService",
}
# What no object of a stack says, wherever in it.
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
VOLUMES = {"emptyDir", "persistentVolumeClaim", "projected"}
HEAD_PORTS = {GCS, DASHBOARD, SERVE, METRICS}
WORKER_PORTS = {SERVE, METRICS}
SERVICES_OF_AWS = {
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
}
FLOW_LOGS = "vpc-flow-logs.amazonaws.com"  # acts for other accounts as well
BALANCER = "alb.example"


@dataclasses.dataclass(frozen=True)
class Thing:
    """An object to look at, where it is not one of a recorded program."""

    kind: str
    name: str
    inputs: dict


@dataclasses.dataclass(frozen=True)
class Named:
    """Who may connect by the stack file, on which port: namespaces and networks.

    `policies` is whether there are to be network policies, `taints` are those that the
    file gives to node groups with GPUs, by the group's name.
    """

    serve: frozenset[str] = frozenset()
    dashboard: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    policies: bool = True
    admins: frozenset[str] = frozenset()
    policy_arns: frozenset[str] = frozenset()
    taints: dict = dataclasses.field(default_factory=dict)

    def on(self, port: int) -> frozenset[str]:
        """Who may connect to a port."""
        by_port = {
            SERVE: self.serve,
            DASHBOARD: self.dashboard,
            METRICS: self.metrics,
        }
        return by_port.get(port, frozenset())


def holes(things, named: Named, canaries=()) -> list[str]:
    """Everything that is open and should not be; `canaries` are secret values."""
    things = list(things)
    found = []
    for thing in things:
        lines = [*_anywhere(thing), *_told(thing, canaries)]
        rule = _RULES.get(thing.kind.rpartition(":")[2])
        if rule is not None and not thing.kind.startswith("raylift:"):
            lines += rule(thing, named)
        found += [f"{thing.kind} {thing.name}: {line}" for line in lines]
    return [*found, *_policies(things, named), *_buckets(things)]


def is_wide(text: str) -> bool:
    """Whether a text is a network so large that it is as good as everybody."""
    try:
        return "/" in text and ipaddress.ip_network(text, strict=False).prefixlen < WIDE
    except ValueError:
        return False


def walk(value, path=()):
    """Every value below a value, with the keys that lead there."""
    yield path, value
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from walk(item, (*path, key))


def pods(service):
    """Pod templates of a RayService: the role, the group's name, the template."""
    cluster = service.inputs["spec"]["rayClusterConfig"]
    yield "head", "head", cluster["headGroupSpec"]["template"]
    for group in cluster["workerGroupSpecs"]:
        yield "worker", group["groupName"], group["template"]


def _anywhere(thing):
    if thing.kind not in KINDS:
        yield "nobody has looked at whether this kind opens something"
    for path, value in walk(thing.inputs):
        key = path[-1] if path else ""
        if key in NEVER and value not in (None, False, 0, "false", "", [], {}):
            yield f"{_at(path)} is {value}"
        if value in ("LoadBalancer", "NodePort", "ExternalName"):
            yield f"{_at(path)} is {value}"
        if isinstance(value, str) and not _is_way_out(thing, path):
            for part in value.split(","):
                if is_wide(part.strip()):
                    yield f"{_at(path)}: {part} is everybody"


def _is_way_out(thing, path) -> bool:
    """Whether a place says where a stack may connect to, and not from where."""
    kind = thing.kind.rpartition(":")[2]
    return (
        (kind == "NetworkPolicy" and path[:2] == ("spec", "egress"))
        or (kind == "Route" and path == ("destinationCidrBlock",))
        or kind == "SecurityGroupEgressRule"
    )


def _told(thing, canaries):
    for path, value in walk(thing.inputs):
        texts = [str(part) for part in path[-1:]]
        if isinstance(value, str):
            texts += [value, _decoded(value)]
        if any(canary in text for canary in canaries for text in texts):
            yield f"{_at(path)} tells a secret"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="ignore")
    except ValueError:
        return ""


def _at(path) -> str:
    return ".".join(str(key) for key in path)


# Kubernetes


def _service(thing, named):
    spec = thing.inputs["spec"]
    if spec.get("type", "ClusterIP") != "ClusterIP":
        yield f"is of type {spec['type']}"
    ports = {p for port in spec["ports"] for p in (port["port"], port["targetPort"])}
    if ports != {SERVE}:
        yield f"leads to {sorted(ports, key=str)}"
    if not {STACK, ROLE} <= spec["selector"].keys():
        yield f"selects {spec['selector']}"


def _ingress(thing, named):
    spec, stack = thing.inputs["spec"], thing.inputs["metadata"]["name"]
    backends = [
        path["backend"]
        for rule in spec.get("rules", [])
        for path in rule.get("http", {}).get("paths", [])
    ]
    backends += [spec["defaultBackend"]] if "defaultBackend" in spec else []
    wanted = {"service": {"name": f"{stack}-serve", "port": {"number": SERVE}}}
    for backend in backends:
        if backend != wanted:
            yield f"leads to {backend}"
    if spec["ingressClassName"] == "alb":
        yield from _load_balancer(thing.inputs["metadata"]["annotations"])


def _load_balancer(annotations):
    told = {
        key.removeprefix("alb.ingress.kubernetes.io/"): value
        for key, value in annotations.items()
    }
    listeners = [next(iter(one)) for one in json.loads(told.get("listen-ports", "[]"))]
    if "inbound-cidrs" not in told:
        yield "lets everybody in: no inbound-cidrs"
    if listeners == ["HTTPS"]:
        if not told.get("certificate-arn") or "TLS13" not in told.get("ssl-policy", ""):
            yield "HTTPS without a certificate or a policy of TLS"
    elif listeners != ["HTTP"]:
        yield f"listens on {listeners}"
    elif told.get("scheme") != "internal":
        yield "is in clear, and not internal"


def _ray_service(thing, named):
    spec = thing.inputs["spec"]
    cluster = spec["rayClusterConfig"]
    if cluster.get("authOptions") != {"mode": "token"}:
        yield "no token authentication"
    version = tuple(int(part) for part in cluster["rayVersion"].split("."))
    if version < (2, 52):
        yield f"Ray {cluster['rayVersion']} has no token authentication"
    if spec.get("serveService", {}).get("spec") or cluster["headGroupSpec"].get(
        "headService"
    ):
        yield "a Service of its own making"
    autoscaler = cluster.get("autoscalerOptions", {})
    yield from _container({"name": "autoscaler", **autoscaler}, set())
    for role, name, template in pods(thing):
        for line in _pod(role, template):
            yield f"pod {name}: {line}"


def _pod(role, template):
    spec, pod_labels = template["spec"], template["metadata"]["labels"]
    if STACK not in pod_labels:
        yield "no policy selects it"
    if spec.get("automountServiceAccountToken", True):
        yield "has a token of the API server"
    yield from _credentials(role, spec)
    if not spec.get("serviceAccountName"):
        yield "is the namespace's default account"
    yield from _user(spec.get("securityContext", {}))
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {sorted(kinds)}"
    open_ports = HEAD_PORTS if role == "head" else WORKER_PORTS
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key, []):
            yield from _container(container, open_ports)


def _credentials(role, spec):
    """A token is for the head's autoscaler, which is none of these containers."""
    projected = {v["name"] for v in spec.get("volumes", []) if "projected" in v}
    if projected and role != "head":
        yield "has a token of the API server to mount"
    for container in spec["containers"]:
        if projected & {mount["name"] for mount in container.get("volumeMounts", [])}:
            yield f"container {container['name']} has a token of the API server"


def _user(context):
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
        yield "may be root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"


def _container(container, open_ports):
    context, name = container.get("securityContext", {}), container["name"]
    yield from _user(context)
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may become root"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{name} has capabilities"
    limits = container.get("resources", {}).get("limits", {})
    if not {"cpu", "memory"} <= limits.keys():
        yield f"{name} has no limits"
    ports = {port["containerPort"] for port in container.get("ports", [])}
    if not ports <= open_ports:
        yield f"{name} names ports {sorted(ports - open_ports)}"
    for variable in container.get("env", []):
        if variable["name"].startswith("RAY_AUTH"):
            yield f"{name} sets {variable['name']}"


def _namespace(thing, named):
    labels = thing.inputs["metadata"]["labels"]
    guard = labels.get("pod-security.kubernetes.io/enforce")
    if thing.name == "namespace" and guard not in ("baseline", "restricted"):
        yield "nothing holds its pods to Kubernetes' baseline"


def _secret(thing, named):
    for key in ("data", "stringData"):
        values = thing.inputs.get(key, {})
        values = values.values() if isinstance(values, dict) else [values]
        if any(value != SECRET for value in values):
            yield f"{key} is in clear"


def _account(thing, named):
    if thing.inputs.get("automountServiceAccountToken") is not False:
        yield "every pod of it has a token of the API server"


def _storage_class(thing, named):
    if thing.inputs["parameters"].get("encrypted") != "true":
        yield "volumes are not encrypted"


def _policies(things, named):
    """What policies let in, for each kind of pod, and whether all are selected."""
    found = [t.inputs["spec"] for t in things if t.kind.endswith("v1:NetworkPolicy")]
    services = [t for t in things if t.kind.endswith("ray.io/v1:RayService")]
    if not named.policies:
        return
    for service in services:
        stack = service.inputs["metadata"]["name"]
        for role, name, template in pods(service):
            pod = {**template["metadata"]["labels"], ROLE: role}
            own = [
                spec
                for spec in found
                if spec["podSelector"].get("matchLabels", {}).items() <= pod.items()
            ]
            if not any("Ingress" in spec["policyTypes"] for spec in own):
                yield f"pod {name}: no policy closes it"
            if not any("Egress" in spec["policyTypes"] for spec in own):
                yield f"pod {name}: no policy keeps it from the node's credentials"
            for spec in own:
                for rule in spec.get("ingress", []):
                    for line in _let_in(rule, role, stack, named):
                        yield f"pod {name}: {line}"
                for rule in spec.get("egress", []):
                    yield from _let_out(rule, name)


def _let_in(rule, role, stack, named):
    ports = [(p.get("port"), p.get("endPort")) for p in rule.get("ports", [])]
    if not rule.get("from"):
        yield f"everybody may connect to {ports or 'all ports'}"
    for peer in rule.get("from", []):
        if peer == {"podSelector": {"matchLabels": {STACK: stack}}}:
            continue
        if not ports:
            yield f"{peer} may connect to all ports"
        for port, last in ports:
            allowed = named.on(port) if role == "head" or port != DASHBOARD else ()
            if last is not None or _peer(peer) not in allowed:
                yield f"{peer} may connect to {port}"


def _peer(peer):
    """The namespace or network that a peer is, if it is just that."""
    if set(peer) == {"ipBlock"}:
        return peer["ipBlock"]["cidr"]
    selector = peer.get("namespaceSelector", {})
    labels = selector.get("matchLabels", {})
    is_just_that = set(peer) == {"namespaceSelector"} and set(selector) == {
        "matchLabels"
    }
    return labels.get(ANY_NAMESPACE) if is_just_that and len(labels) == 1 else None


def _let_out(rule, name):
    if not rule.get("to"):
        yield f"pod {name}: may connect to the node's credentials"
    for peer in rule.get("to", []):
        block = peer.get("ipBlock")
        if block and METADATA not in block.get("except", []):
            yield f"pod {name}: may connect to the node's credentials"


# AWS


def _launch_template(thing, named):
    options = thing.inputs.get("metadataOptions", {})
    if options.get("httpTokens") != "required":
        yield "credentials without a session: IMDSv1"
    if options.get("httpPutResponseHopLimit") != 1:
        yield "pods may ask for the node's credentials: hop limit"
    disks = thing.inputs.get("blockDeviceMappings", [])
    if not disks or any(disk["ebs"].get("encrypted") != "true" for disk in disks):
        yield "a volume is not encrypted"


def _node_group(thing, named):
    told = thing.inputs
    if "launchTemplate" not in told:
        yield "no launch template"
    if any("public" in subnet for subnet in told["subnetIds"]):
        yield "nodes in a public subnet"
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
    wanted = named.taints.get(thing.name, [taint])
    if told["amiType"].endswith("NVIDIA") and told.get("taints", []) != wanted:
        yield "GPU nodes are not tainted"


def _cluster(thing, named):
    told = thing.inputs
    endpoints = told["vpcConfig"]
    if endpoints.get("endpointPublicAccess", True) and not endpoints.get(
        "publicAccessCidrs"
    ):
        yield "the API server is open to everybody"
    if told["accessConfig"].get("authenticationMode") != "API":
        yield "who may enter stands in a ConfigMap"
    if "audit" not in told.get("enabledClusterLogTypes", []):
        yield "no audit log"
    if told.get("encryptionConfig", {}).get("resources") != ["secrets"]:
        yield "secrets are not encrypted by the stack's key"


def _entry(thing, named):
    if thing.inputs["principalArn"] not in named.admins:
        yield f"lets {thing.inputs['principalArn']} in"


def _default_group(thing, named):
    if thing.inputs.get("ingress") or thing.inputs.get("egress"):
        yield "lets something in or out"


def _group(thing, named):
    if thing.inputs.get("ingress"):
        yield "rules of its own"


def _group_rule(thing, named):
    told = thing.inputs
    ports = (told.get("ipProtocol"), told.get("fromPort"), told.get("toPort"))
    other = told.get("referencedSecurityGroupId")
    if told.get("cidrIpv6") or told.get("prefixListId"):
        yield "from networks that nobody has looked at"
    if ports == ("-1", None, None):
        if other != told["securityGroupId"]:
            yield "everything, and not to its own members alone"
    elif ports == ("tcp", GCS, GCS):
        if other != "sg-eks":
            yield "the head's state, and not to nodes alone"
    elif ports == ("tcp", 443, 443):
        cidr = told.get("cidrIpv4")
        if not cidr or not ipaddress.ip_network(cidr).is_private:
            yield "AWS' endpoints, and not to the VPC alone"
    else:
        yield f"opens {ports}"


def _redis(thing, named):
    told = thing.inputs
    for key in ("atRestEncryptionEnabled", "transitEncryptionEnabled"):
        if told.get(key) is not True:
            yield f"no {key}"
    if not told.get("kmsKeyId"):
        yield "not encrypted by the stack's key"
    if told.get("authToken") != SECRET:
        yield "no password, or one in clear"
    if not told.get("securityGroupIds"):
        yield "in the default security group"


def _role(thing, named):
    for statement in json.loads(thing.inputs["assumeRolePolicy"])["Statement"]:
        principal = statement["Principal"]
        service = principal.get("Service") if set(principal) == {"Service"} else None
        of_account = statement.get("Condition", {}).get("StringEquals", {})
        if service == FLOW_LOGS and of_account.get("aws:SourceAccount"):
            continue
        if service not in SERVICES_OF_AWS:
            yield f"may be taken by {principal}"


def _key(thing, named):
    told = thing.inputs
    if told.get("enableKeyRotation") is not True:
        yield "is never changed: no rotation"
    for statement in json.loads(told["policy"])["Statement"]:
        (kind, who), *others = statement["Principal"].items()
        context = statement.get("Condition", {}).get("ArnEquals", {})
        groups = _list(context.get("kms:EncryptionContext:aws:logs:arn", []))
        is_account = kind == "AWS" and who.endswith(":root")
        is_logs = kind == "Service" and who.startswith("logs.") and groups
        if others or not (is_account or is_logs) or any("*" in arn for arn in groups):
            yield f"may be used by {statement['Principal']}"


def _log_group(thing, named):
    if not thing.inputs.get("kmsKeyId"):
        yield "not encrypted by the stack's key"


def _record(thing, named):
    """Our load balancer, or the proof for a certificate."""
    told = thing.inputs
    names = [alias["name"] for alias in told.get("aliases", [])]
    is_proof = told["type"] == "CNAME" and told["name"].startswith("_")
    if names != [BALANCER] and not (is_proof and not names):
        yield f"leads to {names or told.get('records')}"


def _role_policy(thing, named):
    for statement in json.loads(thing.inputs["policy"])["Statement"]:
        actions = _list(statement["Action"])
        changing = [a for a in actions if a.endswith("*") and "Describe" not in a]
        if changing:
            yield f"may do {changing}"


def _attachment(thing, named):
    arn = thing.inputs["policyArn"]
    is_aws_own = arn.startswith("arn:aws:iam::aws:policy/")
    service = arn.rpartition("/")[2].startswith(("AmazonEKS", "AmazonEBS", "AmazonEC2"))
    if not (is_aws_own and service) and arn not in named.policy_arns:
        yield f"may do all of {arn}"


def _bucket_policy(thing, named):
    statements = json.loads(thing.inputs["policy"])["Statement"]
    if any(s["Effect"] == "Allow" and s["Principal"] == "*" for s in statements):
        yield "lets everybody in"
    closed = {"Bool": {"aws:SecureTransport": "false"}}
    if not any(
        s["Effect"] == "Deny" and s.get("Condition") == closed for s in statements
    ):
        yield "may be read in clear: no TLS"


def _bucket(thing, named):
    if thing.inputs.get("acl", "private") != "private":
        yield f"acl {thing.inputs['acl']}"


def _buckets(things):
    """Each bucket has what closes it, and that closes all."""
    kinds = {
        "BucketPublicAccessBlock": "may be made public",
        ENCRYPTION: "is not encrypted",
        "BucketPolicy": "may be read in clear: no TLS",
    }
    for bucket in (t for t in things if t.kind.endswith("s3/bucket:Bucket")):
        for kind, line in kinds.items():
            if not any(t.kind.endswith(f":{kind}") for t in things):
                yield f"bucket {bucket.name} {line}"
    for block in (t for t in things if t.kind.endswith("BucketPublicAccessBlock")):
        closed = {k for k, v in block.inputs.items() if v is True}
        if len(closed) != 4:
            yield f"bucket {block.name} may be made public: {sorted(closed)} alone"


def _list(value):
    return value if isinstance(value, list) else [value]


_RULES = {
    "AccessEntry": _entry,
    "AccessPolicyAssociation": _entry,
    "Bucket": _bucket,
    "BucketPolicy": _bucket_policy,
    "Cluster": _cluster,
    "DefaultSecurityGroup": _default_group,
    "Ingress": _ingress,
    "Key": _key,
    "LaunchTemplate": _launch_template,
    "LogGroup": _log_group,
    "Namespace": _namespace,
    "NodeGroup": _node_group,
    "RayService": _ray_service,
    "Record": _record,
    "ReplicationGroup": _redis,
    "Role": _role,
    "RolePolicy": _role_policy,
    "RolePolicyAttachment": _attachment,
    "Secret": _secret,
    "SecurityGroup": _group,
    "SecurityGroupIngressRule": _group_rule,
    "Service": _service,
    "ServiceAccount": _account,
    "StorageClass": _storage_class,
}
