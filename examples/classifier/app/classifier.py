"""A class deployment: its model is loaded once per replica, before it serves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment
class Classifier:
    """Tells irises apart by the lengths of their sepals and petals in cm."""

    def __init__(self, model: str) -> None:
        """Load a model that `train.py` wrote; its path is relative to this file."""
        content = json.loads(Path(__file__).with_name(model).read_text())
        self.weights = np.array(content["weights"])
        self.bias = np.array(content["bias"])
        self.species = content["species"]

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Classify a JSON list of flowers, four lengths each."""
        flowers = np.array(await request.json(), dtype=float)
        best = (flowers @ self.weights + self.bias).argmax(axis=1)
        return {"species": [self.species[index] for index in best], **where()}


def where() -> dict[str, Any]:
    """Say which GPU this replica may use, and what of its node it holds."""
    context = ray.get_runtime_context()
    return {
        "gpus": context.get_accelerator_ids()["GPU"],
        "holds": context.get_assigned_resources(),
    }


app = Classifier.bind("iris.json")
