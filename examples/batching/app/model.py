"""Dynamic batching: requests that arrive at about the same time share a model call."""

import asyncio
from typing import Any

from ray import serve
from starlette.requests import Request

SECONDS = 0.2  # duration of a call, for one text or for many


class Model:
    """A simulated model on a device that processes one call at a time."""

    def __init__(self) -> None:
        self.device = asyncio.Lock()

    async def __call__(self, texts: list[str]) -> list[dict[str, Any]]:
        """Process all texts in one call."""
        async with self.device:
            await asyncio.sleep(SECONDS)
        return [{"length": len(text), "batch": len(texts)} for text in texts]


@serve.deployment
class Batched:
    """A deployment that collects requests, up to a number and time, into one call."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = Model()

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Set the batch size and the wait time without a restart."""
        self.predict.set_max_batch_size(user_config["max_batch_size"])
        self.predict.set_batch_wait_timeout_s(user_config["batch_wait_timeout_s"])

    @serve.batch
    async def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """Return one result for each of the batched calls."""
        return await self.model(texts)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Call `predict` with one text; Ray combines concurrent calls into a batch."""
        return await self.predict(request.query_params["text"])


@serve.deployment
class Unbatched:
    """The same deployment without batching, for comparison."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = Model()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Call the model for this request only."""
        return (await self.model([request.query_params["text"]]))[0]


batched = Batched.bind()
unbatched = Unbatched.bind()
