"""grpc: unary and streaming calls, and reflection."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from project import ANSWER_SECONDS, make_project, running

pytestmark = pytest.mark.ray

EXAMPLE = Path(__file__).parents[2] / "examples" / "grpc"
SERVICE = "raylift.examples.Translator"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A separate stack: Ray applies grpc_options only when Serve first starts."""
    config = f"""
    raylift:target: local
    raylift:ray:
      head: {{numCpus: 4}}
      env: {{PYTHONPATH: {EXAMPLE / "protos"}}}
    """
    project = make_project(tmp_path_factory.mktemp("grpc"), config=config)
    with running(project) as stack:
        yield stack


@pytest.fixture(scope="module")
def channel(cluster, tmp_path_factory):
    """A channel to the deployed example.

    A first deploy with a missing servicer is refused and has no effect.
    """
    wrong = tmp_path_factory.mktemp("wrong") / "grpc"
    shutil.copytree(EXAMPLE, wrong)
    file = wrong / "serve.yaml"
    file.write_text(file.read_text().replace("translator_pb2_grpc", "no_pb2_grpc"))
    refused = cluster.run("deploy", str(file), code=2)
    assert "no_pb2_grpc" in refused.stderr
    cluster.run("deploy", str(EXAMPLE / "serve.yaml"))
    with grpc.insecure_channel(address(cluster)) as channel:
        yield channel


def test_the_generated_client_gets_responses(channel, cluster):
    result = subprocess.run(
        [sys.executable, EXAMPLE / "client.py", address(cluster), "hello world"],
        env={**os.environ, "PYTHONPATH": str(EXAMPLE / "protos")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "hallo Welt\nh e l l o   w o r l d \n"


def test_a_client_without_generated_code_can_use_reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    reply = method(channel, database, "Translate")("hello you")
    assert reply.text == "hallo you"


def test_a_stream_arrives_message_by_message(channel):
    spell = method(channel, ProtoReflectionDescriptorDatabase(channel), "Spell")
    started = time.monotonic()
    came = [(reply.letter, time.monotonic() - started) for reply in spell("hello")]
    assert "".join(letter for letter, _ in came) == "hello"
    # Each of five letters takes 0.2 s, so the first arrives long before the last.
    assert came[-1][1] - came[0][1] > 0.4


def test_a_missing_application_is_not_found(channel):
    translate = method(channel, ProtoReflectionDescriptorDatabase(channel), "Translate")
    with pytest.raises(grpc.RpcError) as error:
        translate("hello", application="nope")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_no_socket_is_open_to_the_network(channel, cluster):
    assert cluster.open_to_the_network() == []


def test_another_servicer_is_refused_while_serve_runs(channel, cluster, folder):
    file = folder / "serve.yaml"
    file.write_text(file.read_text().replace("translator_pb2_grpc", "other_pb2_grpc"))
    result = cluster.run("deploy", str(file), code=3)
    assert "grpc_options.grpc_servicer_functions" in result.stderr
    translate = method(channel, ProtoReflectionDescriptorDatabase(channel), "Translate")
    assert translate("world").text == "Welt"


def address(cluster) -> str:
    return f"127.0.0.1:{cluster.ports['grpc']}"


def method(channel, database, name: str):
    """Return a method of the service, built from the reflection data."""
    there = DescriptorPool(database).FindServiceByName(SERVICE).FindMethodByName(name)
    request = GetMessageClass(there.input_type)
    kind = channel.unary_stream if there.server_streaming else channel.unary_unary
    call = kind(
        f"/{SERVICE}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=GetMessageClass(there.output_type).FromString,
    )

    def ask(text: str, *, application: str = "grpc"):
        metadata = (("application", application),)
        return call(request(text=text), metadata=metadata, timeout=ANSWER_SECONDS)

    return ask
