"""A gRPC service whose methods are the methods of a deployment."""

import time
from collections.abc import Iterator

from ray import serve
from translator_pb2 import SpellReply, TranslateReply, TranslateRequest

WORDS = {"hello": "hallo", "world": "Welt"}


@serve.deployment
class Translator:
    """An implementation of `raylift.examples.Translator` from `translator.proto`."""

    def Translate(self, request: TranslateRequest) -> TranslateReply:  # noqa: N802
        """Return the translation in one message (unary)."""
        words = request.text.split()
        return TranslateReply(text=" ".join(WORDS.get(word, word) for word in words))

    def Spell(self, request: TranslateRequest) -> Iterator[SpellReply]:  # noqa: N802
        """Stream the letters; each `yield` sends one message."""
        for letter in request.text:
            time.sleep(0.2)
            yield SpellReply(letter=letter)


app = Translator.bind()
