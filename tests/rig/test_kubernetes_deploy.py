"""Tests of applications on Kubernetes.

KubeRay passes them to real Ray, and several users deploy concurrently.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import boto3
import pytest
import yaml
from kube import condition, kubectl, objects
from load import Load
from moto.server import ThreadedMotoServer
from project import wait_until
from serving import Endpoints, active
from stack import project

from raylift.kube_api import Api
from raylift.kubeconfig import access
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import RayServiceClient
from raylift.serve_runtime.cluster.kubernetes import KubernetesCluster
from raylift.serve_runtime.release import Submission

pytestmark = pytest.mark.rig

NAME, SPACE, BUCKET = "apps", "apps-ray", "code"
PODS_GATEWAY = "10.244.0.1"  # the rig's address in the network of its pods
IN_BUCKET = f"raylift:packages: s3://{BUCKET}/apps"
ON_VOLUME = "raylift:packageVolume: {size: 1Gi}"
FILE = """
config:
  raylift:target: kubernetes
  raylift:kubernetes: {namespace: SPACE}
  CODE
  raylift:access:
    deployers: [{kind: ServiceAccount, name: ci, namespace: SPACE}]
    viewers: [{kind: ServiceAccount, name: reader, namespace: SPACE}]
  raylift:ray:
    PODS
    env: ENVIRONMENT
    workerGroups:
      - {name: workers, numCpus: 1, memory: 2Gi, minReplicas: 1, maxReplicas: 2}
"""
PODS = """\
envFrom: [{configMap: settings}]
    volumes: [{name: etc, mountPath: /mnt/etc, readOnly: true, configMap: settings}]\
"""
APP = """
import os
import pathlib

from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.1}, graceful_shutdown_timeout_s=5)
class Word:
    def __init__(self, word):
        if word == "bad":
            raise ValueError("no weights for bad")
        if word.startswith("$"):
            word = os.environ[word[1:]]
        if word.startswith("/"):
            word = pathlib.Path(word).read_text()
        self.word = word

    def __call__(self, request):
        print("asked for", self.word)
        return self.word

def build(args):
    return Word.bind(args["word"])
