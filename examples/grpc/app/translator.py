"""A gRPC service: methods of a deployment are the methods of the service."""

import time
from collections.abc import Iterator

from ray import serve
from translator_pb2 import SpellReply, TranslateReply, TranslateRequest

WORDS = {"hello": "hallo", "world": "Welt"}


@serve.deployment
class Translator:
    """Serves raylift.examples.Translator of translator.proto."""

    def Translate(self, request: TranslateRequest) -> TranslateReply:  # noqa: N802
        """Unary: one message in, one out."""
        words = request.text.split()
        return TranslateReply(text=" ".join(WORDS.get(word, word) for word in words))

    def Spell(self, request: TranslateRequest) -> Iterator[SpellReply]:  # noqa: N802
        """Streaming: each yield is a message, sent as it is said."""
        for letter in request.text:
            time.sleep(0.2)
            yield SpellReply(letter=letter)


app = Translator.bind()
