"""Graceful degradation: a small model answers if the large one fails or is late."""

import asyncio

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

CONTEXT = 1000


@serve.deployment
class Large:
    """A simulated large model: slow, few concurrent requests, and a limited context."""

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Set the duration of an answer without a restart."""
        self.seconds = user_config["seconds"]

    async def __call__(self, prompt: str) -> str:
        """Return a long answer."""
        if len(prompt) > CONTEXT:
            raise ValueError(f"the prompt has more than {CONTEXT} characters")
        await asyncio.sleep(self.seconds)
        return f"A long answer to: {prompt}"


@serve.deployment
class Small:
    """A simulated small model, the fallback, which always has capacity."""

    async def __call__(self, prompt: str) -> str:
        """Return a short answer."""
        return f"In short: {prompt[:CONTEXT]}"


@serve.deployment
class Assistant:
    """The ingress, which calls the small model if the large one does not answer."""

    def __init__(self, large: DeploymentHandle, small: DeploymentHandle) -> None:
        """Store the handles of the two models."""
        self.large = large
        self.small = small

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Set the deadline of the large model without a restart."""
        self.deadline = user_config["deadline_s"]

    async def __call__(self, request: Request) -> dict[str, str]:
        """Return the answer and the name of the model that gave it.

        `because` is the reason that the large model did not answer.
        """
        prompt = request.query_params["prompt"]
        response = self.large.remote(prompt)
        try:
            async with asyncio.timeout(self.deadline):
                return {"model": "large", "answer": await response}
        except TimeoutError:
            # A late call must not occupy one of the few slots of the large model.
            response.cancel()
            because = "late"
        except BackPressureError:
            because = "full"
        except RayError as error:
            because = f"failed: {type(error).__name__}"
        answer = await self.small.remote(prompt)
        return {"model": "small", "answer": answer, "because": because}


app = Assistant.bind(Large.bind(), Small.bind())
