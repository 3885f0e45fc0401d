"""A closed-loop load generator with keep-alive connections and little overhead."""

from __future__ import annotations

import asyncio
import time


class _Connection(asyncio.Protocol):
    def __init__(self, path: str, counter: list[int], until: float) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        self._counter, self._until = counter, until
        self._buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or not _complete(head.lower(), body):
            return
        self._counter[0 if head.split(b" ", 2)[1] == b"200" else 1] += 1
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        if time.monotonic() >= self._until:
            self._transport.close()
        else:
            self._transport.write(self._request)


def _complete(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
    return len(body) >= int(length or 0)


async def _run(
    address: tuple[str, int], path: str, connections: int, seconds: float
) -> list[int]:
    counter = [0, 0]
    until = time.monotonic() + seconds
    loop = asyncio.get_running_loop()
    connected = [
        await loop.create_connection(
            lambda: _Connection(path, counter, until), *address
        )
        for _ in range(connections)
    ]
    await asyncio.wait(
        [protocol.done for _, protocol in connected], timeout=seconds + 30
    )
    return counter


def throughput(
    port: int, path: str, *, connections: int, seconds: float, host: str = "127.0.0.1"
) -> float:
    """Return the 200 responses per second.

    Raises:
        AssertionError: More than about 1 % of the responses were not 200.
    """
    good, bad = asyncio.run(_run((host, port), path, connections, seconds))
    assert bad <= good * 0.01, f"{bad} of {good + bad} responses were not 200"
    return good / seconds
