"""The splitter: a Serve application that forwards HTTP to other applications.

Runs inside Ray, in replicas; nothing of raylift's commands imports it. An arm is any
application with a route on the same cluster, unchanged: it is asked over HTTP at the
node's own ingress, so that answers stream and Ray balances its replicas. WebSockets
are refused.
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
from ray.serve import metrics
from yarl import URL

from serve_runtime.traffic.relay import (
    Answer,
    ClientGone,
    caller_of,
    prefix_of,
    read,
    refuse,
    set_cookie,
)
from serve_runtime.traffic.split import Split, choose

if TYPE_CHECKING:
    from serve_runtime.traffic.relay import Headers, Message, Receive, Request, Send

_ROUTES_SECONDS = 1.0
# An answer may take its time: the arm's own limits hold.
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=5)
_MIRROR_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
# What aiohttp would add to a request that came without it.
_AUTOMATIC = frozenset(("User-Agent", "Accept", "Accept-Encoding", "Content-Type"))
# Copies in flight at once; more are dropped, so that a slow mirror costs no memory.
_MIRRORED = 100
_LATENCY_MS = [
    5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000,
    7500, 10_000, 15_000, 30_000, 60_000,
]  # fmt: skip


class Arms:
    """The applications of the cluster as the ingress routes them."""

    def __init__(self, ingress: str) -> None:
        self.ingress = ingress
        self.routes: dict[str, str] = {}
        # No limit: Ray's own limits say how much may be in flight.
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=_TIMEOUT,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def follow(self) -> None:
        """Keep the routes current; while the ingress is silent the last ones hold."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                await self.look()
            await asyncio.sleep(_ROUTES_SECONDS)

    async def look(self) -> None:
        """Read the routes; an ingress that has none is one that is just starting."""
        url = f"{self.ingress}/-/routes"
        async with self.session.get(url, raise_for_status=True) as response:
            found = await response.json(content_type=None)
        if found:
            self.routes = {name: route.rstrip("/") for route, name in found.items()}


class Figures:
    """Requests, errors and latencies by arm, in Ray's metrics.

    `role` is serve or mirror. Latency is the time to the first byte of the answer; an
    error is no answer, or one of 500 and above.
    """

    def __init__(self) -> None:
        tags: Any = ("arm", "role")  # Ray says tuple[str] and means this
        self._requests = metrics.Counter(
            "raylift_traffic_requests", "Requests by arm.", tag_keys=tags
        )
        self._errors = metrics.Counter(
            "raylift_traffic_errors", "Requests that failed, by arm.", tag_keys=tags
        )
        self._latency = metrics.Histogram(
            "raylift_traffic_latency_ms",
            "Milliseconds to the first byte of the answer, by arm.",
            boundaries=[float(bound) for bound in _LATENCY_MS],
            tag_keys=tags,
        )

    def count(self, arm: str, *, role: str, status: int, seconds: float | None) -> None:
        """One request, and how long its answer took to begin; None without one."""
        tags = {"arm": arm, "role": role}
        self._requests.inc(tags=tags)
        if status >= 500:  # noqa: PLR2004 the class of server errors
            self._errors.inc(tags=tags)
        if seconds is not None:
            self._latency.observe(seconds * 1000, tags=tags)


