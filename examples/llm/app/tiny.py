"""A language model of 52 kB, in place of an engine such as vLLM."""

import json
import random
from collections.abc import Iterator
from pathlib import Path


class TinyModel:
    """A table of the characters that follow each context; see `train.py`.

    A token is one character.
    """

    def __init__(self, weights: str) -> None:
        self.follows: dict[str, str] = json.loads(Path(weights).read_text())
        self.order = max(map(len, self.follows))

    def generate(self, prompt: str, *, max_tokens: int, seed: int) -> Iterator[str]:
        """Continue the prompt up to a period; the same seed generates the same text."""
        choice = random.Random(seed)  # noqa: S311 - not for secrets
        text = prompt.strip() + " "
        for _ in range(max_tokens):
            text += choice.choice(self._after(text))
            yield text[-1]
            if text[-1] == ".":
                return

    def _after(self, text: str) -> str:
        for length in range(self.order, 0, -1):
            if found := self.follows.get(text[-length:]):
                return found
        return " "
