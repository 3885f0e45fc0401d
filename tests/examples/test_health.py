"""health: bad replicas are replaced under load; what has begun is finished."""

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from load import Load
from project import wait_until

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("fault", ["raise", "hang"])
def test_a_replica_that_turns_bad_is_replaced_and_no_request_is_lost(example, fault):
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


def test_a_new_version_lets_the_old_one_finish_what_it_has_begun(example, folder):
    before = example.replica_pids("health")
    code = folder / "app" / "health.py"
    code.write_text(code.read_text() + "\nVERSION = 2\n")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(example.get, "/health/slow?seconds=10", timeout=60)
        time.sleep(0.5)  # no status shows a request that has begun
        deploy = pool.submit(example.run, "deploy", str(folder / "serve.yaml"))
        wait_until(lambda: int(example.get("/health/")[1]) not in before)
        assert not slow.done()
        status, text = slow.result()
        deploy.result()
    assert status == 200
    assert int(text.strip('"').rpartition(" ")[2]) in before


def test_a_delete_lets_the_application_finish_what_it_has_begun(example):
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(example.get, "/health/slow?seconds=4", timeout=60)
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
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.read())
