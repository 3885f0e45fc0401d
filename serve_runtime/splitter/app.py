"""The splitter, a Serve application that forwards requests to other applications.

It runs in Ray's replicas; no raylift command imports it. An arm is any application with
a route on the same cluster. The splitter sends it requests through the node's ingress,
which streams responses and balances replicas.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
from ray import serve

from raylift.serve_runtime.splitter import websocket
from raylift.serve_runtime.splitter.arm_metrics import ArmMetrics
from raylift.serve_runtime.splitter.arms import Arms
from raylift.serve_runtime.splitter.proxy import (
    Answer,
    ClientGone,
    caller_of,
    prefix_of,
    read,
    refuse,
    set_cookie,
)
from raylift.serve_runtime.splitter.split import Split, choose

if TYPE_CHECKING:
    from raylift.serve_runtime.splitter.proxy import (
        Headers,
        Message,
        Receive,
        Request,
        Send,
    )

_MIRROR_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
# Maximum of mirrored requests in flight; more are dropped to limit memory.
_MIRRORED = 100


class Forward:
    """An ASGI application that forwards each request to one of the arms."""

    def __init__(self, ingress: str) -> None:
        self._arms = Arms(ingress)
        self._metrics = ArmMetrics()
        self._split: Split | None = None
        self._revert: asyncio.TimerHandle | None = None
        self._copies: set[asyncio.Task[None]] = set()

    async def configure(self, split: Split) -> None:
        """Apply a split and start its lease."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            await self._arms.refresh()
        self._apply(split)

    def _apply(self, split: Split) -> None:
        self._split = split
        if self._revert:
            self._revert.cancel()
        if split.lease:
            after = split.model_copy(update={"arms": split.lease.arms, "lease": None})
            loop = asyncio.get_running_loop()
            self._revert = loop.call_later(split.lease.seconds, self._apply, after)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        match scope["type"]:
            case "http":
                with contextlib.suppress(ClientGone):
                    await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        refreshing = asyncio.create_task(self._arms.follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        refreshing.cancel()
        await self._arms.session.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        arm, headers = self._choose(scope)
        if not self._split or not arm:
            await refuse(send, 503, self._no_arm())
            return
        request = await read(scope, receive)
        self._mirror(self._split, request)
        answer = Answer(send, headers, moved=(self._arms.routes[arm], prefix_of(scope)))
        await self._ask(arm, request, answer)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        arm, headers = self._choose(scope)
        if not arm:
            await websocket.reject(scope, send, 503, self._no_arm())
            return
        began, status, text = time.perf_counter(), 101, ""
        try:
            connection = await self._arms.connect(arm, scope)
        except aiohttp.WSServerHandshakeError as error:
            status, text = error.status, f"arm {arm}: {error.message}"
        except (aiohttp.ClientError, TimeoutError) as error:
            status, text = 502, f"arm {arm}: {error or 'no response'}"
        seconds = None if status == 502 else time.perf_counter() - began  # noqa: PLR2004
        self._metrics.count(arm, role="serve", status=status, seconds=seconds)
        if text:
            await websocket.reject(scope, send, status, text)
            return
        async with connection:
            await websocket.accept(send, connection, headers)
            await websocket.bridge(receive, send, connection)

    def _choose(self, scope: Message) -> tuple[str | None, Headers]:
        """Return an arm, None if none is available, and the headers for the client."""
        if self._split is None:
            return None, []
        sticky = self._split.sticky
        caller, known = caller_of(scope["headers"], sticky)
        arm = choose(self._split.arms, caller, among=self._arms.routes)
        headers: Headers = [(b"x-raylift-arm", (arm or "").encode())]
        if sticky and sticky.cookie and not known:
            headers.append(set_cookie(sticky.cookie, caller))
        return arm, headers

    def _no_arm(self) -> str:
        if self._split is None:
            return "the splitter has no user_config"
        return f"no arm is available: {', '.join(self._split.arms)}"

    async def _ask(self, arm: str, request: Request, answer: Answer) -> None:
        began = time.perf_counter()
        try:
            try:
                await self._send(arm, request, answer)
            except aiohttp.ClientConnectionError:
                # A reloading ingress closes idle connections. It has not read the
                # request, which can therefore be sent again on a new connection.
                if answer.begun or request.rest:
                    raise
                await self._send(arm, request, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._metrics.count(arm, role="serve", status=502, seconds=None)
            if answer.begun:
                raise  # the client must see that the response is incomplete
            await refuse(answer.send, 502, f"arm {arm}: {error or 'no response'}")
            return
        seconds = answer.begun - began
        self._metrics.count(arm, role="serve", status=answer.status, seconds=seconds)

    async def _send(self, arm: str, request: Request, answer: Answer) -> None:
        async with self._arms.request(arm, request) as response:
            await answer.start(response.status, response.raw_headers)
            async for chunk in response.content.iter_any():
                await answer.chunk(chunk)
            await answer.end()

    def _mirror(self, split: Split, request: Request) -> None:
        for arm, percent in split.mirror.items():
            chosen = random.uniform(0, 100) < percent  # noqa: S311 not a secret
            room = request.rest is None and len(self._copies) < _MIRRORED
            if chosen and room and arm in self._arms.routes:
                copy = asyncio.create_task(self._copy(arm, request))
                self._copies.add(copy)
                copy.add_done_callback(self._copies.discard)

    async def _copy(self, arm: str, request: Request) -> None:
        status, seconds = 502, None
        began = time.perf_counter()
        marked = replace(request, headers=[*request.headers, ("x-raylift-mirror", "1")])
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._arms.request(
                arm, marked, timeout=_MIRROR_TIMEOUT
            ) as response:
                status, seconds = response.status, time.perf_counter() - began
                await response.read()
        self._metrics.count(arm, role="mirror", status=status, seconds=seconds)


def _ingress() -> str:
    """Return the URL of this node's ingress."""
    from ray.serve.context import _get_global_client

    client = _get_global_client()
    assert client is not None  # noqa: S101 every replica has one
    options = client.http_config
    if options.ssl_certfile:
        raise RuntimeError("a splitter does not support http_options.ssl_certfile")
    return f"http://127.0.0.1:{options.port}{options.root_path}"


# To minimize the latency of requests, the splitter runs on the main loop of the replica
# and writes no access log.
_ENVIRONMENT = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
}


@serve.deployment(
    max_ongoing_requests=10_000,
    max_surge_percent=100,
    ray_actor_options={"num_cpus": 0.1, "runtime_env": {"env_vars": _ENVIRONMENT}},
    logging_config={"log_level": "WARNING", "enable_access_log": False},
)
@serve.ingress()
class Splitter:
    """The deployment of a splitter; its `user_config` is a `Split`."""

    def __serve_build_asgi_app__(self) -> Forward:
        """Return the ASGI application for Ray."""
        self._forward = Forward(_ingress())
        return self._forward

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply a new `user_config` without a restart."""
        await self._forward.configure(Split.model_validate(user_config))


app = Splitter.bind()  # type: ignore[attr-defined]