"""


@pytest.fixture(scope="module")
def store():
    """Create a bucket that pods can read and that `deploy` can write."""
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
    """Create the stack, with a directory of code and no application."""
    text = _file(store[0], code=IN_BUCKET)
    with project(tmp_path_factory.mktemp("apps"), NAME, text) as created:
        (created.folder / "app").mkdir()
        (created.folder / "app" / "word.py").write_text(APP, encoding="utf-8")
        created.raylift("up", "--yes")
        yield created


def _file(url, *, code=ON_VOLUME, pods="", **more):
    environment = {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "rig",
        "AWS_SECRET_ACCESS_KEY": "rig",
        "RAY_metrics_report_interval_ms": "1000",
        **more,
    }
    text = FILE.replace("SPACE", SPACE).replace("CODE", code).replace("PODS", pods)
    return text.replace("ENVIRONMENT", json.dumps(environment))


@dataclass(frozen=True)
class Operator:
    """The process of the KubeRay operator."""

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
    """Write a Serve config of applications that each respond with a word."""
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
    """Return the outcome of each release, oldest first."""
    found = objects("-n", SPACE, "controllerrevisions", "-l", "raylift.io/release")
    found.sort(key=lambda each: each["revision"])
    return [each["metadata"]["annotations"]["raylift.io/outcome"] for each in found]


def _rayservice():
    (found,) = objects("-n", SPACE, "rayservice", NAME)
    return found


def test_a_directory_is_uploaded_to_the_bucket_once(stack, store, service):
    assert "release 1: a is available at" in _deploy(stack, a="one").stdout
    assert service.get("/a") == (200, "one")
    assert "nothing to do" in _deploy(stack, a="one").stderr
    found = store[1].list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [each["Key"].rpartition("_")[0] for each in found] == ["apps/raylift"]
    status = _status(stack)
    assert status["healthy"]
    assert [each["status"] for each in status["applications"]] == ["RUNNING"]
    assert _outcomes() == ["good"]


def test_a_stack_moves_from_a_bucket_to_a_volume(stack, store, service):
    """Applications whose code is in the bucket keep running."""
    stack.write(_file(store[0]))
    assert "packageVolume has changed" in _deploy(stack, a="early", code=3).stderr
    stack.raylift("up", "--yes")
    assert "nothing to do" in stack.raylift("up", "--yes").stderr
    _deploy(stack, b="from the volume")
    assert service.get("/b") == (200, "from the volume")
    assert service.get("/a") == (200, "one")
    assert len(store[1].list_objects_v2(Bucket=BUCKET)["Contents"]) == 1


@pytest.mark.long
def test_the_package_store_survives_the_loss_of_its_pod(stack, service):
    pods = ("pods", "-n", SPACE, "-l", "raylift.io/component=packages")
    kubectl("delete", *pods, "--wait=true")
    wait_until(lambda: any(map(_is_ready, objects(*pods))))
    code = stack.folder / "app" / "word.py"
    code.write_text(f"{APP}\n# changed\n", encoding="utf-8")
    _deploy(stack, b="changed")
    assert service.get("/b") == (200, "changed")
    code.write_text(APP, encoding="utf-8")
    plan = json.loads(_deploy(stack, "--dry-run", "--json", b="changed").stdout)
    assert plan["sent_bytes"] == 0  # the volume still has the first package


def _is_ready(pod):
    return condition(pod, "Ready") == "True"


def test_a_new_version_loses_no_request_and_restarts_no_other_application(
    stack, service
):
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
    assert load.answers == sorted(load.answers)  # no "one" after the first "two"
    after = _status(stack)["applications"][1]["deployments"][0]["replicas"]
    assert [each["id"] for each in after] == [before]


def test_a_version_that_fails_is_rolled_back(stack, service):
    failed = _deploy(stack, a="bad", code=6)
    assert "deploy failed: a: Word: ValueError: no weights for bad" in failed.stderr
    assert "rolled back: a is serving the last good version" in failed.stderr
    assert service.get("/a") == (200, "two")
    assert _outcomes()[-1] == "rolled back"
    assert "nothing to do" in _deploy(stack, a="two").stderr


def test_a_replica_that_fits_on_no_node_is_refused_before_anything_is_written(stack):
    file = _serves(stack, big="big")
    document = yaml.safe_load((stack.folder / file).read_text(encoding="utf-8"))
    needs = {"name": "Word", "ray_actor_options": {"num_cpus": 2}}
    document["applications"][0]["deployments"] = [needs]
    (stack.folder / file).write_text(yaml.safe_dump(document), encoding="utf-8")
    before = _rayservice()["spec"]
    refused = stack.raylift("deploy", file, code=3).stderr
    assert (
        "no node can hold a replica: needs 2 CPU, but the largest node has 1" in refused
    )
    assert _rayservice()["spec"] == before


def test_two_users_can_deploy_different_applications_at_once(stack, service):
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(_deploy, stack, **{name: "new"}) for name in ("a", "b")]
        assert all("new" in each.result().stdout for each in done)
    assert service.get("/a") == service.get("/b") == (200, "new")


@pytest.mark.long
def test_of_two_deploys_of_an_application_the_slower_one_names_the_other(stack):
    files = [_serves(stack, f"{word}.yaml", a=word) for word in ("left", "right")]
    running = [stack.start("deploy", file) for file in files]
    said = [each.communicate(timeout=90)[0] for each in running]
    assert sorted(each.returncode for each in running) == [0, 5], said
    winner, loser = sorted(said, key=lambda text: "error: " in text)
    (number,) = re.findall(r"^release (\d+): a ", winner, re.MULTILINE)
    assert re.search(rf"application 'a' (is being|was) .*release {number}\b", loser)


def test_concurrent_writes_lose_no_change(stack, operator):
    """This uses the real API server; the operator is stopped, so Ray gets no config."""
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
    """Submit releases of one application repeatedly, as `raylift deploy` does."""
    outputs = KubernetesOutputs(NAME, "kubernetes", "", SPACE, "2.60.0", "", "", "")
    with Api(access(None, None)) as api:
        service = RayServiceClient(api, SPACE, NAME)
        for number in range(rounds):
            document = {"name": name, "import_path": "x:x", "args": {"round": number}}
            with KubernetesCluster(outputs, None, service) as cluster:
                base = cluster.desired()
                release = cluster.submit(Submission({name: document}, base))
                cluster.close(release, "failed", "it is only a test")


@pytest.fixture
def act_as(monkeypatch, tmp_path):
    """Return a function that switches to a service account, without Pulumi's state."""

    def switch(name):
        kubectl("-n", SPACE, "create", "serviceaccount", name)
        token = kubectl("-n", SPACE, "create", "token", name).strip()
        text = kubectl("config", "view", "--raw", "--minify", "-o", "json")
        config = json.loads(text)
        config["users"][0]["user"] = {"token": token}
        mine = tmp_path / "kubeconfig"
        mine.write_text(json.dumps(config), encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(mine))

    return switch


