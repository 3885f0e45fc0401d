"""Streaming of tokens as they are generated, until the client disconnects."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query
from ray import serve
from starlette.responses import StreamingResponse

api = FastAPI()


@serve.deployment
@serve.ingress(api)
class Chat:
    """A simulated language model that generates a token every 0.1 s."""

    def __init__(self) -> None:
        """Initialize the counters that `/counts` returns."""
        self.counts = Counter(tokens=0, finished=0, stopped_early=0)

    @api.get("/")
    def chat(self, tokens: Annotated[int, Query(ge=1, le=1000)]) -> StreamingResponse:
        """Return the requested number of tokens as server-sent events."""
        return StreamingResponse(self.events(tokens), media_type="text/event-stream")

    async def events(self, tokens: int) -> AsyncIterator[str]:
        """Yield events; Ray cancels this at an `await` when the client disconnects."""
        try:
            for number in range(tokens):
                await asyncio.sleep(0.1)
                self.counts["tokens"] += 1
                yield f"data: {json.dumps({'token': f'word{number}'})}\n\n"
            yield "data: [DONE]\n\n"
        except (asyncio.CancelledError, GeneratorExit):
            self.counts["stopped_early"] += 1
            raise
        self.counts["finished"] += 1

    @api.get("/counts")
    def look(self) -> dict[str, int]:
        """Return the counters."""
        return self.counts


app = Chat.bind()
