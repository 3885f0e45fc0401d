"""production: a deploy by a script, with code from a bucket, logs and metrics."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from project import (
    ANSWER_SECONDS,
    COMMAND_SECONDS,
    default_signals,
    make_project,
    running,
    wait_until,
)

pytestmark = pytest.mark.ray

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "dummy",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def bucket():
    """The environment variables for an S3 server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    environment = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
    }
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="models")
    yield environment
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def production(tmp_path_factory, bucket, request):
    """A separate stack whose Ray reads from the bucket, after one run of the script."""
    config = f"""
    raylift:target: local
    raylift:ray:
      head: {{numCpus: 8}}
      env: {json.dumps(bucket)}
    """
    project = make_project(tmp_path_factory.mktemp("production"), config=config)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    project.environment = {**bucket, "PATH": path}
    folder = Path(__file__).parents[2] / "examples" / "production"
    shutil.copytree(folder, project.root / "example")
    with running(project) as stack:
        assert ci(stack) == 0
        yield stack


def test_deploying_the_same_code_again_is_a_no_op(production):
    pids = production.replica_pids("production")
    assert ci(production, said="nothing to do") == 0
    assert production.replica_pids("production") == pids


def test_serve_yaml_sets_the_options_that_the_code_does_not_set(production):
    deployments = production.application("production")["deployments"]
    count = {d["name"]: len(d["replicas"]) for d in deployments}
    assert count == {"Gateway": 2, "Model": 1}
    assert production.get("/production?number=21") == (200, "42.0")


def test_a_log_line_contains_the_request_id(production):
    request = urllib.request.Request(
        f"http://127.0.0.1:{production.ports['serve']}/production?number=1234",
        headers={"X-Request-ID": "order-17"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        assert answer.headers["X-Request-ID"] == "order-17"
    of_request = wait_until(
        lambda: [x for x in log(production) if x["request_id"] == "order-17"]
    )
    (own,) = [line for line in of_request if line["text"] == "predicting"]
    assert (own["fields"]["number"], own["fields"]["version"]) == (1234.0, "1")
    assert own["level"] == "INFO"
    deployments = {line["source"].split("/")[1] for line in of_request}
    assert deployments == {"Gateway", "Model"}


def test_the_prometheus_targets_count_the_requests(production):
    for _ in range(5):
        assert production.get("/production?number=3") == (200, "6.0")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        dashboard(production, "/api/prometheus/sd", token="wrong")
    groups = json.loads(dashboard(production, "/api/prometheus/sd"))
    targets = [target for group in groups for target in group["targets"]]
    assert {target.partition(":")[0] for target in targets} == {"127.0.0.1"}
    wait_until(lambda: counted(targets) >= 5, every=1)


@pytest.mark.parametrize(
    ("file", "change", "code", "said"),
    [
        ("serve.yaml", ("num_replicas", "num_replica"), 2, "ci: the file is invalid"),
        ("serve.yaml", ("num_cpus: 0.5", "num_cpus: 50"), 3, "ci: the cluster is not"),
        (
            "app/production.py",
            ("MODEL_VERSION", "MISSING"),
            6,
            "ci: the version failed",
        ),
    ],
)
def test_the_script_reports_the_error_and_the_old_version_serves(
    production, file, change, code, said
):
    path = production.root / "example" / file
    right = path.read_text()
    assert change[0] in right
    path.write_text(right.replace(*change))
    try:
        assert ci(production, said=said) == code
    finally:
        path.write_text(right)
    assert production.get("/production?number=21") == (200, "42.0")


def ci(project, *, said: str = "ci: deployed s3://models/production-") -> int:
    result = subprocess.run(
        ["sh", "example/ci.sh", "models"],
        cwd=project.root,
        env={**os.environ, "RAYLIFT_STACK": project.stack, **project.environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        preexec_fn=default_signals,
    )
    told = result.stdout + result.stderr
    assert said in told, told
    return result.returncode


def log(project) -> list[dict]:
    shown = project.run("logs", "production", "--json").stdout
    return [json.loads(line) for line in shown.splitlines()]


def dashboard(project, path: str, *, token: str | None = None) -> str:
    if token is None:
        token = (project.state_dir / "token").read_text()
    up = json.loads(project.run("up", "--json").stdout)
    request = urllib.request.Request(
        up["dashboard_url"] + path, headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return answer.read().decode()


def counted(targets: list[str]) -> float:
    """Return the number of the application's requests over all targets."""
    total = 0.0
    for target in targets:
        with urllib.request.urlopen(
            f"http://{target}/metrics", timeout=ANSWER_SECONDS
        ) as answer:
            for line in answer.read().decode().splitlines():
                if (
                    line.startswith("ray_serve_num_http_requests_total{")
                    and 'application="production"' in line
                    and 'status_code="200"' in line
                ):
                    total += float(re.split(r"\} ", line)[1])
    return total
