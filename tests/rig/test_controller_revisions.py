"""Tests of the release ledger on the real API server, with fictitious applications."""

from __future__ import annotations

import dataclasses
import time

import pytest
from kube import kubectl, objects
from project import wait_until

from raylift.errors import Conflict, FailedPrecondition, Leftovers, Unreachable
from raylift.kube_api import Api
from raylift.kubeconfig import access
from raylift.ray_service_client import RayServiceClient
from raylift.serve_runtime.cluster import controller_revisions, revision_claim
from raylift.serve_runtime.cluster.controller_revisions import ControllerRevisions
from raylift.serve_runtime.release import Desired, Submission

pytestmark = pytest.mark.rig

NAME = "demo"
V1, V2, V3 = ({"name": "a", "args": n} for n in (1, 2, 3))


@pytest.fixture
def service(namespace):
    """Yield a client for a ConfigMap: the ledger needs only the object's identity."""
    kubectl("-n", namespace, "create", "configmap", NAME)
    with Api(access(None, None)) as opened:
        yield ConfigMapClient(opened, namespace, NAME)


class ConfigMapClient(RayServiceClient):
    def get(self):
        return self.api.get(f"{self.core}/configmaps/{self.stack}")


@pytest.fixture
def ledger(service):
    opened = ControllerRevisions(service)
    yield opened
    opened.close()


def _open(ledger, documents, *, before=None, rollback=()):
    base = Desired(applications={k: v for k, v in (before or {}).items() if v})
    return ledger.open(Submission(documents, base, rollback=rollback))


def _released(ledger, outcome, *, before=None, **documents):
    release = _open(ledger, documents, before=before)
    ledger.end(release, outcome, "")
    return release.number


def test_the_good_document_is_that_of_the_last_good_release(ledger):
    assert _released(ledger, "failed", a=V1) == 1
    assert ledger.good() == {}
    _released(ledger, "good", a=V1, b=V1)
    _released(ledger, "rolled back", a=V2, before={"a": V1})
    assert ledger.good() == {"a": V1, "b": V1}
    _released(ledger, "good", a=V3, b=None)
    assert ledger.good() == {"a": V3}


def test_before_the_first_good_release_the_good_document_is_the_replaced_one(ledger):
    _released(ledger, "failed", a=V2, before={"a": None})
    _released(ledger, "failed", a=V2, before={"a": V1})
    _released(ledger, "failed", a=V3, before={"a": V2})
    assert ledger.good() == {"a": V1}


def test_a_release_that_ends_with_other_documents_is_good_with_those(ledger):
    """A canary does this: the documents of its last step differ from its first."""
    documents = {"a": V1, "a-canary": V2}
    release = _open(ledger, documents, before={"a": V1}, rollback=[("a", V1)])
    done = dataclasses.replace(release, documents={"a": V2, "a-canary": None})
    ledger.end(done, "good", "")
    assert ledger.good() == {"a": V2}
    assert [each.release.outcome for each in ledger.all()] == ["good", "good"]


def test_release_numbers_are_unique(service, ledger):
    other = ControllerRevisions(service)
    releases = [_open(each, {"a": V1}) for each in (ledger, other)]
    assert [each.number for each in releases] == [1, 2]
    assert [r.number for r in ledger.busy()] == [2]
    assert [r.number for r in other.busy()] == [1]
    assert ledger.last_of("a").number == 2
    other.close()
    assert [r.release.number for r in ledger.unfinished()] == [2]


def test_an_interrupted_release_is_adopted_once_and_its_first_holder_loses_it(
    service, ledger, monkeypatch
):
    monkeypatch.setattr(revision_claim, "_RENEW_SECONDS", 600.0)
    monkeypatch.setattr(controller_revisions, "_EXPIRED_SECONDS", 1.0)
    release = _open(ledger, {"a": V1}, rollback=[("a", V1)])
    others = [ControllerRevisions(service), ControllerRevisions(service)]
    wait_until(others[0].unfinished, seconds=10)
    assert others[0].adopt(release.number)
    monkeypatch.setattr(controller_revisions, "_EXPIRED_SECONDS", 600.0)
    assert not others[1].adopt(release.number)
    with pytest.raises(Conflict, match="release 1 was taken over by another process"):
        ledger.refuse_lost()
    with pytest.raises(Conflict, match="release 1 was taken over by another process"):
        ledger.end(release, "good", "")
    others[0].end(release, "rolled back", "it was interrupted")
    (recorded,) = ledger.all()
    assert recorded.release.outcome == "rolled back"
    assert recorded.release.back == [("a", V1)]


def test_a_release_changed_by_another_client_is_still_held(ledger, namespace):
    """This simulates a lost response: the version differs from the one read last."""
    release = _open(ledger, {"a": V1})
    name = f"{NAME}-release-{release.number}"
    words = ("annotate", "controllerrevision", name, "by=hand")
    kubectl("-n", namespace, *words)
    ledger.refuse_lost()
    kubectl("-n", namespace, *words, "--overwrite")
    ledger.end(release, "good", "")
    assert ledger.good() == {"a": V1}


def test_a_held_release_is_renewed(service, ledger):
    _open(ledger, {"a": V1})
    other = ControllerRevisions(service)
    (first,) = other._open(expired=False)
    wait_until(
        lambda: other._open(expired=False)[0].renewed > first.renewed, seconds=15
    )


def test_old_releases_are_pruned_except_the_last_good_ones(ledger, monkeypatch):
    monkeypatch.setattr(controller_revisions, "_MAX_RELEASES", 3)
    _released(ledger, "good", a=V1)
    for document in (V1, V2, V3, V1, V2):
        _released(ledger, "good", b=document)
    assert [each.release.number for each in ledger.all()] == [1, 4, 5, 6]
    assert ledger.good() == {"a": V1, "b": V2}


def test_a_release_in_an_unknown_format_is_reported(ledger, namespace):
    _released(ledger, "good", a=V1)
    name = f"{NAME}-release-1"
    words = ("annotate", "controllerrevision", name, "raylift.io/renewed=noon")
    kubectl("-n", namespace, *words, "--overwrite")
    with pytest.raises(Leftovers, match=f"{name} was written by a different version"):
        ledger.all()


def test_the_ledger_is_deleted_with_the_service(ledger, namespace):
    _released(ledger, "good", a=V1)
    kubectl("-n", namespace, "delete", "configmap", NAME)
    wait_until(lambda: not objects("-n", namespace, "controllerrevisions"), seconds=60)
    with pytest.raises(FailedPrecondition, match="RayService"):
        _open(ledger, {"a": V1})


def test_writing_an_outcome_is_retried_after_a_lost_response(ledger, monkeypatch):
    release = _open(ledger, {"a": V1})
    patch, failed = ledger._api.patch, []

    def lose_two_responses(*words, **more):
        if len(failed) == 2:
            return patch(*words, **more)
        failed.append(time.monotonic())
        if len(failed) == 1:
            patch(*words, **more)  # the write succeeds, but its response is lost
        raise Unreachable("no")

    claim = ledger._claims[release.number]
    assert claim.renew()
    monkeypatch.setattr(ledger._api, "patch", lose_two_responses)
    assert claim.end({"raylift.io/outcome": "good"})
    assert len(failed) == 2
    assert ledger.good() == {"a": V1}
