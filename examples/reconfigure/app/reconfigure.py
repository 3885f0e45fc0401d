"""Live configuration: `user_config` changes in replicas that go on serving."""

import os

from ray import serve
from starlette.requests import Request


@serve.deployment
class Classifier:
    """A classifier whose threshold is configuration, not code."""

    def __init__(self) -> None:
        self.pid = os.getpid()  # what is loaded here is loaded once

    def reconfigure(self, config: dict[str, float]) -> None:
        """Ray calls this after the constructor and on every change of user_config."""
        if not 0 <= config["threshold"] <= 1:
            raise ValueError(f"threshold {config['threshold']} is not in 0..1")
        self.threshold = config["threshold"]

    def __call__(self, request: Request) -> dict[str, object]:
        """Say whether the score is over the threshold, and which process says so."""
        score = float(request.query_params["score"])
        return {
            "positive": score > self.threshold,
            "threshold": self.threshold,
            "pid": self.pid,
        }


app = Classifier.bind()
