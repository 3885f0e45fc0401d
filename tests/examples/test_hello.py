"""hello: a function deployment."""

import pytest

pytestmark = pytest.mark.ray


def test_a_function_answers(example):
    assert example.get("/hello?name=Ray") == (200, "Hello Ray!")