class Forward:
    """An ASGI application that forwards each request to one of the arms."""

    def __init__(self, ingress: str) -> None:
        self._arms = Arms(ingress)
        self._figures = Figures()
        self._split: Split | None = None
        self._revert: asyncio.TimerHandle | None = None
        self._copies: set[asyncio.Task[None]] = set()

    async def configure(self, split: Split) -> None:
        """Split so from now on; a lease begins now."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            await self._arms.look()
        self._hold(split)

    def _hold(self, split: Split) -> None:
        self._split = split
        if self._revert:
            self._revert.cancel()
        if split.lease:
            after = split.model_copy(update={"arms": split.lease.arms, "lease": None})
            loop = asyncio.get_running_loop()
            self._revert = loop.call_later(split.lease.seconds, self._hold, after)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection, in ASGI's terms."""
        match scope["type"]:
            case "http":
                with contextlib.suppress(ClientGone):
                    await self._http(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case _:
                await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        following = asyncio.create_task(self._arms.follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        following.cancel()
        await self._arms.session.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        split = self._split
        if split is None:
            await refuse(send, 503, "the splitter has no user_config")
            return
        caller, known = caller_of(scope["headers"], split.sticky)
        arm = choose(split.arms, caller, among=self._arms.routes)
        if arm is None:
            await refuse(send, 503, f"no arm is there: {', '.join(split.arms)}")
            return
        request = await read(scope, receive)
        self._mirror(split, request)
        headers: Headers = [(b"x-raylift-arm", arm.encode())]
        if split.sticky and split.sticky.cookie and not known:
            headers.append(set_cookie(split.sticky.cookie, caller))
        answer = Answer(send, headers, moved=(self._arms.routes[arm], prefix_of(scope)))
        await self._ask(arm, request, answer)

    async def _ask(self, arm: str, request: Request, answer: Answer) -> None:
        began = time.perf_counter()
        try:
            try:
                await self._send(arm, request, answer)
            except aiohttp.ClientConnectionError:
                # An ingress that reloads closes its idle connections; a request that
                # meets this was never read, and is sent on a new one.
                if answer.begun or request.rest:
                    raise
                await self._send(arm, request, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._figures.count(arm, role="serve", status=502, seconds=None)
            if answer.begun:
                raise  # the client must see that the answer is cut off
            await refuse(answer.send, 502, f"arm {arm}: {error or 'no answer'}")
            return
        seconds = answer.begun - began
        self._figures.count(arm, role="serve", status=answer.status, seconds=seconds)

    async def _send(self, arm: str, request: Request, answer: Answer) -> None:
        async with self._asked(arm, request) as response:
            await answer.start(response.status, response.raw_headers)
            async for chunk in response.content.iter_any():
                await answer.chunk(chunk)
            await answer.end()

    def _asked(
        self, arm: str, request: Request, *, timeout: aiohttp.ClientTimeout = _TIMEOUT
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        query = f"?{request.query}" if request.query else ""
        url = f"{self._arms.ingress}{self._arms.routes[arm]}{request.path}{query}"
        return self._arms.session.request(
            request.method,
            URL(url, encoded=True),
            headers=request.headers,
            data=request.data,
            skip_auto_headers=_AUTOMATIC,
            allow_redirects=False,
            timeout=timeout,
        )

    def _mirror(self, split: Split, request: Request) -> None:
        for arm, percent in split.mirror.items():
            chosen = random.uniform(0, 100) < percent  # noqa: S311 no secret
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
            async with self._asked(arm, marked, timeout=_MIRROR_TIMEOUT) as response:
                status, seconds = response.status, time.perf_counter() - began
                await response.read()
        self._figures.count(arm, role="mirror", status=status, seconds=seconds)


def _ingress() -> str:
    """Where this node's own ingress answers."""
    from ray.serve.context import _get_global_client

    client = _get_global_client()
    assert client is not None  # noqa: S101 in a replica there is one
    options = client.http_config
    if options.ssl_certfile:
        raise RuntimeError("a splitter does not work behind http_options.ssl_certfile")
    return f"http://127.0.0.1:{options.port}{options.root_path}"


# On the replica's main loop and without a log line for each request: each request
# passes here on top of what its arm costs.
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
    """The deployment; its `user_config` is a `Split`."""

    def __serve_build_asgi_app__(self) -> Forward:
        """What Ray asks for the ASGI application."""
        self._forward = Forward(_ingress())
        return self._forward

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new weights, live."""
        await self._forward.configure(Split.model_validate(user_config))


app = Splitter.bind()  # type: ignore[attr-defined]
