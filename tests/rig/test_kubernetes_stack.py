"""Tests of a stack of target `kubernetes`: creation, updates under load, deletion."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
import zipfile

import pytest
from kube import apply, kubectl, objects
from load import Load
from policies import POLICIES, SELECTED, good_objects
from project import wait_until
from serving import Endpoints, active
from stack import Stack, project

pytestmark = pytest.mark.rig

NAME, SPACE = "kube", "kube-ray"
FILE = f"""
config:
  raylift:target: kubernetes
  raylift:kubernetes: {{namespace: {SPACE}}}
  raylift:tags: {{team: search}}
  raylift:ray:
    env: {{GENERATION: "NUMBER"}}
    autoscaling: {{idleTimeout: 10s}}
    workerGroups:
      - {{name: workers, numCpus: 1, memory: 2Gi, minReplicas: 1, maxReplicas: 4}}
"""
INGRESS = """\
  raylift:ingress: {type: ingressClass, ingressClassName: x}
  raylift:networkPolicy: {serveFrom: [x]}
"""
HELLO = """
from ray import serve

@serve.deployment(
    num_replicas=2,
    ray_actor_options={"num_cpus": 0.2},
    graceful_shutdown_timeout_s=5,
)
class Hello:
    def __call__(self, request):
        return "hello"

