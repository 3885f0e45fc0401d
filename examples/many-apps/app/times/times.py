"""Another team's application: it formats durations with a newer humanize release."""

import os

import humanize
from ray import serve
from starlette.requests import Request


@serve.deployment(ray_actor_options={"num_cpus": 0.25})
class Times:
    """A formatter of durations in seconds."""

    def __init__(self) -> None:
        self.language = os.environ["TIMES_LANGUAGE"]

    def __call__(self, request: Request) -> dict[str, str]:
        """Return `?seconds=7200` as 2 hours, in the language of TIMES_LANGUAGE."""
        humanize.activate(self.language)  # per thread; each request has its own thread
        seconds = int(request.query_params["seconds"])
        return {
            "text": humanize.naturaldelta(seconds),
            "humanize": humanize.__version__,
        }


app = Times.bind()
