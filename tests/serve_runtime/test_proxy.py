"""Requests and responses that the splitter forwards, as ASGI messages."""

from __future__ import annotations

import asyncio

import pytest

from raylift.serve_runtime.splitter.proxy import (
    Answer,
    ClientGone,
    caller_of,
    read,
)
from raylift.serve_runtime.splitter.split import Sticky


def scope(**more):
    return {
        "method": "POST",
        "path": "/chat/a b/é",
        "raw_path": b"/chat/a%20b/%C3%A9",
        "root_path": "/chat",
        "query_string": b"q=%26&r=1",
        "headers": [(b"host", b"h"), (b"te", b"x"), (b"expect", b"100-continue")],
        **more,
    }


def receiver(*parts):
    messages = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
        for index, part in enumerate(parts)
    ]

    async def receive():
        return messages.pop(0)

    return receive


def test_path_query_and_headers_go_through_as_they_came():
    request = asyncio.run(read(scope(), receiver(b"ab", b"c")))
    assert request.target == "/a%20b/%C3%A9?q=%26&r=1"
    assert request.headers == [("host", "h")]
    assert (request.body, request.rest) == (b"abc", None)


def test_without_a_raw_path_it_is_quoted_again():
    found = scope()
    del found["raw_path"]
    assert asyncio.run(read(found, receiver(b""))).target == "/a%20b/%C3%A9?q=%26&r=1"


def test_at_the_root_the_whole_path_goes_through():
    found = scope(root_path="", raw_path=b"/x")
    assert asyncio.run(read(found, receiver(b""))).target == "/x?q=%26&r=1"


def test_a_long_body_is_streamed_not_held():
    async def whole():
        request = await read(scope(), receiver(*[b"x" * 600_000] * 3))
        assert request.rest is not None
        return b"".join([part async for part in request.data])

    assert len(asyncio.run(whole())) == 1_800_000


@pytest.mark.parametrize("held", [0, 2_000_000])
def test_half_a_body_is_never_sent_on_as_a_whole_one(held):
    messages = [
        {"type": "http.request", "body": b"x" * held, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    async def whole():
        request = await read(scope(), receive)
        return [part async for part in request.data]

    with pytest.raises(ClientGone):
        asyncio.run(whole())


@pytest.mark.parametrize(
    ("headers", "sticky", "caller"),
    [
        ([(b"x-user", b"ann")], {"header": "X-User"}, "ann"),
        ([(b"cookie", b"a=1; arm=ann")], {"cookie": "arm"}, "ann"),
    ],
)
def test_who_asks(headers, sticky, caller):
    assert caller_of(headers, Sticky(**sticky)) == (caller, True)


@pytest.mark.parametrize("sticky", [None, {"header": "x-user"}, {"cookie": "arm"}])
def test_who_does_not_say_is_somebody_new_each_time(sticky):
    kind = Sticky(**sticky) if sticky else None
    headers = [(b"cookie", b"\x00;;=bad")]
    found = {caller_of(headers, kind) for _ in range(10)}
    assert len(found) == 10
    assert not any(known for _, known in found)


async def _answered(*headers):
    sent = []

    async def send(message):
        sent.append(message)

    answer = Answer(send, [(b"x-raylift-arm", b"v1")], moved=("/v1", "/chat"))
    await answer.start(307, headers)
    return sent[0]["headers"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (b"/v1/a?b=1", b"/chat/a?b=1"),
        (b"/v1", b"/chat"),
        (b"http://h:8000/v1/a/", b"http://h:8000/chat/a/"),
        (b"/v10/a", b"/v10/a"),
        (b"https://elsewhere/login", b"https://elsewhere/login"),
    ],
)
def test_a_redirect_to_the_arms_route_becomes_ours(theirs, ours):
    assert (b"location", ours) in asyncio.run(_answered((b"location", theirs)))


def test_what_belongs_to_the_connection_does_not_come_back():
    headers = [(b"Connection", b"close"), (b"Transfer-Encoding", b"chunked")]
    headers += [(b"Date", b"now"), (b"X-Request-Id", b"1"), (b"ETag", b"e")]
    found = asyncio.run(_answered(*headers))
    assert found == [(b"ETag", b"e"), (b"x-raylift-arm", b"v1")]
