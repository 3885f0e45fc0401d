"""Two versions of an application that share traffic, and a third that gets copies."""

from fastapi import FastAPI
from ray import serve

api = FastAPI()


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Greeter:
    """A greeter, which needs no code for the A/B test."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
        self.asked = 0

    @api.get("/")
    async def greet(self, name: str) -> dict[str, str]:
        """Return a greeting."""
        self.asked += 1
        return {"greeting": f"{self.greeting} {name}"}

    @api.get("/asked")
    async def count(self) -> int:
        """Return the number of greetings."""
        return self.asked


formal = Greeter.bind("Good day,")
casual = Greeter.bind("Hi")
shadow = Greeter.bind("Hello")
