"""Backpressure: excess requests are refused immediately, so the others wait less."""

import asyncio

from ray import serve
from starlette.requests import Request


@serve.deployment(
    max_ongoing_requests=2,
    max_queued_requests=4,
    backpressure_config={"status_code": 429, "retry_after_s": 3},
)
class Model:
    """A model that takes 0.5 s per request and processes two requests at a time."""

    async def __call__(self, _: Request) -> str:
        """Return after 0.5 s."""
        await asyncio.sleep(0.5)
        return "done"


app = Model.bind()
