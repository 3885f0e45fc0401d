"""A client of the service. Usage: `client.py HOST:PORT TEXT`."""

import sys

import grpc
from translator_pb2 import TranslateRequest
from translator_pb2_grpc import TranslatorStub

# The target application. Optional if only one application is deployed.
APPLICATION = (("application", "grpc"),)


def main(address: str, text: str) -> None:
    """Print the translation of the text, then its letters as they arrive."""
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
