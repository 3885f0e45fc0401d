"""Deploys to a local cluster whose Ray is simulated: releases, rollbacks, conflicts."""

from __future__ import annotations

import dataclasses
import json

import pytest

from raylift.errors import (
    Conflict,
    FailedPrecondition,
    InvalidInput,
    NotRolledBack,
    RolledBack,
    Unreachable,
)
from raylift.outputs import LocalOutputs
from raylift.serve_runtime.cluster.local import LocalCluster
from raylift.serve_runtime.deploy import withdrawal
from raylift.serve_runtime.deploy.canary import Rollout
from raylift.serve_runtime.deploy.canary_plan import prepare_canary
from raylift.serve_runtime.deploy.convergence import Convergence
from raylift.serve_runtime.deploy.defaults import Added
from raylift.serve_runtime.deploy.deploy import delete, deploy
from raylift.serve_runtime.deploy.plan import plan
from raylift.serve_runtime.deploy.prepare import Prepared, running
from raylift.serve_runtime.deploy.watch import DeployFailed, watch
from raylift.serve_runtime.ray_api.dashboard import RayNode, Rejected
from raylift.serve_runtime.ray_api.transport import Response
from raylift.serve_runtime.release import Submission


def _document(version, status):
    args = {"version": version, "status": status}
    return {"name": "a", "route_prefix": "/a", "import_path": "a:b", "args": args}


OLD, NEW = _document(1, "RUNNING"), _document(2, "RUNNING")
BAD, PENDING = _document(3, "DEPLOY_FAILED"), _document(4, "DEPLOYING")


class Ray:
    """The dashboard and the data plane of a Ray that applies a PUT at once.

    An application gets the status that its arguments name.
    """

    def __init__(self, outputs):
        self.outputs = outputs
        self.transport = self
        self.documents = {}
        self.resources = {}
        self.times = {}
        self.puts = 0
        self.broken = False
        self.loses_next = False
        self.crowded = {"a"}

    def metric_targets(self):
        return []

    def serve_details(self, wait_s=None):
        del wait_s
        applications = {
            name: {
                **self._item(document),
                "last_deployed_time_s": self.times.get(name, 0),
            }
            for name, document in self.documents.items()
        }
        return {"applications": applications, "proxies": {"n": {}}}

    def _item(self, document):
        status = document["args"]["status"]
        if status == "SURGING":
            return self._surging(document)
        pid = None if status == "DEPLOYING" else 1
        replica = {"state": "RUNNING" if pid else "STARTING", "pid": pid}
        return {
            "status": status,
            "source": "declarative",
            "deployed_app_config": document,
            "deployments": {
                "D": {"replicas": [replica], "required_resources": {"CPU": 1}}
            },
            "message": "ValueError: no weights" if status == "DEPLOY_FAILED" else "",
        }

    def _surging(self, document):
        """Return an application that waits for room if it has a surge."""
        waits = document.get("deployments") and document["name"] in self.crowded
        replicas = [{"state": "RUNNING", "pid": 1}]
        replicas += [{"state": "STARTING", "pid": None}] if waits else []
        return {
            "status": "DEPLOYING" if waits else "RUNNING",
            "deployed_app_config": document,
            "deployments": {
                "D": {"replicas": replicas, "required_resources": {"CPU": 1}}
            },
        }

    def has_unmet_demand(self, needs):
        return needs == {"CPU": 1}

    def put_applications(self, document):
        self.puts += 1
        if self.broken:
            raise Unreachable("no answer")
        named = {each["name"]: each for each in document["applications"]}
        for name, each in named.items():
            self.documents[name] = each
            self.times[name] = self.puts
            if reason := each.get("args", {}).get("refused"):
                raise Rejected(reason)  # the rest of the request has no effect
        self.documents = named
        if self.loses_next:
            self.loses_next = False
            raise Unreachable("no answer")

    def stop_serve(self):
        self.documents = {}

    def nodes(self):
        return [
            RayNode("n", is_head=True, alive=True, resources=self.resources, labels={})
        ]

    def available(self, nodes):
        return {}

    def data_plane(self, path, *, wait_s):
        del wait_s
        assert path == "/-/routes"
        routes = {d["route_prefix"]: name for name, d in self.documents.items()}
        return Response(200, json.dumps(routes))


