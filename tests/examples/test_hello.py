"""hello: a function deployment."""

import pytest

pytestmark = pytest.mark.ray


def test_the_function_returns_a_greeting(example):
    assert example.get("/hello?name=Ray") == (200, "Hello Ray!")
