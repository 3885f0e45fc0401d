"""streaming: tokens arrive as they are generated, until the client disconnects."""

import http.client
import json
from contextlib import contextmanager

import pytest
from project import ANSWER_SECONDS, wait_until

pytestmark = pytest.mark.ray


@contextmanager
def _chat(example, tokens):
    """Yield the events of a chat; close the connection when the block ends."""
    port = example.ports["serve"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    connection.request("GET", f"/streaming/?tokens={tokens}")
    with connection.getresponse() as response:
        assert response.status == 200
        assert response.getheader("Content-Type").startswith("text/event-stream")
        lines = (line.decode().rstrip() for line in response)
        yield (line.removeprefix("data: ") for line in lines if line)
    connection.close()


def _counts(example):
    return json.loads(example.get("/streaming/counts")[1])


def test_the_first_token_arrives_before_the_last_is_generated(example):
    before = _counts(example)
    with _chat(example, 40) as events:
        first = json.loads(next(events))
        made = _counts(example)["tokens"] - before["tokens"]
        rest = list(events)
    assert first == {"token": "word0"}
    assert 1 <= made < 40
    assert len(rest) == 40
    assert rest[-2:] == ['{"token": "word39"}', "[DONE]"]
    after = _counts(example)
    assert after["tokens"] - before["tokens"] == 40
    assert after["finished"] - before["finished"] == 1
    assert after["stopped_early"] == before["stopped_early"]


def test_generation_stops_when_the_client_disconnects(example):
    before = _counts(example)
    with _chat(example, 1000) as events:
        next(events)
    ended = before["stopped_early"] + 1
    after = wait_until(lambda: (c := _counts(example))["stopped_early"] == ended and c)
    assert after["tokens"] - before["tokens"] < 500
    assert after["finished"] == before["finished"]
