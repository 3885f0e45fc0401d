"""Rules for Kubernetes objects: pods, Services, Ingresses and network policies."""

from __future__ import annotations

import json

from rendered import (
    ANY_NAMESPACE,
    COMPONENT,
    DASHBOARD,
    GCS,
    METADATA,
    METRICS,
    PACKAGES,
    ROLE,
    SECRET,
    SERVE,
    STACK,
    STORE,
    all_pods,
    pods,
)

VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
PORTS = {
    "head": {GCS, DASHBOARD, SERVE, METRICS},
    "worker": {SERVE, METRICS},
    PACKAGES: {STORE},
}
ONLY = {DASHBOARD: "head", STORE: PACKAGES}  # the role that may open a port


def _service(resource, allowed):
    spec = resource.inputs["spec"]
    if spec.get("type", "ClusterIP") != "ClusterIP":
        yield f"is of type {spec['type']}"
    ports = {p for port in spec["ports"] for p in (port["port"], port["targetPort"])}
    is_store = spec["selector"].get(COMPONENT) == PACKAGES
    if ports != ({STORE} if is_store else {SERVE}):
        yield f"routes to {sorted(ports, key=str)}"
    if not {STACK, COMPONENT if is_store else ROLE} <= spec["selector"].keys():
        yield f"selects {spec['selector']}"


def _config_map(resource, allowed):
    if "[secret]" in json.dumps(resource.inputs["data"]):
        yield "contains a secret"


def _role(resource, allowed):
    for rule in resource.inputs["rules"]:
        if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]):
            yield "allows everything"
        if "secrets" in rule["resources"] and rule["verbs"] != ["get"]:
            yield "lists or changes secrets"


def _role_binding(resource, allowed):
    for subject in resource.inputs["subjects"]:
        if subject["name"].startswith("system:"):
            yield f"grants access to {subject['name']}"


def _ingress(resource, allowed):
    spec, stack = resource.inputs["spec"], resource.inputs["metadata"]["name"]
    backends = [
        path["backend"]
        for rule in spec.get("rules", [])
        for path in rule.get("http", {}).get("paths", [])
    ]
    backends += [spec["defaultBackend"]] if "defaultBackend" in spec else []
    expected = {"service": {"name": f"{stack}-serve", "port": {"number": SERVE}}}
    for backend in backends:
        if backend != expected:
            yield f"routes to {backend}"
    if spec["ingressClassName"] == "alb":
        yield from _load_balancer(resource.inputs["metadata"]["annotations"])


def _load_balancer(annotations):
    options = {
        key.removeprefix("alb.ingress.kubernetes.io/"): value
        for key, value in annotations.items()
    }
    listeners = [
        next(iter(one)) for one in json.loads(options.get("listen-ports", "[]"))
    ]
    if "inbound-cidrs" not in options:
        yield "allows everybody: no inbound-cidrs"
    if listeners == ["HTTPS"]:
        if not options.get("certificate-arn") or "TLS13" not in options.get(
            "ssl-policy", ""
        ):
            yield "HTTPS without a certificate or without a TLS 1.3 policy"
    elif listeners != ["HTTP"]:
        yield f"listens on {listeners}"
    elif options.get("scheme") != "internal":
        yield "is neither encrypted nor internal"


def _ray_service(resource, allowed):
    spec = resource.inputs["spec"]
    cluster = spec["rayClusterConfig"]
    if cluster.get("authOptions") != {"mode": "token"}:
        yield "no token authentication"
    version = tuple(int(part) for part in cluster["rayVersion"].split("."))
    if version < (2, 52):
        yield f"Ray {cluster['rayVersion']} has no token authentication"
    if spec.get("serveService", {}).get("spec") or cluster["headGroupSpec"].get(
        "headService"
    ):
        yield "a customized Service"
    autoscaler = cluster.get("autoscalerOptions", {})
    yield from _container({"name": "autoscaler", **autoscaler}, set())
    for role, name, template in pods(resource):
        for line in _pod(role, template):
            yield f"pod {name}: {line}"


def _deployment(resource, allowed):
    template = resource.inputs["spec"]["template"]
    if template["metadata"]["labels"].get(COMPONENT) != PACKAGES:
        yield "is not the package store"
    yield from _pod(PACKAGES, template)


