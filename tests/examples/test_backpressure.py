"""backpressure: excess requests are refused immediately, with a Retry-After header."""

import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from project import ANSWER_SECONDS

pytestmark = pytest.mark.ray


def test_excess_requests_are_refused_at_once_and_accepted_ones_wait_only_for_the_queue(
    example,
):
    burst = ask_at_once(example, 40)
    accepted = [answer for answer in burst if answer.status == 200]
    refused = [answer for answer in burst if answer.status != 200]
    assert {(answer.status, answer.retry_after) for answer in refused} == {(429, "3")}
    # Two ongoing and four queued requests, plus four per second while the burst lasts,
    # which takes a moment on a busy machine: until the last request is sent or refused.
    began = min(answer.started for answer in burst)
    ended = [answer.started + answer.seconds for answer in refused]
    arriving = max(*ended, *(answer.started for answer in burst)) - began
    assert 6 <= len(accepted) <= 6 + 4 * (arriving + 1)
    # Six requests take three turns of 0.5 s; forty requests would take twenty turns.
    turn = min(answer.seconds for answer in accepted)
    assert turn >= 0.5
    assert max(answer.seconds for answer in burst) < 14 * turn


def test_requests_succeed_again_after_the_burst(example):
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
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
                status, retry_after = answer.status, None
        except urllib.error.HTTPError as refused:
            status, retry_after = refused.code, refused.headers["Retry-After"]
        return Answer(status, retry_after, started, time.monotonic() - started)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))
