"""Many models on few replicas, which unload the least recently used models."""

import asyncio
import os
from collections import Counter
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

HEADER = "serve_multiplexed_model_id"  # the header that Ray reads


class Model:
    """A simulated model for one customer."""

    def __init__(self, model_id: str, counts: Counter[str]) -> None:
        self.model_id = model_id
        self.counts = counts
        self.uses = 0
        self.loaded = True
        counts["loads"] += 1

    def __call__(self, prompt: str) -> str:
        """Return an answer that starts with the model ID."""
        self.uses += 1
        return f"{self.model_id}: {prompt}"

    def __del__(self) -> None:
        """Release the resources of the model.

        Ray calls this to evict the model, and Python calls it a second time.
        """
        if self.loaded:
            self.loaded = False
            self.counts["evictions"] += 1


@serve.deployment
class Models:
    """A deployment whose replicas hold two models each.

    Ray sends a request to a replica that has loaded the requested model.
    """

    def __init__(self) -> None:
        """Start without a model."""
        self.counts = Counter(loads=0, evictions=0)

    @serve.multiplexed(max_num_models_per_replica=2)
    async def load(self, model_id: str) -> Model:
        """Load a model that this replica has not loaded."""
        await asyncio.sleep(0.1)
        return Model(model_id, self.counts)

    async def __call__(self, prompt: str) -> dict[str, Any]:
        """Return the answer of the requested model."""
        model = await self.load(serve.get_multiplexed_model_id())
        answer = model(prompt)
        replica = {"pid": os.getpid(), **self.counts}
        return {"answer": answer, "uses": model.uses, "replica": replica}


@serve.deployment
class Ingress:
    """An ingress that passes on the model ID.

    A handle knows which replica has loaded which model; HAProxy does not. If `Models`
    were the ingress, every replica would receive requests for every model.
    """

    def __init__(self, models: DeploymentHandle) -> None:
        """Store the handle of the deployment that holds the models."""
        self.models = models

    async def __call__(self, request: Request) -> Response:
        """Forward a request; refuse one without a model ID, which Ray would accept."""
        model_id = serve.get_multiplexed_model_id()
        if not model_id:
            return JSONResponse({"error": f"the header {HEADER} is missing"}, 400)
        handle = self.models.options(multiplexed_model_id=model_id)
        return JSONResponse(await handle.remote(request.query_params["prompt"]))


app = Ingress.bind(Models.bind())
