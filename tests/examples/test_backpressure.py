"""backpressure: what is too much is refused at once, and says when to come again."""

import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

pytestmark = pytest.mark.ray


def test_a_burst_is_refused_at_once_and_the_accepted_wait_no_longer_than_the_queue(
    example,
):
    burst = ask_at_once(example, 40)
    accepted = [answer for answer in burst if answer.status == 200]
    refused = [answer for answer in burst if answer.status != 200]
    assert {(answer.status, answer.retry_after) for answer in refused} == {(429, "3")}
    # Two at work and four queued, and four a second while the burst still comes in,
    # which takes a busy machine a moment.
    starts = [answer.started for answer in burst]
    assert 6 <= len(accepted) <= 6 + 4 * (max(starts) - min(starts) + 1)
    # Three turns of half a second, where forty requests would take ten seconds.
    assert min(answer.seconds for answer in accepted) >= 0.5
    assert max(answer.seconds for answer in burst) < 7


def test_after_the_burst_all_is_as_before(example):
    assert {answer.status for answer in ask_at_once(example, 40)} == {200, 429}
    assert [answer.status for answer in ask_at_once(example, 4)] == [200] * 4


@dataclass
class Answer:
    status: int
    retry_after: str | None
    started: float
    seconds: float


def ask_at_once(example, count: int) -> list[Answer]:
    url = f"http://127.0.0.1:{example.ports['serve']}/backpressure"

    def ask(_: int) -> Answer:
        started = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                status, retry_after = answer.status, None
        except urllib.error.HTTPError as refused:
            status, retry_after = refused.code, refused.headers["Retry-After"]
        return Answer(status, retry_after, started, time.monotonic() - started)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))
