"""A function deployment: the smallest possible Ray Serve application."""

from ray import serve
from starlette.requests import Request


@serve.deployment
def hello(request: Request) -> str:
    """Return a greeting for the name in the query."""
    return f"Hello {request.query_params.get('name', 'world')}!"


app = hello.bind()
