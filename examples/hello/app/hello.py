"""A function deployment: the smallest application that Ray Serve has."""

from ray import serve
from starlette.requests import Request


@serve.deployment
def hello(request: Request) -> str:
    """Greet whom the query names."""
    return f"Hello {request.query_params.get('name', 'world')}!"


app = hello.bind()
