"""One team's application, which formats sizes with an old release of humanize."""

import os

import humanize
from ray import serve
from starlette.requests import Request


@serve.deployment(ray_actor_options={"num_cpus": 0.25})
class Sizes:
    """A formatter of sizes in bytes."""

    def __init__(self) -> None:
        self.binary = os.environ["SIZES_UNITS"] == "binary"

    def __call__(self, request: Request) -> dict[str, str]:
        """Return `?bytes=1000000` as 976.6 KiB or 1.0 MB, depending on SIZES_UNITS."""
        size = int(request.query_params["bytes"])
        return {
            "text": humanize.naturalsize(size, binary=self.binary),
            "humanize": humanize.__version__,
        }


app = Sizes.bind()
