"""WebSocket connections that a splitter forwards, as ASGI messages.

This module does not depend on Ray.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import ClientWebSocketResponse, WSMsgType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raylift.serve_runtime.splitter.proxy import Headers, Message, Receive, Send

# aiohttp sets these itself.
_HANDSHAKE = "sec-websocket-"
# No close message may contain these (RFC 6455, 7.4.1).
_NO_STATUS, _ABNORMAL = 1005, 1006
_NORMAL, _INTERNAL_ERROR = 1000, 1011
_CLOSE_SECONDS = 10.0


def without_handshake(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a request's headers without those of the handshake."""
    return [(k, v) for k, v in headers if not k.lower().startswith(_HANDSHAKE)]


async def accept(send: Send, arm: ClientWebSocketResponse, headers: Headers) -> None:
    """Accept the client's connection with the subprotocol that the arm chose."""
    await send(
        {"type": "websocket.accept", "subprotocol": arm.protocol, "headers": headers}
    )


async def reject(scope: Message, send: Send, status: int, text: str) -> None:
    """Reject a connection, with an HTTP status if the server supports that."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _INTERNAL_ERROR})
        return
    kind = "websocket.http.response"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": f"{text}\n".encode()})


async def bridge(receive: Receive, send: Send, arm: ClientWebSocketResponse) -> None:
    """Forward messages in both directions until one side closes; then close both."""
    to_arm = asyncio.create_task(_to_arm(receive, arm))
    to_client = asyncio.create_task(_to_client(arm, send))
    try:
        await asyncio.wait((to_arm, to_client), return_when=asyncio.FIRST_COMPLETED)
        if to_arm.done() and not to_arm.exception():
            await arm.close(code=to_arm.result())
            return
        # A message to an arm that is closing fails before the last one from it is read.
        await asyncio.wait((to_client,), timeout=_CLOSE_SECONDS)
        if not to_client.done():
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR})
        elif not to_client.exception():  # otherwise, the client is gone
            await send({"type": "websocket.close", "code": to_client.result()})
    finally:
        to_arm.cancel()
        to_client.cancel()
        await asyncio.gather(to_arm, to_client, return_exceptions=True)


async def _to_arm(receive: Receive, arm: ClientWebSocketResponse) -> int:
    """Forward the client's messages; return the code with which it closed."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return _closing(message.get("code"))
        if (text := message.get("text")) is not None:
            await arm.send_str(text)
        else:
            await arm.send_bytes(message["bytes"])


async def _to_client(arm: ClientWebSocketResponse, send: Send) -> int:
    """Forward the arm's messages; return the code with which it closed."""
    async for message in arm:
        if message.type is WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        else:  # an invalid message
            break
    return _closing(arm.close_code)


def _closing(code: int | None) -> int:
    """Return a code that a close message may contain."""
    if code in (None, _ABNORMAL):
        return _INTERNAL_ERROR
    return _NORMAL if code == _NO_STATUS else code
