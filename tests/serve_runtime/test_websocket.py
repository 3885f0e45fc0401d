"""WebSocket connections through the splitter's bridge: real sockets, without Ray."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import pytest
import uvicorn
from aiohttp import WSMsgType, web

from raylift.serve_runtime.splitter import websocket
from raylift.serve_runtime.splitter.arms import Arms

LARGE = 5_000_000


class Bridge:
    """An arm and, in front of it, a server that forwards WebSockets to it.

    `closed` gets the codes with which the arm's connections end.
    """

    def __init__(self):
        self.closed = asyncio.Queue()
        self.session = aiohttp.ClientSession()

    def connect(self, path="/x?q=%26", **options):
        url = f"ws://127.0.0.1:{self.port}/split{path}"
        return self.session.ws_connect(url, max_msg_size=0, **options)

    @contextlib.asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._arm)
        runner = web.AppRunner(app)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        self._arms = Arms(f"http://127.0.0.1:{listener.getsockname()[1]}")
        self._arms.routes = {"arm": "/arm"}
        front = socket.create_server(("127.0.0.1", 0))
        self.port = front.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                self._forward,
                interface="asgi3",
                lifespan="off",
                log_level="warning",
                ws_max_size=LARGE,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[front]))
        try:
            yield self
        finally:
            await self.session.close()
            server.should_exit = True
            await serving
            await self._arms.session.close()
            await runner.cleanup()

    async def _arm(self, request):
        """Echo messages; `close`, `crash` and `reject` end the connection."""
        if "reject" in request.query:
            raise web.HTTPForbidden(text="no key")
        if "move" in request.query:
            raise web.HTTPTemporaryRedirect("/other")
        arm = web.WebSocketResponse(protocols=("v2",), max_msg_size=0)
        await arm.prepare(request)
        await arm.send_json([request.path_qs, request.headers.get("x-key")])
        async for message in arm:
            if message.data == "close":
                await arm.close(code=4001, message=b"enough")
            elif message.data == "garbage":
                await arm._writer.send_frame(b"\xff\xff", WSMsgType.TEXT)
            elif message.data == "crash":
                request.transport.abort()
            elif message.type is WSMsgType.TEXT:
                await arm.send_str(message.data)
            else:
                await arm.send_bytes(message.data)
        await self.closed.put(arm.close_code)
        return arm

    async def _forward(self, scope, receive, send):
        await receive()
        try:
            arm = await self._arms.connect("arm", {**scope, "root_path": "/split"})
        except aiohttp.WSServerHandshakeError as error:
            await websocket.reject(scope, send, error.status, error.message)
            return
        except aiohttp.ClientError as error:
            await websocket.reject(scope, send, 502, str(error))
            return
        async with arm:
            await websocket.accept(send, arm, [(b"x-raylift-arm", b"arm")])
            await websocket.bridge(receive, send, arm)


def through_bridge(scenario):
    async def run():
        async with Bridge().running() as bridge:
            await scenario(bridge)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_messages_of_any_kind_and_size_arrive_unchanged():
    async def scenario(bridge):
        async with bridge.connect(headers={"x-key": "k"}) as client:
            assert await client.receive_json() == ["/arm/x?q=%26", "k"]
            for text in ("", "é", "x" * LARGE):
                await client.send_str(text)
                assert await client.receive_str() == text
            for data in (b"", b"\0\xff", bytes(LARGE)):
                await client.send_bytes(data)
                assert await client.receive_bytes() == data

    through_bridge(scenario)


def test_the_arm_chooses_the_subprotocol():
    async def scenario(bridge):
        async with bridge.connect(protocols=("v1", "v2")) as client:
            assert client.protocol == "v2"
            assert client._response.headers["x-raylift-arm"] == "arm"

    through_bridge(scenario)


def test_the_client_gets_the_arms_closing_code():
    async def scenario(bridge):
        async with bridge.connect() as client:
            await client.receive_json()
            await client.send_str("close")
            closed = await client.receive()
            assert (closed.type, closed.data) == (WSMsgType.CLOSE, 4001)

    through_bridge(scenario)


def test_the_arm_gets_the_clients_closing_code():
    async def scenario(bridge):
        async with bridge.connect() as client:
            await client.receive_json()
            await client.close(code=4002)
        assert await bridge.closed.get() == 4002

    through_bridge(scenario)


def test_the_arm_is_closed_if_the_client_vanishes():
    async def scenario(bridge):
        client = await bridge.connect()
        await client.receive_json()
        client._response.connection.transport.abort()
        assert await bridge.closed.get() == 1000  # uvicorn sees no code

    through_bridge(scenario)


def test_the_client_learns_that_the_arm_crashed():
    async def scenario(bridge):
        async with bridge.connect() as client:
            await client.receive_json()
            await client.send_str("crash")
            closed = await client.receive()
            assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1011)

    through_bridge(scenario)


def test_the_client_gets_the_status_with_which_the_arm_rejects_it():
    async def scenario(bridge):
        with pytest.raises(aiohttp.WSServerHandshakeError) as rejected:
            await bridge.connect("/x?reject=1")
        assert rejected.value.status == 403

    through_bridge(scenario)


def test_a_client_that_never_stops_sending_gets_the_arms_closing_code():
    async def scenario(bridge):
        async with bridge.connect() as client:
            await client.receive_json()

            async def flood():
                with contextlib.suppress(aiohttp.ClientError):
                    await client.send_str("close")
                    while True:
                        await client.send_str("x")

            flooding = asyncio.create_task(flood())
            while (message := await client.receive()).type is WSMsgType.TEXT:
                pass
            flooding.cancel()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 4001)

    through_bridge(scenario)


def test_an_invalid_message_of_the_arm_closes_the_connection():
    async def scenario(bridge):
        async with bridge.connect() as client:
            await client.receive_json()
            await client.send_str("garbage")
            closed = await client.receive()
            assert closed.type is WSMsgType.CLOSE

    through_bridge(scenario)


def test_a_redirect_is_not_followed():
    async def scenario(bridge):
        with pytest.raises(aiohttp.WSServerHandshakeError) as rejected:
            await bridge.connect("/x?move=1")
        assert rejected.value.status == 502

    through_bridge(scenario)
