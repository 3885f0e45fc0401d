"""llm: OpenAI's endpoints, with one document and with a stream as the response."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from project import ANSWER_SECONDS

pytestmark = pytest.mark.ray

EXAMPLE = Path(__file__).parents[2] / "examples" / "llm"
QUESTION = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "A deployment is"}],
}


def test_the_models_are_listed(example):
    status, text = example.get("/llm/v1/models")
    assert status == 200
    assert [model["id"] for model in json.loads(text)["data"]] == ["tiny"]


def test_an_answer_uses_words_of_the_corpus_and_depends_on_the_seed(example):
    answers = [answer_of(example, seed=seed) for seed in (0, 0, 1)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]
    assert {reason for _, reason in answers} == {"stop"}
    corpus = (EXAMPLE / "corpus.txt").read_text().split()
    assert all(word in corpus for text, _ in answers for word in text.split())


def test_max_tokens_limits_an_answer(example):
    text, _ = answer_of(example)
    assert answer_of(example, max_tokens=7) == (text[:7], "length")


def test_a_stream_contains_the_same_text_and_ends_as_openai_specifies(example):
    text, reason = answer_of(example)
    came = []
    started = time.monotonic()
    with post(example, {**QUESTION, "stream": True}) as answer:
        assert answer.headers.get_content_type() == "text/event-stream"
        for line in answer:
            if line.strip():
                kind, _, data = line.decode().strip().partition(": ")
                assert kind == "data"
                came.append((data, time.monotonic() - started))
    assert came[-1][0] == "[DONE]"
    choices = [json.loads(data)["choices"][0] for data, _ in came[:-1]]
    assert choices[0]["delta"] == {"role": "assistant"}
    pieces = [c["delta"]["content"] for c in choices if "content" in c["delta"]]
    assert len(pieces) > 20
    assert "".join(pieces) == text
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == [reason]
    # Each token takes 10 ms, so the first arrives well before the last.
    assert came[-1][1] - came[0][1] > 0.005 * len(pieces)


def test_a_missing_model_is_not_found(example):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        post(example, {**QUESTION, "model": "nope"})


def test_the_gpu_file_changes_the_import_path_to_ray_serve_llm(example):
    result = example.run("deploy", str(EXAMPLE / "serve-gpu.yaml"), "--dry-run")
    assert '"chat:build_openai_app" → "ray.serve.llm:build_openai_app"' in result.stdout


@pytest.mark.long
def test_train_writes_the_committed_weights(folder):
    weights = folder / "app" / "tiny.json"
    committed = weights.read_bytes()
    weights.unlink()
    subprocess.run([sys.executable, folder / "train.py"], check=True)
    assert weights.read_bytes() == committed


def post(example, body: dict):
    request = urllib.request.Request(
        f"http://127.0.0.1:{example.ports['serve']}/llm/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=ANSWER_SECONDS)


def answer_of(example, **options: int) -> tuple[str, str]:
    with post(example, {**QUESTION, **options}) as answer:
        (choice,) = json.load(answer)["choices"]
    return choice["message"]["content"], choice["finish_reason"]
