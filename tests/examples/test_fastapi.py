"""fastapi: validation, documentation, a WebSocket, and a key that callers must send."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from project import ANSWER_SECONDS
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "fastapi"
KEY = "a key for this test"
TEXTS = {"texts": ["one two three", "four", "five six"]}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(f"{KEY}\n")
    return file


@pytest.fixture(scope="module")
def example(stack, key_file):
    """The deployed example, with a key file outside the home directory."""
    copy = key_file.parent / "fastapi"
    shutil.copytree(FOLDER, copy)
    text = (FOLDER / "serve.yaml").read_text()
    changed = text.replace("~/.fastapi-example-key", str(key_file))
    assert changed != text
    (copy / "serve.yaml").write_text(changed)
    stack.run("deploy", str(copy / "serve.yaml"))
    yield stack
    stack.run("delete", "fastapi")


def _ask(example, path, body=None, *, key=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{example.ports['serve']}/fastapi{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"}
        | ({"X-API-Key": key} if key else {}),
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_routes_accept_path_query_and_body_parameters(example):
    assert _ask(example, "/models") == (200, ["length", "words"])
    found = _ask(example, "/models/words/scores?top=2", TEXTS, key=KEY)
    best = [{"text": "one two three", "score": 3}, {"text": "five six", "score": 2}]
    assert found == (200, best)


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/models/other/scores", TEXTS, ["path", "model"]),
        ("/models/words/scores?top=0", TEXTS, ["query", "top"]),
        ("/models/words/scores", {"texts": ["a", ""]}, ["body", "texts", 1]),
        ("/models/words/scores", {}, ["body", "texts"]),
    ],
)
def test_the_response_names_the_invalid_parameter(example, path, body, where):
    status, answer = _ask(example, path, body, key=KEY)
    assert status == 422
    assert [error["loc"] for error in answer["detail"]] == [where]


@pytest.mark.parametrize("key", [None, "", "wrong", KEY[:-1], f"{KEY}x"])
def test_scoring_requires_the_key(example, key):
    assert _ask(example, "/models/words/scores", TEXTS, key=key)[0] == 401
    url = f"ws://127.0.0.1:{example.ports['serve']}/fastapi/models/words/stream"
    headers = {} if key is None else {"X-API-Key": key}
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=headers, open_timeout=ANSWER_SECONDS)
    assert refused.value.response.status_code in (401, 403)


def test_a_websocket_answers_each_message(example):
    url = f"ws://127.0.0.1:{example.ports['serve']}/fastapi/models/words/stream"
    headers = {"X-API-Key": KEY}
    with connect(
        url, additional_headers=headers, open_timeout=ANSWER_SECONDS
    ) as socket:
        for text, score in [("one", 1), ("two words", 2), ("", 0)]:
            socket.send(text)
            assert json.loads(socket.recv(timeout=ANSWER_SECONDS)) == {"score": score}


def test_the_documentation_describes_the_routes(example):
    status, page = example.get("/fastapi/docs")
    assert status == 200
    assert "/fastapi/openapi.json" in page
    _, document = _ask(example, "/openapi.json")
    operation = document["paths"]["/models/{model}/scores"]["post"]
    assert [p["name"] for p in operation["parameters"]] == ["model", "top", "x-api-key"]
    assert document["components"]["schemas"]["Texts"]["required"] == ["texts"]


def test_a_new_key_does_not_require_a_deploy(example, key_file):
    key_file.write_text("another")
    assert _ask(example, "/models/words/scores", TEXTS, key=KEY)[0] == 401
    assert _ask(example, "/models/words/scores", TEXTS, key="another")[0] == 200


@pytest.mark.long
def test_without_a_key_the_deploy_fails_and_reports_why(example, key_file):
    key_file.write_text("\n")
    file = key_file.parent / "fastapi" / "serve.yaml"
    file.write_text(file.read_text().replace("name: fastapi", "name: keyless"))
    file.write_text(file.read_text().replace("/fastapi\n", "/keyless\n"))
    result = example.run("deploy", str(file), code=6)
    assert "the file that API_KEY_FILE names is empty" in result.stderr
