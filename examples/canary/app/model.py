"""A model behind a splitter, so that its next version can be tried on a few."""

from ray import serve
from starlette.requests import Request

VERSION = "v1"


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Model:
    """Answers with its version."""

    async def __call__(self, _: Request) -> str:
        """Predict."""
        return VERSION


app = Model.bind()
