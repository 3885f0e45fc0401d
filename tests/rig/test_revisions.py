"""The ledger of releases, on the real API server; what they are of is made up."""

from __future__ import annotations

import dataclasses
import time

import pytest
from kube import kubectl, objects
from project import wait_until

from raylift.errors import CannotWork, Conflict, LeftBehind, Unreachable
from raylift.kubernetes import Api, access
from raylift.ray_service import RayService
from serve_runtime import revisions
from serve_runtime.revisions import Revisions

pytestmark = pytest.mark.rig

NAME = "demo"
V1, V2, V3 = ({"name": "a", "args": n} for n in (1, 2, 3))


@pytest.fixture
def service(namespace):
    """One whose object is a ConfigMap: a ledger asks for nothing but its uid."""
    kubectl("-n", namespace, "create", "configmap", NAME)
    with Api(access(None, None)) as opened:
        yield Made(opened, namespace, NAME)


class Made(RayService):
    def get(self):
        return self.api.get(f"{self.core}/configmaps/{self.stack}")


@pytest.fixture
def ledger(service):
    kept = Revisions(service)
    yield kept
    kept.close()


def _released(ledger, outcome, *, before=None, **documents):
    was = dict.fromkeys(documents) | (before or {})
    release = ledger.open(documents, before=was, back=[])
    ledger.end(release, outcome, "")
    return release.number


def test_what_is_good_is_the_last_that_was_seen_serving(ledger):
    assert _released(ledger, "failed", a=V1) == 1
    assert ledger.good() == {}
    _released(ledger, "good", a=V1, b=V1)
    _released(ledger, "rolled back", a=V2, before={"a": V1})
    assert ledger.good() == {"a": V1, "b": V1}
    _released(ledger, "good", a=V3, b=None)
    assert ledger.good() == {"a": V3}


def test_before_the_first_good_one_it_is_what_others_had_put_there(ledger):
    _released(ledger, "failed", a=V2, before={"a": None})
    _released(ledger, "failed", a=V2, before={"a": V1})
    _released(ledger, "failed", a=V3, before={"a": V2})
    assert ledger.good() == {"a": V1}


def test_a_release_that_ends_with_other_documents_is_good_with_those(ledger):
    """As a canary does, whose last step is not its first."""
    release = ledger.open({"a": V1, "a-canary": V2}, before={"a": V1}, back=[("a", V1)])
    done = dataclasses.replace(release, documents={"a": V2, "a-canary": None})
    ledger.end(done, "good", "")
    assert ledger.good() == {"a": V2}
    assert [each.release.outcome for each in ledger.all()] == ["good", "good"]


def test_numbers_are_never_given_twice(service, ledger):
    other = Revisions(service)
    open_ = [each.open({"a": V1}, before={}, back=[]) for each in (ledger, other)]
    assert [each.number for each in open_] == [1, 2]
    assert [r.number for r in ledger.busy()] == [2]
    assert [r.number for r in other.busy()] == [1]
    assert ledger.last_of("a").number == 2
    other.close()
    assert [r.release.number for r in ledger.unfinished()] == [2]


def test_one_that_is_cut_off_is_adopted_once_and_lost_to_who_held_it(
    service, ledger, monkeypatch
):
    monkeypatch.setattr(revisions, "_RENEW_SECONDS", 600.0)
    monkeypatch.setattr(revisions, "_DEAD_SECONDS", 1.0)
    release = ledger.open({"a": V1}, before={}, back=[("a", V1)])
    others = [Revisions(service), Revisions(service)]
    wait_until(others[0].unfinished, seconds=10)
    assert others[0].adopt(release.number)
    monkeypatch.setattr(revisions, "_DEAD_SECONDS", 600.0)
    assert not others[1].adopt(release.number)
    with pytest.raises(Conflict, match="release 1 was taken over"):
        ledger.refuse_lost()
    with pytest.raises(Conflict, match="release 1 was taken over"):
        ledger.end(release, "good", "")
    others[0].end(release, "rolled back", "it was cut off")
    (kept,) = ledger.all()
    assert (kept.release.outcome, kept.release.back) == ("rolled back", [("a", V1)])


def test_one_whose_change_nobody_answered_is_still_ours(ledger, namespace):
    """As where an answer is lost: the object is not what we last saw of it."""
    release = ledger.open({"a": V1}, before={}, back=[])
    name = f"{NAME}-release-{release.number}"
    words = ("annotate", "controllerrevision", name, "by=hand")
    kubectl("-n", namespace, *words)
    ledger.refuse_lost()
    kubectl("-n", namespace, *words, "--overwrite")
    ledger.end(release, "good", "")
    assert ledger.good() == {"a": V1}


def test_whoever_works_on_one_is_seen_to(service, ledger):
    ledger.open({"a": V1}, before={}, back=[])
    other = Revisions(service)
    (first,) = other._open(dead=False)
    wait_until(lambda: other._open(dead=False)[0].renewed > first.renewed, seconds=15)


def test_an_old_one_goes_and_what_would_be_gone_back_to_stays(ledger, monkeypatch):
    monkeypatch.setattr(revisions, "_KEPT", 3)
    _released(ledger, "good", a=V1)
    for document in (V1, V2, V3, V1, V2):
        _released(ledger, "good", b=document)
    assert [each.release.number for each in ledger.all()] == [1, 4, 5, 6]
    assert ledger.good() == {"a": V1, "b": V2}


def test_one_that_is_not_ours_to_read_is_named(ledger, namespace):
    _released(ledger, "good", a=V1)
    name = f"{NAME}-release-1"
    words = ("annotate", "controllerrevision", name, "raylift.io/renewed=noon")
    kubectl("-n", namespace, *words, "--overwrite")
    with pytest.raises(LeftBehind, match=f"{name}: not this version's"):
        ledger.all()


def test_the_ledger_goes_with_the_service(ledger, namespace):
    _released(ledger, "good", a=V1)
    kubectl("-n", namespace, "delete", "configmap", NAME)
    wait_until(lambda: not objects("-n", namespace, "controllerrevisions"), seconds=60)
    with pytest.raises(CannotWork, match="has no RayService any more"):
        ledger.open({"a": V1}, before={}, back=[])


def test_an_end_that_nobody_answers_is_written_again(ledger, monkeypatch):
    release = ledger.open({"a": V1}, before={}, back=[])
    patch, failed = ledger._api.patch, []

    def unheard_twice(*words, **more):
        if len(failed) == 2:
            return patch(*words, **more)
        failed.append(time.monotonic())
        if len(failed) == 1:
            patch(*words, **more)  # it is done, and nobody hears of it
        raise Unreachable("no")

    hold = ledger._held[release.number]
    assert hold.renew()
    monkeypatch.setattr(ledger._api, "patch", unheard_twice)
    assert hold.end({"raylift.io/outcome": "good"})
    assert len(failed) == 2
    assert ledger.good() == {"a": V1}
