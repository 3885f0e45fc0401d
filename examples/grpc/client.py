"""Call the service: client.py HOST:PORT TEXT."""

import sys

import grpc
from translator_pb2 import TranslateRequest
from translator_pb2_grpc import TranslatorStub

# Which application is meant; may be left out while there is only one.
APPLICATION = (("application", "grpc"),)


def main(address: str, text: str) -> None:
    """Translate the text, then spell it as the letters come."""
    with grpc.insecure_channel(address) as channel:
        stub = TranslatorStub(channel)
        request = TranslateRequest(text=text)
        reply = stub.Translate(request, metadata=APPLICATION, timeout=10)
        sys.stdout.write(f"{reply.text}\n")
        for message in stub.Spell(request, metadata=APPLICATION, timeout=10):
            sys.stdout.write(f"{message.letter} ")
            sys.stdout.flush()
        sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
