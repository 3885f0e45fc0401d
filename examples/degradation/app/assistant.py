"""Graceful degradation: a small model answers where the large one cannot in time."""

import asyncio

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

CONTEXT = 1000


@serve.deployment
class Large:
    """The model one wants, simulated: slow, few at a time, with a context that ends."""

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Take the time that an answer needs, without a restart."""
        self.seconds = user_config["seconds"]

    async def __call__(self, prompt: str) -> str:
        """Answer at length."""
        if len(prompt) > CONTEXT:
            raise ValueError(f"the prompt has more than {CONTEXT} characters")
        await asyncio.sleep(self.seconds)
        return f"A long answer to: {prompt}"


@serve.deployment
class Small:
    """The model one falls back to, simulated: it always has time."""

    async def __call__(self, prompt: str) -> str:
        """Answer briefly."""
        return f"In short: {prompt[:CONTEXT]}"


@serve.deployment
class Assistant:
    """The ingress: asks the large model, and the small one if that does not answer."""

    def __init__(self, large: DeploymentHandle, small: DeploymentHandle) -> None:
        """Take the two models."""
        self.large = large
        self.small = small

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Take the time that the large model has."""
        self.deadline = user_config["deadline_s"]

    async def __call__(self, request: Request) -> dict[str, str]:
        """Answer, and say by which model; `because` is what kept the large one."""
        prompt = request.query_params["prompt"]
        response = self.large.remote(prompt)
        try:
            async with asyncio.timeout(self.deadline):
                return {"model": "large", "answer": await response}
        except TimeoutError:
            # Late work must not hold one of the few places of the large model.
            response.cancel()
            because = "late"
        except BackPressureError:
            because = "full"
        except RayError as error:
            because = f"failed: {type(error).__name__}"
        answer = await self.small.remote(prompt)
        return {"model": "small", "answer": answer, "because": because}


app = Assistant.bind(Large.bind(), Small.bind())
