"""A model behind a splitter, so that a canary can roll out its next version."""

from ray import serve
from starlette.requests import Request

VERSION = "v1"


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Model:
    """A simulated model that returns its version."""

    async def __call__(self, _: Request) -> str:
        """Return the version."""
        return VERSION


app = Model.bind()