def test_a_deployer_may_deploy_without_pulumi_but_not_run_up(
    stack, service, act_as, monkeypatch
):
    act_as("ci")
    refused = stack.raylift("up", "--yes", code=None)
    assert refused.returncode in {3, 8}, refused.stderr
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"):
        monkeypatch.delenv(name)
    _deploy(stack, a="by-ci")
    assert _status(stack)["healthy"]
    stack.raylift("logs", "a")
    _deploy(stack, a="bad", code=6)
    assert service.get("/a") == (200, "by-ci")


def test_a_viewer_may_read_but_not_deploy(stack, service, act_as):
    act_as("reader")
    assert _status(stack)["healthy"]
    stack.raylift("logs", "a")
    with _opened(stack, "a") as url, urllib.request.urlopen(url) as response:
        assert response.read() == b"by-ci"
    refused = _deploy(stack, a="by-reader", code=8).stderr
    assert "denied access" in refused
    assert service.get("/a") == (200, "by-ci")


def test_the_dashboard_can_be_opened_with_a_browser(stack):
    """The page's scripts and styles are requested through the API server as well."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with _opened(stack, "--dashboard") as url:
        with browser.open(url) as response:
            page = response.read().decode()
        assert "<title>Ray Dashboard</title>" in page
        found = re.findall(r"(?:src|href)=\"([^\"]+\.(?:js|css))\"", page)
        assert found
        for path in found:
            with browser.open(urllib.parse.urljoin(url, path)) as response:
                assert response.read()


@contextlib.contextmanager
def _opened(stack, what):
    """Run `raylift open` during the block; yield the URL that it prints."""
    running = stack.start("open", what)
    try:
        yield running.stdout.readline().split()[-1]
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate()
    assert running.returncode == 130


def test_a_killed_deploy_is_reported_and_then_taken_over(stack, service):
    running = stack.start("deploy", _serves(stack, a="killed"))
    wait_until(lambda: "open" in _outcomes())
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    refused = _deploy(stack, a="after", code=5).stderr
    assert "application 'a' is being deployed by" in refused
    wait_until(lambda: _status(stack, code=None)["unfinished_releases"])
    _deploy(stack, a="after")
    assert service.get("/a") == (200, "after")
    assert _outcomes()[-2:] == ["abandoned", "good"]


@pytest.mark.long
def test_an_interrupted_deploy_releases_its_application_at_once(stack):
    running = stack.start("deploy", _serves(stack, a="interrupted"))
    wait_until(lambda: "open" in _outcomes())
    running.send_signal(signal.SIGINT)
    assert "safely run the same command again" in running.communicate(timeout=30)[0]
    assert running.returncode == 130
    _deploy(stack, a="after")


@pytest.mark.long
def test_deploy_reports_that_kuberay_does_not_send_the_config(stack, operator):
    """The operator is stopped, so `deploy` must not report success."""
    with operator.stopped():
        failed = _deploy(stack, "--timeout", "6", a="unheard", code=6).stderr
    assert "KubeRay has not sent the config to Ray yet" in failed


def test_deploy_reports_the_reason_when_ray_refuses_the_config(stack):
    """Another user's application makes the config invalid for Ray."""
    before = _rayservice()["spec"]["serveConfigV2"]
    document = json.loads(before)
    document["applications"].append({"name": "other", "import_path": 3})
    _patch(json.dumps(document))
    failed = _deploy(stack, a="refused", code=None)
    _patch(before)
    assert failed.returncode in {6, 7}
    assert "Ray rejected the config" in failed.stderr
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