@pytest.fixture
def cluster(tmp_path):
    outputs = LocalOutputs(
        "local", "local", "", "127.0.0.1", 1, 2, "python", "2.60.0", (), tmp_path, ""
    )
    return LocalCluster(outputs, Ray(outputs))


def _deploy(cluster, *documents, timeout_s=5):
    base = cluster.desired()
    current = running(base, cluster.dashboard.serve_details())
    desired = {document["name"]: document for document in documents}
    prepared = Prepared(plan(desired, current), desired, current, base, {})
    return deploy(_convergence(cluster, timeout_s=timeout_s), prepared)


def _convergence(cluster, *, timeout_s=60, on_change=None, say=None):
    def ignore(_):
        pass

    return Convergence(cluster, timeout_s, on_change or ignore, say or ignore)


def _outcomes(cluster):
    releases = sorted(cluster.outputs.state_dir.glob("releases/*.json"))
    return [json.loads(path.read_text())["outcome"] for path in releases]


def test_a_deploy_records_a_good_release(cluster):
    release = _deploy(cluster, OLD)
    assert (release.number, release.documents) == (1, {"a": OLD})
    assert cluster.desired().good == {"a": OLD}
    assert _deploy(cluster, OLD) is None
    assert _outcomes(cluster) == ["good"]
    assert cluster.unfinished() == []


def test_a_failed_deploy_restores_the_last_good_version(cluster):
    _deploy(cluster, OLD)
    with pytest.raises(RolledBack) as failed:
        _deploy(cluster, BAD)
    assert str(failed.value) == (
        "deploy failed: a: ValueError: no weights;"
        " rolled back: a is serving the last good version"
    )
    assert cluster.dashboard.documents == {"a": OLD}
    assert _outcomes(cluster) == ["good", "rolled back"]


def test_a_failed_deploy_deletes_a_new_application(cluster):
    _deploy(cluster, OLD)
    with pytest.raises(RolledBack) as failed:
        _deploy(cluster, NEW, {**BAD, "name": "b", "route_prefix": "/b"})
    assert str(failed.value).endswith(
        "rolled back: a is serving the last good version;"
        " deleted b (new in this release)"
    )
    assert cluster.desired().applications == {"a": OLD}


def test_a_failed_rollback_is_reported_with_both_causes(cluster):
    def break_ray(_):
        cluster.dashboard.broken = True

    _deploy(cluster, OLD)
    base = cluster.desired()
    prepared = Prepared(plan({"a": BAD}, {"a": OLD}), {"a": BAD}, {}, base, {})
    with pytest.raises(NotRolledBack, match=r"no weights; rollback failed: no answer$"):
        deploy(_convergence(cluster, on_change=break_ray), prepared)
    assert _outcomes(cluster) == ["good", "failed"]


REASON = "Ray rejected the config: requirements.txt is not a valid file"
REFUSED = _document(5, "DEPLOYING")
REFUSED["args"]["refused"] = REASON


def test_a_rejected_change_leaves_the_old_version(cluster):
    _deploy(cluster, OLD)
    with pytest.raises(InvalidInput, match=REASON):
        _deploy(cluster, REFUSED)
    assert cluster.dashboard.documents == cluster.desired().applications == {"a": OLD}
    assert _outcomes(cluster) == ["good", "failed"]


def test_a_rejected_application_is_removed(cluster):
    _deploy(cluster, OLD)
    with pytest.raises(InvalidInput, match=REASON):
        _deploy(cluster, {**REFUSED, "name": "b", "route_prefix": "/b"})
    assert cluster.dashboard.documents == cluster.desired().applications == {"a": OLD}


