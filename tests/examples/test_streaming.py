"""streaming: tokens arrive while others are still made, and for nobody none is made."""

import http.client
import json
from contextlib import contextmanager

import pytest
from project import wait_until

pytestmark = pytest.mark.ray


@contextmanager
def _chat(example, tokens):
    """The events of a chat, one by one; the connection ends with the block."""
    port = example.ports["serve"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/streaming/?tokens={tokens}")
    with connection.getresponse() as response:
        assert response.status == 200
        assert response.getheader("Content-Type").startswith("text/event-stream")
        lines = (line.decode().rstrip() for line in response)
        yield (line.removeprefix("data: ") for line in lines if line)
    connection.close()


def _counts(example):
    return json.loads(example.get("/streaming/counts")[1])


def test_the_first_token_is_here_before_the_last_is_made(example):
    before = _counts(example)
    with _chat(example, 40) as events:
        first = json.loads(next(events))
        made = _counts(example)["tokens"] - before["tokens"]
        rest = list(events)
    assert first == {"token": "word0"}
    assert 1 <= made < 20
    assert len(rest) == 40
    assert rest[-2:] == ['{"token": "word39"}', "[DONE]"]
    after = _counts(example)
    assert after["tokens"] - before["tokens"] == 40
    assert after["finished"] - before["finished"] == 1
    assert after["stopped_early"] == before["stopped_early"]


def test_a_client_that_goes_ends_the_work(example):
    before = _counts(example)
    with _chat(example, 1000) as events:
        next(events)
    ended = before["stopped_early"] + 1
    after = wait_until(lambda: (c := _counts(example))["stopped_early"] == ended and c)
    assert after["tokens"] - before["tokens"] < 100
    assert after["finished"] == before["finished"]
