"""A stack of target `kubernetes`: raised, changed under load, and taken away."""

from __future__ import annotations

import json
import os
import re
import signal
import zipfile

import pytest
from kube import apply, kubectl, objects
from load import Load
from project import wait_until
from serving import Endpoints, active
from stack import project

pytestmark = pytest.mark.rig

NAME, SPACE = "kube", "kube-ray"
FILE = f"""
config:
  raylift:target: kubernetes
  raylift:kubernetes: {{namespace: {SPACE}}}
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
def stack(rig, tmp_path_factory):
    """The stack, up; each test leaves it so."""
    with project(tmp_path_factory.mktemp("project"), NAME, _file(2)) as made:
        made.raylift("up", "--yes")
        yield made


def _file(number):
    """Another number, another Ray cluster."""
    return FILE.replace("NUMBER", str(number))


def _service():
    (found,) = objects("-n", SPACE, "rayservice", NAME)
    return found


def _deploy(stack, rig, **deployment):
    """By `raylift deploy`, of code in a file that every pod of the rig can read."""
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
    wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING", seconds=90)


def test_up_returns_when_the_head_answers_and_is_idle_the_second_time(stack):
    (cluster,) = objects("-n", SPACE, "rayclusters")
    ready = {c["type"]: c["status"] for c in cluster["status"]["conditions"]}
    assert ready["HeadPodReady"] == "True"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    before = _service()["metadata"]["generation"]
    assert "nothing to do" in stack.raylift("up").stderr
    assert _service()["metadata"]["generation"] == before
    assert "nothing to do" in stack.raylift("preview").stderr


def test_an_application_survives_a_change_of_the_cluster_without_a_lost_request(
    stack, api, rig
):
    _deploy(stack, rig)
    service = Endpoints(api, SPACE, f"{NAME}-serve")
    wait_until(service.addresses, seconds=60)
    assert "nothing to do" in stack.raylift("preview").stderr  # no drift by that field
    refreshed = stack.run("pulumi", "refresh", "--yes", "-s", NAME).stdout
    assert re.search(r"Resources:\s+\d+ unchanged\s", refreshed), refreshed
    config, (before, _) = _service()["spec"]["serveConfigV2"], active(SPACE, NAME)
    with Load(service, "/") as load:
        stack.write(_file(3))
        assert (
            "change kubernetes:ray.io/v1:RayService" in stack.raylift("up", "-y").stdout
        )
        wait_until(lambda: active(SPACE, NAME)[0] != before, seconds=120)
        wait_until(lambda: len(objects("-n", SPACE, "rayclusters")) == 1, seconds=120)
    assert load.lost == []
    assert _service()["spec"]["serveConfigV2"] == config
    managers = {
        entry["manager"]
        for entry in _managed()
        if "f:serveConfigV2" in json.dumps(entry["fieldsV1"])
    }
    assert managers == {"raylift"}


def test_ray_adds_workers_for_replicas_and_takes_them_back(stack, rig):
    """Its autoscaler is the one container that has a token of the API server."""
    workers = ("-n", SPACE, "pods", "-l", "ray.io/node-type=worker")
    _deploy(stack, rig, num_replicas=3, ray_actor_options={"num_cpus": 1})
    wait_until(lambda: len(objects(*workers)) == 3, seconds=90)
    wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING", seconds=90)
    _deploy(stack, rig, num_replicas=1)
    wait_until(lambda: len(objects(*workers)) == 1, seconds=120)
    _deploy(stack, rig)
    (head,) = objects("-n", SPACE, "pods", "-l", "ray.io/node-type=head")
    mounting = [
        container["name"]
        for container in head["spec"]["containers"]
        for mount in container.get("volumeMounts", [])
        if mount["mountPath"].startswith("/var/run/secrets")
    ]
    assert mounting == ["autoscaler"]


def test_the_bounds_of_workers_change_in_place(stack):
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


def test_a_head_that_is_lost_costs_no_request(stack, api, rig):
    _deploy(stack, rig)
    service = Endpoints(api, SPACE, f"{NAME}-serve")
    wait_until(service.addresses, seconds=60)
    (old,) = _heads()
    with Load(service, "/") as load:
        wait_until(lambda: load.count("hello") > 20)
        name = old["metadata"]["name"]
        kubectl("-n", SPACE, "delete", "pod", name, "--grace-period=0", "--force")
        wait_until(lambda: _has_new_head(old), seconds=90)
        wait_until(lambda: active(SPACE, NAME)[1].get("hello") == "RUNNING", seconds=60)
    assert load.lost == []


def _heads():
    """Heads that are not ending; those of an older cluster go a minute later."""
    found = objects("-n", SPACE, "pods", "-l", "ray.io/node-type=head")
    return [head for head in found if "deletionTimestamp" not in head["metadata"]]


def _has_new_head(old):
    return any(
        head["metadata"]["uid"] != old["metadata"]["uid"]
        and head["status"].get("containerStatuses", [{}])[0].get("ready")
        for head in _heads()
    )


def test_a_stack_that_somebody_holds_is_a_conflict_that_names_him(stack):
    stack.write(_file(4))
    held = stack.start("up", "--yes")
    wait_until(_is_locked, seconds=30, every=0.02)
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


def test_a_killed_up_is_finished_by_the_next_one(stack):
    stack.write(_file(5))
    killed = stack.start("up", "--yes")
    wait_until(_is_locked, seconds=30, every=0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    said = stack.raylift("up", "--yes").stderr
    assert "is freed: that process is gone" in said
    assert "nothing to do" in stack.raylift("up", "--yes").stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("  raylift:kubernetes: {context: nowhere}\n", 2, "'nowhere' is not in the"),
        ("  raylift:ray: {operator: {install: true}}\n", 3, "is there already"),
        (
            "  raylift:faultTolerance: {storageClassName: x}\n",
            2,
            "the cluster has no 'x'",
        ),
        (INGRESS, 2, "the cluster has no 'x'"),
    ],
)
def test_what_the_cluster_lacks_is_told_before_anything_is_made(
    tmp_path, text, code, said
):
    config = f"config:\n  raylift:target: kubernetes\n{text}"
    with project(tmp_path, "lacks", config) as lacking:
        refused = lacking.raylift("up", "--yes", code=code)
        assert said in refused.stderr
        assert "lacks" not in lacking.run("pulumi", "stack", "ls").stdout


def test_what_others_have_in_the_namespace_is_not_deleted_with_it(stack):
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
    """The cluster's uid is taken for another's in the state of the stack."""
    (system,) = objects("namespace", "kube-system")
    state = stack.run("pulumi", "stack", "export", "-s", NAME).stdout
    moved = state.replace(system["metadata"]["uid"], "0" * 36)
    _import(stack, moved)
    verbs = (["preview"], ["up", "--yes"], ["delete", "--yes"], ["status"], ["deploy"])
    for words in verbs:
        refused = stack.raylift(*words, code=3)
        assert "lives in another cluster than this context" in refused.stderr
    _import(stack, state)


def _import(stack, state):
    file = stack.folder / "state.json"
    file.write_text(state, encoding="utf-8")
    stack.run("pulumi", "stack", "import", "-s", NAME, "--file", str(file))


def test_an_up_after_a_killed_delete_makes_anew_what_was_being_deleted(stack):
    killed = stack.start("delete", "--yes")
    wait_until(
        lambda: "deletionTimestamp" in _service()["metadata"], seconds=60, every=0.05
    )
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    said = stack.raylift("up", "--yes").stderr
    assert "deleted kubernetes:ray.io/v1:RayService" in said
    assert "deletionTimestamp" not in _service()["metadata"]


def test_delete_leaves_nothing_and_finds_nothing_the_second_time(stack):
    assert "is gone" in stack.raylift("delete", "--yes").stdout
    kinds = "rayservices,rayclusters,pods,services,pvc,secrets,networkpolicies"
    assert SPACE not in {n["metadata"]["name"] for n in objects("namespaces")}
    left = objects(kinds, "--all-namespaces", "-l", f"raylift.io/stack={NAME}")
    assert left == []
    assert "nothing to delete" in stack.raylift("delete", "--yes").stdout
    stack.raylift("up", "--yes")


def test_a_service_that_somebody_has_deleted_is_told_and_made_again(stack):
    kubectl("-n", SPACE, "delete", "rayservice", NAME, "--timeout=60s")
    refused = stack.raylift("up", "--yes", code=3)
    assert f"Ray service '{NAME}' is gone" in refused.stderr
    stack.run("pulumi", "refresh", "--yes", "-s", NAME)
    stack.raylift("up", "--yes")
    assert _service()["metadata"]["name"] == NAME
