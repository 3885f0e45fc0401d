"""backpressure: what is too much is refused at once, and says when to come again."""

import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.ray


def test_a_burst_is_refused_at_once_and_the_accepted_wait_no_longer_than_the_queue(
    example,
):
    burst = ask_at_once(example, 40)
    accepted = [answer for answer in burst if answer[0] == 200]
    refused = [answer for answer in burst if answer[0] != 200]
    # Two at work and four queued; a slot may turn free while the burst comes in.
    assert 6 <= len(accepted) <= 12
    assert {(status, retry) for status, retry, _ in refused} == {(429, "3")}
    # Three turns of half a second, where forty requests would take ten seconds.
    assert max(seconds for *_, seconds in accepted) < 5
    assert min(seconds for *_, seconds in accepted) >= 0.5
    assert max(seconds for *_, seconds in refused) < 5


def test_after_the_burst_all_is_as_before(example):
    assert {status for status, *_ in ask_at_once(example, 40)} == {200, 429}
    assert [status for status, *_ in ask_at_once(example, 4)] == [200] * 4


def ask_at_once(example, count: int) -> list[tuple[int, str | None, float]]:
    """Status, Retry-After and seconds of each of `count` requests at once."""
    url = f"http://127.0.0.1:{example.ports['serve']}/backpressure"

    def ask(_: int) -> tuple[int, str | None, float]:
        started = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                answer.read()
                return answer.status, None, time.monotonic() - started
        except urllib.error.HTTPError as refused:
            retry = refused.headers.get("Retry-After")
            return refused.code, retry, time.monotonic() - started

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))
