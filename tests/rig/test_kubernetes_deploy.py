"""Applications on Kubernetes: KubeRay hands them to real Ray, several people deploy."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import boto3
import pytest
import yaml
from kube import kubectl, objects
from load import Load
from moto.server import ThreadedMotoServer
from project import wait_until
from serving import Endpoints, active
from stack import ROOT, project

from raylift.kubernetes import Api, access
from raylift.outputs import ClusterOutputs
from raylift.ray_service import RayService
from serve_runtime.kubernetes_cluster import KubernetesCluster

pytestmark = pytest.mark.rig

NAME, SPACE, BUCKET = "apps", "apps-ray", "code"
PODS_GATEWAY = "10.244.0.1"  # where pods of the rig reach its own network
FILE = """
config:
  raylift:target: kubernetes
  raylift:kubernetes: {namespace: SPACE}
  raylift:packages: s3://BUCKET/apps
  raylift:ray:
    env: ENVIRONMENT
    workerGroups:
      - {name: workers, numCpus: 1, memory: 2Gi, minReplicas: 1, maxReplicas: 2}
"""
APP = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.1}, graceful_shutdown_timeout_s=5)
class Word:
    def __init__(self, word):
        if word == "bad":
            raise ValueError("no weights for bad")
        self.word = word

    def __call__(self, request):
        print("asked for", self.word)
        return self.word

def build(args):
    return Word.bind(args["word"])
"""


@pytest.fixture(scope="module")
def store():
    """A bucket that the pods can read and whoever deploys can write."""
    server = ThreadedMotoServer(ip_address=PODS_GATEWAY, port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        url = f"http://{PODS_GATEWAY}:{server.get_host_and_port()[1]}"
        patch.setenv("AWS_ENDPOINT_URL_S3", url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield url, client
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def stack(rig, store, tmp_path_factory):
    """The stack, up, with a directory of code and no application."""
    with project(tmp_path_factory.mktemp("apps"), NAME, _file(store[0])) as made:
        (made.folder / "app").mkdir()
        (made.folder / "app" / "word.py").write_text(APP, encoding="utf-8")
        made.raylift("up", "--yes")
        yield made


def _file(url, **more):
    environment = {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "rig",
        "AWS_SECRET_ACCESS_KEY": "rig",
        "RAY_metrics_report_interval_ms": "1000",
        **more,
    }
    text = FILE.replace("SPACE", SPACE).replace("BUCKET", BUCKET)
    return text.replace("ENVIRONMENT", json.dumps(environment))


@dataclass(frozen=True)
class Operator:
    """KubeRay's, by its process."""

    pid: int

    @contextlib.contextmanager
    def stopped(self):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def operator(rig):
    return Operator(int((rig / "pids" / "ray-operator").read_text()))


@pytest.fixture
def service(api):
    return Endpoints(api, SPACE, f"{NAME}-serve")


def _serves(stack, file="serve.yaml", **words):
    """A Serve config of applications that each answer with a word."""
    applications = [
        {
            "name": name,
            "route_prefix": f"/{name}",
            "import_path": "word:build",
            "args": {"word": word},
            "runtime_env": {"working_dir": "app"},
        }
        for name, word in words.items()
    ]
    text = yaml.safe_dump({"applications": applications})
    (stack.folder / file).write_text(text, encoding="utf-8")
    return file


def _deploy(stack, *options, code=0, **words):
    file = _serves(stack, "-".join(words) + ".yaml", **words)
    return stack.raylift("deploy", file, *options, code=code)


def _status(stack, code=0):
    return json.loads(stack.raylift("status", "--json", code=code).stdout)


def _outcomes():
    """Of each release, the oldest first."""
    found = objects("-n", SPACE, "controllerrevisions", "-l", "raylift.io/release")
    found.sort(key=lambda each: each["revision"])
    return [each["metadata"]["annotations"]["raylift.io/outcome"] for each in found]


def _rayservice():
    (found,) = objects("-n", SPACE, "rayservice", NAME)
    return found


def test_a_directory_is_deployed_by_the_bucket_and_once(stack, store, service):
    assert "release 1: a answers at" in _deploy(stack, a="one").stdout
    assert service.get("/a") == (200, "one")
    assert "nothing to do" in _deploy(stack, a="one").stderr
    found = store[1].list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [each["Key"].rpartition("_")[0] for each in found] == ["apps/raylift"]
    status = _status(stack)
    assert status["healthy"]
    assert [each["status"] for each in status["applications"]] == ["RUNNING"]
    assert _outcomes() == ["good"]


def test_a_new_version_loses_no_request_and_leaves_others_alone(stack, service):
    _deploy(stack, b="b")
    (before,) = [
        replica["id"]
        for each in _status(stack)["applications"]
        for replica in each["deployments"][0]["replicas"]
        if each["name"] == "b"
    ]
    with Load(service, "/a") as load:
        wait_until(lambda: load.count("one"))
        _deploy(stack, a="two")
        wait_until(lambda: load.count("two"))
    assert load.lost == []
    assert load.answers == sorted(load.answers)  # one … two, and never back
    after = _status(stack)["applications"][1]["deployments"][0]["replicas"]
    assert [each["id"] for each in after] == [before]


def test_a_version_that_fails_is_taken_back(stack, service):
    failed = _deploy(stack, a="bad", code=6)
    assert "deploy failed: a: Word: ValueError: no weights for bad" in failed.stderr
    assert "the last good version of a serves again" in failed.stderr
    assert service.get("/a") == (200, "two")
    assert _outcomes()[-1] == "rolled back"
    assert "nothing to do" in _deploy(stack, a="two").stderr


def test_what_no_worker_can_hold_is_refused_before_anything_is_written(stack):
    file = _serves(stack, big="big")
    document = yaml.safe_load((stack.folder / file).read_text(encoding="utf-8"))
    needs = {"name": "Word", "ray_actor_options": {"num_cpus": 2}}
    document["applications"][0]["deployments"] = [needs]
    (stack.folder / file).write_text(yaml.safe_dump(document), encoding="utf-8")
    before = _rayservice()["spec"]
    refused = stack.raylift("deploy", file, code=3).stderr
    assert "no node can hold a replica: needs CPU 2, the largest node has 1" in refused
    assert _rayservice()["spec"] == before


def test_two_who_deploy_different_applications_both_win(stack, service):
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(_deploy, stack, **{name: "new"}) for name in ("a", "b")]
        assert all("new" in each.result().stdout for each in done)
    assert service.get("/a") == service.get("/b") == (200, "new")


def test_of_two_who_deploy_the_same_application_one_is_told_who_was_faster(stack):
    files = [_serves(stack, f"{word}.yaml", a=word) for word in ("left", "right")]
    running = [stack.start("deploy", file) for file in files]
    said = [each.communicate(timeout=90)[0] for each in running]
    assert sorted(each.returncode for each in running) == [0, 5], said
    winner, loser = sorted(said, key=lambda text: "error: " in text)
    (number,) = re.findall(r"^release (\d+): a ", winner, re.MULTILINE)
    assert re.search(rf"application 'a' (is being|was) .*release {number}\b", loser)


def test_of_many_who_write_at_once_none_is_lost(stack, operator):
    """On the real API server; what they write is never handed to Ray."""
    before = _rayservice()["spec"]["serveConfigV2"]
    first = len(_outcomes())
    with operator.stopped():
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(_write_often, f"w{i}", 4) for i in range(8)]
            assert [each.result() for each in done] == [None] * 8
        config = json.loads(_rayservice()["spec"]["serveConfigV2"])
        _patch(before)
    found = {each["name"]: each["args"].get("round") for each in config["applications"]}
    assert found == {"a": None, "b": None} | {f"w{i}": 3 for i in range(8)}
    assert _outcomes()[first:] == ["failed"] * 32


