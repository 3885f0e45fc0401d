"""Many models on few replicas: each replica holds some, and forgets the least used."""

import asyncio
import os
from collections import Counter
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

HEADER = "serve_multiplexed_model_id"  # Ray's name for it


class Model:
    """A simulated model, made for one customer."""

    def __init__(self, model_id: str, counts: Counter[str]) -> None:
        self.model_id = model_id
        self.counts = counts
        self.uses = 0
        self.loaded = True
        counts["loads"] += 1

    def __call__(self, prompt: str) -> str:
        """Answer in the customer's name."""
        self.uses += 1
        return f"{self.model_id}: {prompt}"

    def __del__(self) -> None:
        """Free what the model holds. Ray calls this to evict it, and Python again."""
        if self.loaded:
            self.loaded = False
            self.counts["evictions"] += 1


@serve.deployment
class Models:
    """Holds two models; Ray sends a request to the replica that has its model."""

    def __init__(self) -> None:
        """Start with no model."""
        self.counts = Counter(loads=0, evictions=0)

    @serve.multiplexed(max_num_models_per_replica=2)
    async def load(self, model_id: str) -> Model:
        """Load a model that this replica does not hold."""
        await asyncio.sleep(0.1)
        return Model(model_id, self.counts)

    async def __call__(self, prompt: str) -> dict[str, Any]:
        """Answer with the model that the caller asked for."""
        model = await self.load(serve.get_multiplexed_model_id())
        answer = model(prompt)
        replica = {"pid": os.getpid(), **self.counts}
        return {"answer": answer, "uses": model.uses, "replica": replica}


@serve.deployment
class Ingress:
    """Hands the model id on: a handle knows which replica has which model.

    HAProxy does not. If `Models` were the ingress itself, each of its replicas would be
    asked for each model.
    """

    def __init__(self, models: DeploymentHandle) -> None:
        """Take the deployment that holds the models."""
        self.models = models

    async def __call__(self, request: Request) -> Response:
        """Refuse a request that names no model; Ray would let it through."""
        model_id = serve.get_multiplexed_model_id()
        if not model_id:
            return JSONResponse({"error": f"the header {HEADER} is missing"}, 400)
        handle = self.models.options(multiplexed_model_id=model_id)
        return JSONResponse(await handle.remote(request.query_params["prompt"]))


app = Ingress.bind(Models.bind())
