"""An OpenAI-compatible endpoint with the interface of `ray.serve.llm`.

`build_openai_app` takes the same arguments as the function of that name in
`ray.serve.llm`. To serve a real model, change the import path and the arguments: see
`serve-gpu.yaml`.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from tiny import TinyModel

api = FastAPI()


class Message(BaseModel):
    """One message of the chat."""

    role: str
    content: str


class ChatRequest(BaseModel):
    """The fields of an OpenAI request that the tiny model supports."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool = False
    max_tokens: Annotated[int, Field(ge=1, le=1000)] = 200
    seed: int = 0


@serve.deployment
class LLMServer:
    """A deployment that loads one model and streams its tokens."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.model = TinyModel(config["model_loading_config"]["model_source"])

    async def chat(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield tokens one by one, as an engine generates them."""
        prompt = request.messages[-1].content
        for token in self.model.generate(
            prompt, max_tokens=request.max_tokens, seed=request.seed
        ):
            await asyncio.sleep(0.01)
            yield token


# Define these two functions before the class: `serve.ingress` pickles the routes
# immediately, with only the names that the module has defined so far.
def _finish_reason(text: str) -> str:
    return "stop" if text.endswith(".") else "length"


async def _events(
    head: dict[str, Any], tokens: AsyncIterator[str]
) -> AsyncIterator[str]:
    def event(delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"

    text = ""
    yield event({"role": "assistant"})
    async for token in tokens:
        text += token
        yield event({"content": token})
    yield event({}, _finish_reason(text))
    yield "data: [DONE]\n\n"


@serve.deployment
@serve.ingress(api)
class OpenAiIngress:
    """An ingress with OpenAI's HTTP API; it calls the server of the requested model."""

    def __init__(self, servers: dict[str, DeploymentHandle]) -> None:
        self.servers = {
            model: server.options(stream=True) for model, server in servers.items()
        }

    @api.get("/v1/models")
    def models(self) -> dict[str, Any]:
        """List the models."""
        data = [
            {"id": model, "object": "model", "created": 0, "owned_by": "raylift"}
            for model in self.servers
        ]
        return {"object": "list", "data": data}

    @api.post("/v1/chat/completions", response_model=None)
    async def chat(self, request: ChatRequest) -> dict[str, Any] | StreamingResponse:
        """Return one document, or stream server-sent events."""
        if request.model not in self.servers:
            raise HTTPException(404, f"model '{request.model}' not found")
        tokens = self.servers[request.model].chat.remote(request)
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": request.model,
        }
        if request.stream:
            return StreamingResponse(
                _events(head, tokens), media_type="text/event-stream"
            )
        text = "".join([token async for token in tokens])
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": _finish_reason(text),
        }
        return {**head, "object": "chat.completion", "choices": [choice]}


def build_openai_app(args: dict[str, Any]) -> Application:
    """Build one server for each entry of `llm_configs`, behind one ingress."""
    servers = {}
    for config in args["llm_configs"]:
        model = config["model_loading_config"]["model_id"]
        options = config.get("deployment_config", {})
        deployment = LLMServer.options(name=f"LLMServer:{model}", **options)
        servers[model] = deployment.bind(config)
    return OpenAiIngress.bind(servers)
