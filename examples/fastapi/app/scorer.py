"""A FastAPI ingress: routes, validation, documentation, dependencies, a WebSocket."""

import os
import secrets
from pathlib import Path as File
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, WebSocket
from pydantic import BaseModel, Field
from ray import serve

api = FastAPI(title="Scorer", version="1.0.0")


def read_key() -> bytes:
    """Return the key that callers must send, from the file that API_KEY_FILE names."""
    key = File(os.environ["API_KEY_FILE"]).expanduser().read_bytes().strip()
    if not key:
        raise ValueError("the file that API_KEY_FILE names is empty")
    return key


def require_key(x_api_key: Annotated[str, Header()] = "") -> None:
    """Reject requests without the key; compare keys in constant time."""
    if not secrets.compare_digest(x_api_key.encode(), read_key()):
        raise HTTPException(401, "the header X-API-Key is missing or wrong")


class Texts(BaseModel):
    """The texts to score."""

    texts: list[Annotated[str, Field(min_length=1)]] = Field(max_length=32)


class Score(BaseModel):
    """A text and its score."""

    text: str
    score: float


ModelName = Annotated[str, Path(pattern="^(length|words)$")]


@serve.deployment
@serve.ingress(api)
class Scorer:
    """A deployment that scores texts with one of two simulated models.

    Scoring requires the key.
    """

    def __init__(self) -> None:
        """Raise an error if the key is missing, so that the deploy fails."""
        read_key()
        self.models = {"length": len, "words": lambda text: len(text.split())}

    @api.get("/models")
    def list_models(self) -> list[str]:
        """Return the names of the models; this route requires no key."""
        return list(self.models)

    @api.post("/models/{model}/scores", dependencies=[Depends(require_key)])
    def score(
        self,
        model: ModelName,
        body: Texts,
        top: Annotated[int, Query(ge=1, le=32)] = 10,
    ) -> list[Score]:
        """Return the texts with the best scores."""
        scores = [Score(text=t, score=self.models[model](t)) for t in body.texts]
        return sorted(scores, key=lambda score: -score.score)[:top]

    @api.websocket("/models/{model}/stream", dependencies=[Depends(require_key)])
    async def stream(self, websocket: WebSocket, model: ModelName) -> None:
        """Score each message of a WebSocket connection as it arrives."""
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_json({"score": self.models[model](text)})


app = Scorer.bind()
