"""Another team's application: times in words, by a newer release of humanize."""

import os

import humanize
from ray import serve
from starlette.requests import Request


@serve.deployment(ray_actor_options={"num_cpus": 0.25})
class Times:
    """Says a number of seconds as people do."""

    def __init__(self) -> None:
        self.language = os.environ["TIMES_LANGUAGE"]

    def __call__(self, request: Request) -> dict[str, str]:
        """`?seconds=7200` is 2 hours, in the language of the environment."""
        humanize.activate(self.language)  # per thread, and each request has its own
        seconds = int(request.query_params["seconds"])
        return {
            "text": humanize.naturaldelta(seconds),
            "humanize": humanize.__version__,
        }


app = Times.bind()
