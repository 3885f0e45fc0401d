"""Two versions of an application, side by side, and a third that only listens."""

from fastapi import FastAPI
from ray import serve

api = FastAPI()


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Greeter:
    """Greets in its own words; knows nothing of the test that it is part of."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
        self.asked = 0

    @api.get("/")
    async def greet(self, name: str) -> dict[str, str]:
        """Greet a person."""
        self.asked += 1
        return {"greeting": f"{self.greeting} {name}"}

    @api.get("/asked")
    async def count(self) -> int:
        """How many people were greeted."""
        return self.asked


formal = Greeter.bind("Good day,")
casual = Greeter.bind("Hi")
shadow = Greeter.bind("Hello")