def _write_often(name, rounds):
    """One who deploys one application again and again, as `raylift deploy` does."""
    outputs = ClusterOutputs(NAME, "kubernetes", "", SPACE, "2.60.0", "", "", "")
    with Api(access(None, None)) as api:
        service = RayService(api, SPACE, NAME)
        for number in range(rounds):
            document = {"name": name, "import_path": "x:x", "args": {"round": number}}
            with KubernetesCluster(outputs, None, service) as cluster:
                base = cluster.desired()
                release = cluster.submit({name: document}, base=base, options={})
                cluster.close(release, "failed", "it is only a test")


def test_what_whoever_deploys_must_be_able_to_do_is_what_the_page_says(
    stack, service, monkeypatch, tmp_path
):
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (role,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", page, re.DOTALL)
    kubectl(
        "create",
        "-f",
        "-",
        text=role.replace("namespace: ray}", f"namespace: {SPACE}}}"),
    )
    kubectl("-n", SPACE, "create", "serviceaccount", "ci")
    bound = ("--role=raylift-deployer", f"--serviceaccount={SPACE}:ci")
    kubectl("-n", SPACE, "create", "rolebinding", "ci", *bound)
    token = kubectl("-n", SPACE, "create", "token", "ci").strip()
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    mine = tmp_path / "kubeconfig"
    mine.write_text(json.dumps(config), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(mine))
        _deploy(stack, a="by-ci")
        assert _status(stack)["healthy"]
        stack.raylift("logs", "a")
        _deploy(stack, a="bad", code=6)
        refused = stack.raylift("up", "--yes", code=None)
        assert refused.returncode in {3, 8}, refused.stderr
    assert service.get("/a") == (200, "by-ci")


def test_a_deploy_that_is_killed_is_named_and_taken_over_by_the_next(stack, service):
    running = stack.start("deploy", _serves(stack, a="killed"))
    wait_until(lambda: "open" in _outcomes(), seconds=30)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    refused = _deploy(stack, a="after", code=5).stderr
    assert "application 'a' is being deployed by" in refused
    wait_until(lambda: _status(stack, code=None)["unfinished_releases"], seconds=30)
    _deploy(stack, a="after")
    assert service.get("/a") == (200, "after")
    assert _outcomes()[-2:] == ["abandoned", "good"]


def test_a_deploy_that_is_interrupted_lets_go_at_once(stack):
    running = stack.start("deploy", _serves(stack, a="interrupted"))
    wait_until(lambda: "open" in _outcomes(), seconds=30)
    running.send_signal(signal.SIGINT)
    assert "safe to run again" in running.communicate(timeout=30)[0]
    assert running.returncode == 130
    _deploy(stack, a="after")


def test_what_kuberay_does_not_do_is_said(stack, operator):
    """Its operator stands still; nobody is told that all is well."""
    with operator.stopped():
        failed = _deploy(stack, "--timeout", "6", a="unheard", code=6).stderr
    assert "KubeRay has not handed it to Ray yet" in failed


def test_what_ray_refuses_is_told_in_its_own_words(stack):
    """Another's application makes the config one that Ray does not take."""
    before = _rayservice()["spec"]["serveConfigV2"]
    document = json.loads(before)
    document["applications"].append({"name": "other", "import_path": 3})
    _patch(json.dumps(document))
    failed = _deploy(stack, a="refused", code=None)
    _patch(before)
    assert failed.returncode in {6, 7}
    assert "Ray refused the config" in failed.stderr
    assert "import_path" in failed.stderr


def _patch(text):
    body = json.dumps({"spec": {"serveConfigV2": text}})
    kubectl("-n", SPACE, "patch", "rayservice", NAME, "--type=merge", "-p", body)


def test_logs_are_those_of_the_replicas(stack, service):
    _deploy(stack, a="logged")
    service.get("/a")
    told = stack.raylift("logs", "a").stdout
    assert "a/Word/" in told
    assert "Started initializing replica" in told


def test_a_canary_shifts_traffic_by_what_the_pods_measure(stack, service):
    file = _serves(stack, "canary.yaml", v1="old")
    document = yaml.safe_load((stack.folder / file).read_text(encoding="utf-8"))
    document["applications"].append(
        {
            "name": "front",
            "route_prefix": "/front",
            "import_path": "serve_runtime.traffic.splitter:app",
            "deployments": [
                {
                    "name": "Splitter",
                    "ray_actor_options": {"num_cpus": 0.1},
                    "user_config": {"arms": {"v1": 100}},
                }
            ],
        }
    )
    place = stack.folder / file
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    stack.raylift("deploy", file)
    document["applications"][0]["args"]["word"] = "new"
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    with Load(service, "/front") as load:
        steps = ("--canary", "50,100", "--step", "6s")
        told = stack.raylift("deploy", file, *steps).stderr
        wait_until(lambda: load.answers[-1] == "new")
    assert load.lost == []
    assert "50 %: new " in told
    assert "100 %: new " in told
    assert "v1" in stack.raylift("traffic", "front").stdout
    config = json.loads(_rayservice()["spec"]["serveConfigV2"])
    (front,) = [each for each in config["applications"] if each["name"] == "front"]
    assert front["runtime_env"]["working_dir"].startswith(f"s3://{BUCKET}/apps/")
    _deploy(stack, v1="bad", code=6)
    assert service.get("/front") == (200, "new")  # what the canary has made good


def test_a_deploy_waits_for_another_ray_cluster_to_be_the_only_one(
    stack, store, service
):
    """While there are two, requests go to both, and only the new one is changed."""
    _deploy(stack, a="before")
    old, _ = active(SPACE, NAME)
    stack.write(_file(store[0], GENERATION="2"))
    with Load(service, "/a") as load:
        stack.raylift("up", "--yes")
        told = _deploy(stack, a="behind").stderr
        wait_until(lambda: load.count("behind") > 20)
        seen = len(load.answers)
        time.sleep(3)
        assert set(load.answers[seen:]) == {"behind"}
    assert load.lost == []
    assert f"waiting for Ray cluster {old}, which still gets requests, to go" in told
    assert _status(stack)["notes"] == []


def test_an_application_is_deleted_and_the_others_stay(stack, service):
    assert "a is deleted" in stack.raylift("delete", "a").stdout
    assert "a was not there" in stack.raylift("delete", "a").stdout
    assert service.get("/b") == (200, "new")


def test_a_cluster_that_waits_for_an_application_to_take_over_is_given_one(
    stack, store, service
):
    """KubeRay lets no cluster take over that serves nothing."""
    assert stack.raylift("delete", "b", "front", "v1").stdout.count("is deleted") == 3
    stack.write(_file(store[0], GENERATION="3"))
    stack.raylift("up", "--yes")
    _deploy(stack, a="first")
    assert service.get("/a") == (200, "first")
    assert _status(stack)["healthy"]


def test_the_stack_is_drained_and_its_ledger_goes_with_it(stack):
    told = stack.raylift("delete", "--yes")
    assert "draining " in told.stderr
    assert "is gone" in told.stdout
    left = objects(
        "controllerrevisions", "--all-namespaces", "-l", f"raylift.io/stack={NAME}"
    )
    assert left == []
    refused = _deploy(stack, a="late", code=3).stderr
    assert f"stack '{NAME}' is not up" in refused
