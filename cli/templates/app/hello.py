"""A Ray Serve application. Edit it, then run `raylift deploy` again."""

from ray import serve
from starlette.requests import Request


@serve.deployment
class Hello:
    """Greets the name in the query string."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def __call__(self, request: Request) -> str:
        name = request.query_params.get("name", "world")
        return f"{self.greeting}, {name}!"


app = Hello.bind("Hello")