@pytest.mark.long
def test_a_canary_shifts_traffic_based_on_metrics_of_the_pods(stack, service):
    file = _serves(stack, "canary.yaml", v1="old")
    document = yaml.safe_load((stack.folder / file).read_text(encoding="utf-8"))
    document["applications"].append(
        {
            "name": "front",
            "route_prefix": "/front",
            "import_path": "raylift.splitter:app",
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
    assert "50%: new " in told
    assert "100%: new " in told
    assert "v1" in stack.raylift("traffic", "front").stdout
    config = json.loads(_rayservice()["spec"]["serveConfigV2"])
    (front,) = [each for each in config["applications"] if each["name"] == "front"]
    assert front["runtime_env"]["working_dir"].startswith("http://apps-packages.")
    _deploy(stack, v1="bad", code=6)
    assert service.get("/front") == (200, "new")  # the version that the canary released


@pytest.mark.long
def test_a_deploy_waits_until_the_old_ray_cluster_receives_no_requests(
    stack, store, service
):
    """While there are two clusters, both get requests and only the new one changes."""
    _deploy(stack, a="before")
    old, _ = active(SPACE, NAME)
    kubectl("-n", SPACE, "create", "configmap", "settings", "--from-literal=WORD=hi")
    stack.write(_file(store[0], pods=PODS))
    with Load(service, "/a") as load:
        stack.raylift("up", "--yes")
        told = _deploy(stack, a="behind").stderr
        wait_until(lambda: load.count("behind") > 20)
        seen = len(load.answers)
        time.sleep(3)
        assert set(load.answers[seen:]) == {"behind"}
    assert load.lost == []
    assert f"waiting for Ray cluster {old}, which still receives requests" in told
    assert _status(stack)["notes"] == []
    _deploy(stack, variable="$WORD", file="/mnt/etc/WORD")
    assert service.get("/variable") == service.get("/file") == (200, "hi")
    stack.raylift("delete", "variable", "file")


def test_deleting_an_application_leaves_the_others_running(stack, service):
    assert "deleted a" in stack.raylift("delete", "a").stdout
    assert "application 'a' not found" in stack.raylift("delete", "a").stdout
    assert service.get("/b") == (200, "new")


@pytest.mark.long
def test_a_deploy_completes_the_switch_to_a_cluster_without_applications(
    stack, store, service
):
    """KubeRay does not switch to a cluster that serves no application."""
    assert stack.raylift("delete", "b", "front", "v1").stdout.count("deleted ") == 3
    stack.write(_file(store[0], GENERATION="3"))
    stack.raylift("up", "--yes")
    _deploy(stack, a="first")
    assert service.get("/a") == (200, "first")
    assert _status(stack)["healthy"]


def test_the_stack_is_drained_and_deleted_with_its_ledger(stack):
    told = stack.raylift("delete", "--yes")
    assert "draining " in told.stderr
    assert "deleted stack" in told.stdout
    left = objects(
        "controllerrevisions", "--all-namespaces", "-l", f"raylift.io/stack={NAME}"
    )
    assert left == []
    refused = _deploy(stack, a="late", code=3).stderr
    assert f"stack '{NAME}' is not up" in refused