app = Hello.bind()
"""


@pytest.fixture(scope="module")
def policies(api):
    """Apply admission policies to every namespace with the label of the stack."""
    path = "/apis/admissionregistration.k8s.io/v1"
    created = [each for policy in POLICIES for each in policy.objects()]
    for each in created:
        api.call("POST", f"{path}/{_plural(each)}", each)
    yield
    for each in created:
        name = each["metadata"]["name"]
        api.call("DELETE", f"{path}/{_plural(each)}/{name}")


def _plural(policy):
    kind = policy["kind"].lower()
    return "validatingadmissionpolicies" if kind.endswith("y") else f"{kind}s"


@pytest.fixture(scope="module")
def stack(rig, policies, tmp_path_factory):
    """Create the stack; each test leaves it up."""
    with project(tmp_path_factory.mktemp("project"), NAME, _file(2)) as created:
        created.raylift("up", "--yes")
        yield created


def _file(number):
    """Return a stack file; with another number, `up` replaces the Ray cluster."""
    return FILE.replace("NUMBER", str(number))


def _service():
    (found,) = objects("-n", SPACE, "rayservice", NAME)
    return found


def _deploy(stack, rig, **deployment):
    """Run `raylift deploy` with code in a file that every pod of the rig can read."""
    with zipfile.ZipFile(rig / "kube.zip", "w") as file:
        file.writestr("hello.py", HELLO)
    application = {
        "name": "hello",
        "route_prefix": "/",
        "import_path": "hello:app",
        "runtime_env": {"working_dir": f"file://{rig}/kube.zip"},
        "deployments": [{"name": "Hello", **deployment}],
    }
    config = json.dumps({"applications": [application]})
    (stack.folder / "serve.yaml").write_text(config, encoding="utf-8")
    stack.raylift("deploy")
    wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING")


def test_every_policy_refuses_a_violation(policies, namespace):
    """All other tests of this module run with these policies."""
    labels = [f"{name}={value}" for name, value in SELECTED.items()]
    kubectl("label", "namespace", namespace, *labels)
    kubectl("-n", namespace, "create", "serviceaccount", "ray")
    for policy in POLICIES:
        violation = policy.violation()
        wait_until(lambda: policy.name in _refusal(namespace, violation))  # noqa: B023
    assert [_refusal(namespace, each) for each in good_objects()] == [""] * 5


def test_the_policies_apply_to_the_stack(stack):
    policy = next(p for p in POLICIES if p.name == "no-open-services")
    assert policy.name in _refusal(SPACE, policy.violation())


def _refusal(namespace, manifest):
    """Return the error of a dry run that creates an object, or ""."""
    words = ("create", "--dry-run=server", "-n", namespace, "-f", "-")
    done = subprocess.run(
        ["kubectl", *words],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(manifest),
    )
    return done.stderr


def test_up_returns_when_the_head_is_ready_and_a_second_up_is_a_no_op(stack):
    (cluster,) = objects("-n", SPACE, "rayclusters")
    ready = {c["type"]: c["status"] for c in cluster["status"]["conditions"]}
    assert ready["HeadPodReady"] == "True"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    before = _service()["metadata"]["generation"]
    assert "nothing to do" in stack.raylift("up").stderr
    assert _service()["metadata"]["generation"] == before
    assert "nothing to do" in stack.raylift("preview").stderr


def test_a_node_drain_may_evict_every_pod(stack):
    """The head stores its state on a volume, and the stack requires one worker."""
    pods = objects("-n", SPACE, "pods", "-l", "ray.io/node-type")
    assert {pod["metadata"]["labels"]["ray.io/node-type"] for pod in pods} >= {"head"}
    for pod in pods:
        name = pod["metadata"]["name"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": SPACE},
            "deleteOptions": {"dryRun": ["All"]},
        }
        path = f"/api/v1/namespaces/{SPACE}/pods/{name}/eviction"
        kubectl("create", "--raw", path, "-f", "-", text=json.dumps(eviction))


def test_the_stacks_of_a_cluster_are_listed_without_a_project(stack, rig, tmp_path):
    _deploy(stack, rig)
    (tmp_path / "empty").mkdir()
    elsewhere = Stack(tmp_path / "empty", NAME)
    listed = elsewhere.run("raylift", "status", "--all", "--json").stdout
    (mine,) = (s for s in json.loads(listed)["stacks"] if s["name"] == NAME)
    assert mine == {
        "name": NAME,
        "namespace": SPACE,
        "project": "raylift",
        "ray_version": "2.60.0",
        "applications": {"RUNNING": 1},
        "problem": "",
    }


def test_pods_accept_large_headers_and_close_the_other_ports_of_haproxy(
    stack, api, rig
):
    _deploy(stack, rig)
    service = Endpoints(api, SPACE, f"{NAME}-serve")
    wait_until(service.addresses)
    (worker, *_) = service.addresses()
    (head,) = (pod["status"]["podIP"] for pod in _heads())
    headers = {f"x-{number}": "a" * 100 for number in range(300)}
    for address in (worker, head):
        request = urllib.request.Request(f"http://{address}:8000/", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b"hello"
        for port in (9101, 8404):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=30)


def test_an_application_loses_no_request_when_the_cluster_is_replaced(stack, api, rig):
    _deploy(stack, rig)
    service = Endpoints(api, SPACE, f"{NAME}-serve")
    wait_until(service.addresses)
    # `deploy` changes serveConfigV2, which must not appear as drift.
    assert "nothing to do" in stack.raylift("preview").stderr
    refreshed = stack.run("pulumi", "refresh", "--yes", "-s", NAME).stdout
    assert re.search(r"Resources:\s+\d+ unchanged\s", refreshed), refreshed
    config, (before, _) = _service()["spec"]["serveConfigV2"], active(SPACE, NAME)
    with Load(service, "/") as load:
        stack.write(_file(3))
        assert (
            "change kubernetes:ray.io/v1:RayService" in stack.raylift("up", "-y").stdout
        )
        wait_until(lambda: active(SPACE, NAME)[0] != before)
        wait_until(lambda: len(objects("-n", SPACE, "rayclusters")) == 1)
    assert load.lost == []
    assert _service()["spec"]["serveConfigV2"] == config
    managers = {
        entry["manager"]
        for entry in _managed()
        if "f:serveConfigV2" in json.dumps(entry["fieldsV1"])
    }
    assert managers == {"raylift"}


@pytest.mark.long
def test_ray_adds_workers_for_replicas_and_removes_them(stack, rig):
    """Only the container of the autoscaler has a token for the API server."""
    workers = ("-n", SPACE, "pods", "-l", "ray.io/node-type=worker")
    _deploy(stack, rig, num_replicas=3, ray_actor_options={"num_cpus": 1})
    wait_until(lambda: len(objects(*workers)) == 3)
    wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING")
    _deploy(stack, rig, num_replicas=1)
    wait_until(lambda: len(objects(*workers)) == 1)
    _deploy(stack, rig)
    (head,) = objects("-n", SPACE, "pods", "-l", "ray.io/node-type=head")
    mounting = [
        container["name"]
        for container in head["spec"]["containers"]
        for mount in container.get("volumeMounts", [])
        if mount["mountPath"].startswith("/var/run/secrets")
    ]
    assert mounting == ["autoscaler"]


def _update_like_kuberay_1_7():
    """Update the RayService as a whole, as KubeRay 1.7 does to add its finalizer.

    The operator then owns the atomic list of worker groups. It also spells quantities
    differently, which creates no other cluster.
    """
    service = _service()
    for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        group["replicas"] = 1
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["memory"] == "2Gi"
        container["resources"]["limits"]["memory"] = "2048Mi"
    manager = "--field-manager=kuberay-operator"
    kubectl("replace", manager, "-f", "-", text=json.dumps(service))
    owned = [e["manager"] for e in _managed() if "workerGroupSpecs" in str(e)]
    assert "kuberay-operator" in owned


def test_the_limits_of_worker_replicas_are_changed_in_place(stack):
    """This also holds if KubeRay has taken over the fields of the RayService."""
    _update_like_kuberay_1_7()
    name, _ = active(SPACE, NAME)
    text = stack.file.read_text(encoding="utf-8")
    stack.write(text.replace("maxReplicas: 4", "maxReplicas: 3"))
    stack.raylift("up", "--yes")
    (cluster,) = objects("-n", SPACE, "rayclusters")
    assert cluster["metadata"]["name"] == name
    assert [g["maxReplicas"] for g in cluster["spec"]["workerGroupSpecs"]] == [3]


def _managed():
    text = kubectl(
        "-n", SPACE, "get", "rayservice", NAME, "-o", "json", "--show-managed-fields"
    )
    return json.loads(text)["metadata"]["managedFields"]


def test_no_request_is_lost_when_the_head_is_lost(stack, api, rig):
    _deploy(stack, rig)
    # The proxy of the new head calls the replicas, which cannot respond before they
    # have found the new GCS. Requests wait for that, for 10 s at most in ten trials.
    service = Endpoints(api, SPACE, f"{NAME}-serve", patience=60)
    wait_until(service.addresses)
    (old,) = _heads()
    with Load(service, "/") as load:
        wait_until(lambda: load.count("hello") > 20)
        name = old["metadata"]["name"]
        kubectl("-n", SPACE, "delete", "pod", name, "--grace-period=0", "--force")
        wait_until(lambda: _has_new_head(old))
        wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING")
    assert load.lost == []


def _heads():
    """Return the heads that are not terminating.

    KubeRay deletes the head of an older cluster a minute later.
    """
    found = objects("-n", SPACE, "pods", "-l", "ray.io/node-type=head")
    return [head for head in found if "deletionTimestamp" not in head["metadata"]]


def _has_new_head(old):
    return any(
        head["metadata"]["uid"] != old["metadata"]["uid"]
        and head["status"].get("containerStatuses", [{}])[0].get("ready")
        for head in _heads()
    )


@pytest.mark.long
def test_up_reports_why_the_api_server_rejects_a_pod(stack):
    text = stack.file.read_text(encoding="utf-8")
    changed = "  raylift:ray:\n    priorityClassName: missing\n"
    stack.write(text.replace("  raylift:ray:\n", changed))
    running = stack.start("up", "--yes")
    said = ""
    while "not created: no PriorityClass with name missing" not in said:
        line = running.stdout.readline()
        assert line, said
        said += line
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    noted = json.loads(stack.raylift("status", "--json", code=None).stdout)["notes"]
    assert any("no PriorityClass with name missing" in each for each in noted)
    stack.write(text)
    stack.raylift("up", "--yes")


def test_a_locked_stack_is_a_conflict_that_names_the_holder(stack):
    stack.write(_file(4))
    held = stack.start("up", "--yes")
    wait_until(_is_locked, every=0.02)
    os.killpg(held.pid, signal.SIGSTOP)
    refused = stack.raylift("up", "--yes", code=None)
    os.killpg(held.pid, signal.SIGCONT)
    said, _ = held.communicate(timeout=120)
    assert held.returncode == 0, said
    assert refused.returncode == 5, refused.stderr
    assert re.search(r"is locked by \S+@\S+ \(pid \d+\) since", refused.stderr)


def _is_locked():
    state = os.environ["PULUMI_BACKEND_URL"].removeprefix("file://")
    return any(
        name.endswith(".json")
        for folder, _, names in os.walk(f"{state}/.pulumi/locks")
        for name in names
    )


@pytest.mark.long
def test_up_recovers_from_a_killed_up(stack):
    stack.write(_file(5))
    killed = stack.start("up", "--yes")
    wait_until(_is_locked, every=0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    said = stack.raylift("up", "--yes").stderr
    assert "releasing the lock held by" in said
    assert "nothing to do" in stack.raylift("up", "--yes").stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("  raylift:kubernetes: {context: nowhere}\n", 2, "'nowhere' is not in the"),
        ("  raylift:ray: {operator: {install: true}}\n", 3, "is already installed"),
        (
            "  raylift:faultTolerance: {storageClassName: x}\n",
            2,
            "the cluster has no StorageClass 'x'",
        ),
        (INGRESS, 2, "the cluster has no IngressClass 'x'"),
    ],
)
def test_an_unsuitable_cluster_is_reported_before_anything_is_created(
    tmp_path, text, code, said
):
    config = f"config:\n  raylift:target: kubernetes\n{text}"
    with project(tmp_path, "lacks", config) as lacking:
        refused = lacking.raylift("up", "--yes", code=code)
        assert said in refused.stderr
        assert "lacks" not in lacking.run("pulumi", "stack", "ls").stdout


def test_objects_of_others_in_the_namespace_are_not_deleted(stack):
    apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "weights", "namespace": SPACE},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )
    refused = stack.raylift("delete", "--yes", code=3)
    assert "PersistentVolumeClaim weights" in refused.stderr
    assert objects("-n", SPACE, "rayservices")
    kubectl("-n", SPACE, "delete", "pvc", "weights")


def test_a_stack_does_not_follow_the_context_to_another_cluster(stack, api):
    """This replaces the cluster's UID in the stack's state with another one."""
    (system,) = objects("namespace", "kube-system")
    state = stack.run("pulumi", "stack", "export", "-s", NAME).stdout
    moved = state.replace(system["metadata"]["uid"], "0" * 36)
    _import(stack, moved)
    for words in (["preview"], ["up", "--yes"], ["delete", "--yes"]):
        refused = stack.raylift(*words, code=3)
        assert "belongs to a different cluster" in refused.stderr
    _import(stack, state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"project": "shop"}, "belongs to project 'shop', not 'raylift'"),
        ({"packages": "s3://other"}, "packageVolume has changed since"),
        ({"rayVersion": None}, "no output 'rayVersion'"),
        ({"rayVersion": 2}, f"ConfigMap '{NAME}-raylift' does not describe a stack"),
    ],
)
def test_a_description_that_does_not_fit_the_stack_is_refused(stack, change, said):
    before = _outputs()
    edited = json.loads(before) | change
    kept = {key: value for key, value in edited.items() if value is not None}
    _edit(json.dumps(kept))
    for words in (["status"], ["deploy"]):
        assert said in stack.raylift(*words, code=3).stderr
    _edit(before)


@pytest.mark.long
def test_up_reports_a_deleted_or_edited_description_until_a_refresh(stack):
    before = _outputs()
    kubectl("-n", SPACE, "delete", "configmap", f"{NAME}-raylift")
    assert "is not up in namespace" in stack.raylift("status", code=3).stderr
    _restore(stack)
    assert _outputs() == before
    _edit(before.replace("2.60", "2.6"))
    _restore(stack)
    assert _outputs() == before


def _restore(stack):
    """Follow the hint of `up`."""
    refused = stack.raylift("up", "--yes", code=3).stderr
    assert f"ConfigMap '{NAME}-raylift' was deleted or edited by hand" in refused
    assert f"run `pulumi refresh -s {NAME}`" in refused
    stack.run("pulumi", "refresh", "--yes", "-s", NAME)
    stack.raylift("up", "--yes")


def _outputs():
    (found,) = objects("-n", SPACE, "configmap", f"{NAME}-raylift")
    return found["data"]["outputs.json"]


def _edit(text):
    change = json.dumps({"data": {"outputs.json": text}})
    name = f"{NAME}-raylift"
    kubectl("-n", SPACE, "patch", "configmap", name, "--type=merge", "-p", change)


def _import(stack, state):
    file = stack.folder / "state.json"
    file.write_text(state, encoding="utf-8")
    stack.run("pulumi", "stack", "import", "-s", NAME, "--file", str(file))


@pytest.mark.long
def test_up_after_a_killed_delete_recreates_the_resources_being_deleted(stack):
    killed = stack.start("delete", "--yes")
    wait_until(lambda: "deletionTimestamp" in _service()["metadata"], every=0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    said = stack.raylift("up", "--yes").stderr
    assert "deleted kubernetes:ray.io/v1:RayService" in said
    assert "deletionTimestamp" not in _service()["metadata"]


def test_delete_leaves_no_object_and_a_second_delete_is_a_no_op(stack):
    assert "deleted stack" in stack.raylift("delete", "--yes").stdout
    kinds = "rayservices,rayclusters,pods,services,pvc,secrets,networkpolicies"
    assert SPACE not in {n["metadata"]["name"] for n in objects("namespaces")}
    left = objects(kinds, "--all-namespaces", "-l", f"raylift.io/stack={NAME}")
    assert left == []
    assert "nothing to delete" in stack.raylift("delete", "--yes").stdout
    stack.raylift("up", "--yes")


@pytest.mark.long
def test_a_deleted_ray_service_is_reported_and_recreated_after_a_refresh(stack):
    kubectl("-n", SPACE, "delete", "rayservice", NAME, "--timeout=60s")
    refused = stack.raylift("up", "--yes", code=3)
    assert f"RayService '{NAME}' was deleted" in refused.stderr
    stack.run("pulumi", "refresh", "--yes", "-s", NAME)
    stack.raylift("up", "--yes")
    assert _service()["metadata"]["name"] == NAME
