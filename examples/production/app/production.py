"""What production adds to a model: its own log lines, with the id of the request."""

import logging
import os

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

log = logging.getLogger("ray.serve")


@serve.deployment
class Model:
    """Doubles a number; MODEL_VERSION stands for the weights that it would load."""

    def __init__(self) -> None:
        self.version = os.environ["MODEL_VERSION"]

    def __call__(self, number: float) -> float:
        """Predict."""
        log.info("predicting", extra={"number": number, "version": self.version})
        return 2 * number


@serve.deployment
class Gateway:
    """Parses the request and asks the model."""

    def __init__(self, model: DeploymentHandle) -> None:
        self.model = model

    async def __call__(self, request: Request) -> float:
        """Answer `?number=21` with 42."""
        return await self.model.remote(float(request.query_params["number"]))


app = Gateway.bind(Model.bind())