@pytest.fixture
def invalid(cluster):
    """The document of an application that another tool deployed and Ray rejected."""
    document = {**REFUSED, "name": "z", "route_prefix": "/z"}
    _deploy(cluster, OLD)
    cluster.dashboard.documents["z"] = document
    return document


def test_a_rejected_application_of_another_tool_blocks_no_deploy(cluster, invalid):
    other = {**NEW, "name": "b", "route_prefix": "/b"}
    _deploy(cluster, NEW, other)
    assert cluster.dashboard.documents == {"a": NEW, "b": other, "z": invalid}
    assert cluster.desired().good == {"a": NEW, "b": other}


def test_a_delete_that_such_an_application_blocks_is_a_conflict(cluster, invalid):
    with pytest.raises(
        Conflict, match=r"^cannot delete a: Ray rejects application 'z'"
    ):
        delete(cluster, ["a"], timeout_s=5, on_change=lambda _: None)
    assert cluster.dashboard.documents == {"a": OLD, "z": invalid}
    delete(cluster, ["a", "z"], timeout_s=5, on_change=lambda _: None)
    assert cluster.dashboard.documents == {}


def test_a_change_that_is_rejected_beside_such_an_application_is_undone(
    cluster, invalid
):
    for name in ("a", "b"):
        document = {**REFUSED, "name": name, "route_prefix": f"/{name}"}
        document["args"] = {**document["args"], "refused": "mine"}
        with pytest.raises(InvalidInput, match="mine"):
            _deploy(cluster, document)
        assert cluster.dashboard.documents == {"a": OLD, "z": invalid}


SURGE = Added("a", "D", "max_surge_percent", 100, "")
SURGING = {
    **_document(6, "SURGING"),
    "deployments": [{"name": "D", "max_surge_percent": 100}],
}


@pytest.fixture
def full(cluster, monkeypatch):
    """A cluster that has room for one replica, which runs the old version."""
    monkeypatch.setattr(withdrawal, "_SURGE_SECONDS", 0)
    cluster.dashboard.resources = {"CPU": 1}
    _deploy(cluster, OLD)
    return cluster


def _deploy_surging(cluster, say):
    prepared = Prepared(
        plan({"a": SURGING}, {"a": OLD}),
        {"a": SURGING},
        {"a": OLD},
        cluster.desired(),
        {},
        [SURGE],
    )
    return deploy(_convergence(cluster, say=say.append), prepared)


def test_a_default_that_fails_is_withdrawn_within_the_release(full):
    said = []
    release = _deploy_surging(full, said)
    plain = _document(6, "SURGING")
    assert release.documents == full.desired().good == {"a": plain}
    assert full.dashboard.documents == {"a": plain}
    assert _outcomes(full) == ["good", "good"]
    (line,) = said
    assert line.startswith("a: continuing without the default max_surge_percent: ")


SPLITS = {
    "name": "front",
    "route_prefix": "/front",
    "import_path": "raylift.splitter:app",
    "args": {"status": "RUNNING"},
    "deployments": [{"name": "Splitter", "user_config": {"arms": {"a": 1}}}],
}


@pytest.mark.parametrize("crowded", [{"a"}, {"a-canary", "a"}])
def test_a_default_that_fails_is_withdrawn_within_a_canary(full, crowded):
    """There is no room beside both versions, or already none beside the old one."""
    _deploy(full, OLD, SPLITS)
    full.dashboard.crowded = crowded
    documents = {"a": OLD, "front": SPLITS}
    prepared = Prepared(
        plan({"a": SURGING}, documents),
        {"a": SURGING},
        documents,
        full.desired(),
        {},
        [SURGE, dataclasses.replace(SURGE, application="other")],
    )
    said = []
    canary = prepare_canary(full, prepared)
    Rollout(_convergence(full, say=said.append), canary).run(
        prepared, steps=(), step_s=0
    )
    assert full.dashboard.documents == {"a": _document(6, "SURGING"), "front": SPLITS}
    assert full.desired().good == full.dashboard.documents
    (line,) = said
    assert "continuing without the default max_surge_percent: " in line


