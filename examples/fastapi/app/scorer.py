"""A FastAPI ingress: routes, validation, documentation, dependencies, a websocket."""

import os
import secrets
from pathlib import Path as File
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, WebSocket
from pydantic import BaseModel, Field
from ray import serve

api = FastAPI(title="Scorer", version="1.0.0")


def read_key() -> bytes:
    """Read the key that callers must send, from the file that API_KEY_FILE names."""
    key = File(os.environ["API_KEY_FILE"]).expanduser().read_bytes().strip()
    if not key:
        raise ValueError("the file that API_KEY_FILE names is empty")
    return key


def require_key(x_api_key: Annotated[str, Header()] = "") -> None:
    """Let nobody in without the key; compare without telling how much was right."""
    if not secrets.compare_digest(x_api_key.encode(), read_key()):
        raise HTTPException(401, "the header X-API-Key lacks or is wrong")


class Texts(BaseModel):
    """What to score."""

    texts: list[Annotated[str, Field(min_length=1)]] = Field(max_length=32)


class Score(BaseModel):
    """A text and its score."""

    text: str
    score: float


ModelName = Annotated[str, Path(pattern="^(length|words)$")]


@serve.deployment
@serve.ingress(api)
class Scorer:
    """Scores texts by one of two simulated models; who scores needs the key."""

    def __init__(self) -> None:
        """Fail here, and so the deploy, if there is no key."""
        read_key()
        self.models = {"length": len, "words": lambda text: len(text.split())}

    @api.get("/models")
    def list_models(self) -> list[str]:
        """Name the models; open to everybody."""
        return list(self.models)

    @api.post("/models/{model}/scores", dependencies=[Depends(require_key)])
    def score(
        self,
        model: ModelName,
        body: Texts,
        top: Annotated[int, Query(ge=1, le=32)] = 10,
    ) -> list[Score]:
        """Score texts and return the best of them."""
        scores = [Score(text=t, score=self.models[model](t)) for t in body.texts]
        return sorted(scores, key=lambda score: -score.score)[:top]

    @api.websocket("/models/{model}/stream", dependencies=[Depends(require_key)])
    async def stream(self, websocket: WebSocket, model: ModelName) -> None:
        """Score each message as it comes, on one connection."""
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_json({"score": self.models[model](text)})


app = Scorer.bind()
