"""health: unhealthy replicas are replaced, and ongoing requests finish."""

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from load import Load
from project import ANSWER_SECONDS, wait_until

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    "fault", ["raise", pytest.param("hang", marks=pytest.mark.long)]
)
def test_an_unhealthy_replica_is_replaced_and_no_request_is_lost(example, fault):
    before = example.replica_pids("health")
    assert len(before) == 2
    with Load(example, "/health/") as load:
        wait_until(lambda: set(map(int, load.answers)) == before)
        bad = turn_bad(example, fault)
        after = wait_until(
            lambda: (
                bad not in (pids := example.replica_pids("health"))
                and len(pids) == 2
                and pids
            )
        )
        (new,) = after - before
        assert after == before - {bad} | {new}
        wait_until(lambda: new in map(int, load.answers))
    assert load.lost == []


def test_the_old_version_finishes_its_requests_after_a_deploy(example, folder):
    before = example.replica_pids("health")
    code = folder / "app" / "health.py"
    code.write_text(code.read_text() + "\nVERSION = 2\n")
    # Longer than the start of the deploy, shorter than the graceful shutdown of 60 s.
    seconds = min(50, 10 * example.slowness())
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(example.get, f"/health/slow?seconds={seconds:.1f}")
        time.sleep(0.5)  # no status shows that the request is in progress
        deploy = pool.submit(example.run, "deploy", str(folder / "serve.yaml"))
        wait_until(lambda: int(example.get("/health/")[1]) not in before)
        assert not slow.done()
        status, text = slow.result()
        deploy.result()
    assert status == 200
    assert int(text.strip('"').rpartition(" ")[2]) in before


@pytest.mark.long
def test_a_deleted_application_finishes_its_requests(example):
    seconds = min(50, 4 * example.slowness())
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(example.get, f"/health/slow?seconds={seconds:.1f}")
        time.sleep(0.5)
        delete = pool.submit(example.run, "delete", "health")
        wait_until(lambda: example.get("/health/")[0] == 404)
        assert not slow.done()
        status, text = slow.result()
        delete.result()
    assert (status, text[:13]) == (200, '"finished by ')


def turn_bad(example, fault: str) -> int:
    url = f"http://127.0.0.1:{example.ports['serve']}/health/turn-bad?how={fault}"
    request = urllib.request.Request(url, method="POST")
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return int(answer.read())
