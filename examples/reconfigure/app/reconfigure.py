"""Live configuration: `user_config` changes while the replicas keep serving."""

import os

from ray import serve
from starlette.requests import Request


@serve.deployment
class Classifier:
    """A classifier whose threshold is configuration, not code."""

    def __init__(self) -> None:
        self.pid = os.getpid()  # the constructor runs once per replica

    def reconfigure(self, config: dict[str, float]) -> None:
        """Apply `user_config`: Ray calls this after `__init__` and on every change."""
        if not 0 <= config["threshold"] <= 1:
            raise ValueError(f"threshold must be 0 to 1, not {config['threshold']}")
        self.threshold = config["threshold"]

    def __call__(self, request: Request) -> dict[str, object]:
        """Return whether the score is above the threshold, and the replica's PID."""
        score = float(request.query_params["score"])
        return {
            "positive": score > self.threshold,
            "threshold": self.threshold,
            "pid": self.pid,
        }


app = Classifier.bind()
