"""A model with structured log lines that contain the request ID."""

import logging
import os

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

log = logging.getLogger("ray.serve")


@serve.deployment
class Model:
    """A simulated model that doubles a number; MODEL_VERSION stands for its weights."""

    def __init__(self) -> None:
        self.version = os.environ["MODEL_VERSION"]

    def __call__(self, number: float) -> float:
        """Return the prediction."""
        log.info("predicting", extra={"number": number, "version": self.version})
        return 2 * number


@serve.deployment
class Gateway:
    """An ingress that parses the request and calls the model."""

    def __init__(self, model: DeploymentHandle) -> None:
        self.model = model

    async def __call__(self, request: Request) -> float:
        """Return 42 for `?number=21`."""
        return await self.model.remote(float(request.query_params["number"]))


app = Gateway.bind(Model.bind())