def _pod(role, template):
    spec, pod_labels = template["spec"], template["metadata"]["labels"]
    if STACK not in pod_labels:
        yield "no network policy selects it"
    if spec.get("automountServiceAccountToken", True):
        yield "mounts an API server token"
    yield from _credentials(role, spec)
    if not spec.get("serviceAccountName"):
        yield "uses the namespace's default service account"
    yield from _user(spec.get("securityContext", {}))
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {sorted(kinds)}"
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key, []):
            yield from _container(container, PORTS[role])


def _credentials(role, spec):
    """Check that no container has a token; only the autoscaler sidecar needs one."""
    projected = {v["name"] for v in spec.get("volumes", []) if "projected" in v}
    if projected and role != "head":
        yield "has a volume with an API server token"
    for container in spec["containers"]:
        if projected & {mount["name"] for mount in container.get("volumeMounts", [])}:
            yield f"container {container['name']} mounts an API server token"


def _user(context):
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
        yield "may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"


def _container(container, open_ports):
    context, name = container.get("securityContext", {}), container["name"]
    yield from _user(context)
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may escalate to root"
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


def _namespace(resource, allowed):
    labels = resource.inputs["metadata"]["labels"]
    guard = labels.get("pod-security.kubernetes.io/enforce")
    if resource.name == "namespace" and guard != "restricted":
        yield "does not restrict the privileges of pods"


def _secret(resource, allowed):
    for key in ("data", "stringData"):
        values = resource.inputs.get(key, {})
        values = values.values() if isinstance(values, dict) else [values]
        if any(value != SECRET for value in values):
            yield f"{key} is not encrypted"


def _account(resource, allowed):
    if resource.inputs.get("automountServiceAccountToken") is not False:
        yield "every pod that uses it mounts an API server token"


def _storage_class(resource, allowed):
    if resource.inputs["parameters"].get("encrypted") != "true":
        yield "volumes are not encrypted"


def policies(resources, allowed):
    """Check what the policies allow for each pod, and that they select every pod."""
    found = [t.inputs["spec"] for t in resources if t.kind.endswith("v1:NetworkPolicy")]
    if not allowed.policies:
        return
    for stack, role, name, labels in all_pods(resources):
        own = [
            spec
            for spec in found
            if spec["podSelector"].get("matchLabels", {}).items() <= labels.items()
        ]
        if not any("Ingress" in spec["policyTypes"] for spec in own):
            yield f"pod {name}: no policy restricts its ingress"
        if not any("Egress" in spec["policyTypes"] for spec in own):
            yield f"pod {name}: no policy blocks the node's credentials"
        for spec in own:
            for rule in spec.get("ingress", []):
                for line in _let_in(rule, role, stack, allowed):
                    yield f"pod {name}: {line}"
            for rule in spec.get("egress", []):
                yield from _let_out(rule, name)


def _let_in(rule, role, stack, allowed):
    ports = [(p.get("port"), p.get("endPort")) for p in rule.get("ports", [])]
    if not rule.get("from"):
        yield f"everybody may connect to {ports or 'all ports'}"
    for peer in rule.get("from", []):
        if peer == {"podSelector": {"matchLabels": {STACK: stack}}}:
            continue
        if not ports:
            yield f"{peer} may connect to all ports"
        for port, last in ports:
            callers = allowed.on(port) if ONLY.get(port, role) == role else ()
            if last is not None or _peer(peer) not in callers:
                yield f"{peer} may connect to {port}"


def _peer(peer):
    """Return the namespace or network that a peer consists of, or None."""
    if set(peer) == {"ipBlock"}:
        return peer["ipBlock"]["cidr"]
    selector = peer.get("namespaceSelector", {})
    labels = selector.get("matchLabels", {})
    is_single = set(peer) == {"namespaceSelector"} and set(selector) == {"matchLabels"}
    return labels.get(ANY_NAMESPACE) if is_single and len(labels) == 1 else None


def _let_out(rule, name):
    if not rule.get("to"):
        yield f"pod {name}: may connect to the node's credentials"
    for peer in rule.get("to", []):
        block = peer.get("ipBlock")
        if block and METADATA not in block.get("except", []):
            yield f"pod {name}: may connect to the node's credentials"


RULES = {
    "ConfigMap": _config_map,
    "Deployment": _deployment,
    "Ingress": _ingress,
    "Namespace": _namespace,
    "RayService": _ray_service,
    "RoleBinding": _role_binding,
    "Secret": _secret,
    "Service": _service,
    "ServiceAccount": _account,
    "StorageClass": _storage_class,
    "rbac.authorization.k8s.io/v1:Role": _role,
}
