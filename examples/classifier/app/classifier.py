"""A class deployment: each replica loads the model once, before it serves requests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment
class Classifier:
    """A classifier of irises by length and width of their sepals and petals, in cm."""

    def __init__(self, model: str) -> None:
        """Load a model that `train.py` wrote; `model` is relative to this file."""
        content = json.loads(Path(__file__).with_name(model).read_text())
        self.weights = np.array(content["weights"])
        self.bias = np.array(content["bias"])
        self.species = content["species"]

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Classify a JSON list of flowers with four measurements each."""
        flowers = np.array(await request.json(), dtype=float)
        best = (flowers @ self.weights + self.bias).argmax(axis=1)
        return {"species": [self.species[index] for index in best], **where()}


def where() -> dict[str, Any]:
    """Return the GPU that this replica may use and the resources that it reserves."""
    context = ray.get_runtime_context()
    return {
        "gpus": context.get_accelerator_ids()["GPU"],
        "holds": context.get_assigned_resources(),
    }


app = Classifier.bind("iris.json")