def test_a_withdrawal_that_ray_does_not_answer_is_rolled_back(full):
    class Breaking(list):
        def append(self, line):
            super().append(line)
            full.dashboard.loses_next = True

    with pytest.raises(RolledBack, match="no answer"):
        _deploy_surging(full, Breaking())
    assert full.dashboard.documents == {"a": OLD}
    assert _outcomes(full) == ["good", "rolled back"]


def test_a_request_that_ray_did_not_answer_is_undone(cluster):
    _deploy(cluster, OLD)
    cluster.dashboard.loses_next = True
    with pytest.raises(Unreachable, match="no answer"):
        _deploy(cluster, NEW)
    assert cluster.dashboard.documents == cluster.desired().applications == {"a": OLD}


def test_a_change_since_the_plan_is_a_conflict(cluster):
    base = cluster.desired()
    _deploy(cluster, OLD)
    with pytest.raises(Conflict, match=r"'a' was changed by .* in release 1"):
        cluster.submit(Submission({"a": NEW}, base))


def test_an_application_that_is_being_deployed_is_busy(cluster):
    release = cluster.submit(Submission({"a": OLD}, cluster.desired()))
    with pytest.raises(Conflict, match=r"'a' is being deployed by .* \(release 1\)"):
        cluster.refuse_busy(["b", "a"])
    cluster.close(release, "good")
    cluster.refuse_busy(["a"])


def test_the_next_deploy_abandons_an_interrupted_release(cluster):
    cluster.submit(Submission({"a": OLD}, cluster.desired()))
    cluster._ledger._held.close()  # as when its process dies
    (interrupted,) = cluster.unfinished()
    assert interrupted.number == 1
    _deploy(cluster, NEW)
    assert _outcomes(cluster) == ["abandoned", "good"]


def test_an_interrupted_release_is_adopted(cluster):
    cluster.submit(Submission({"a": OLD}, cluster.desired()))
    cluster._ledger._held.close()
    (interrupted,) = cluster.unfinished()
    assert cluster.adopt(interrupted)
    assert cluster.unfinished() == []
    cluster.close(interrupted, "rolled back")
    assert not cluster.adopt(interrupted)


def test_a_deleted_application_is_gone_and_an_unknown_one_is_left_out(cluster):
    _deploy(cluster, OLD)
    assert delete(cluster, ["a", "b"], timeout_s=5, on_change=print) == ["a"]
    assert cluster.desired().applications == cluster.dashboard.documents == {}


def test_a_replica_that_no_node_can_hold_fails_before_the_deadline(cluster):
    cluster.dashboard.documents = {"a": PENDING}
    lack = "D: no node can hold a replica: needs 1 CPU, but the largest node has 0"
    with pytest.raises(DeployFailed, match=f"^a: {lack}$"):
        watch(cluster, {"a": PENDING}, timeout_s=20)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (NEW, "a: not RUNNING after 0 s: D 1 RUNNING"),
        (None, "a: not deleted after 0 s"),
    ],
)
def test_the_deadline_names_what_is_late(cluster, document, message):
    cluster.dashboard.documents = {"a": OLD}
    with pytest.raises(DeployFailed, match=f"^{message}$"):
        watch(cluster, {"a": document}, timeout_s=0)


def test_an_application_that_ray_does_not_list_is_late(cluster):
    with pytest.raises(DeployFailed, match=r"^a: not RUNNING after 0 s: Ray does not"):
        watch(cluster, {"a": OLD}, timeout_s=0)


def test_serve_at_another_address_is_refused(cluster):
    http = {"host": "127.0.0.1", "port": 9}
    details = {"http_options": http, "grpc_options": {"port": 2}}
    with pytest.raises(
        FailedPrecondition,
        match=r"^Serve is running at a different address from http://",
    ):
        cluster.refuse_other_address(details)
