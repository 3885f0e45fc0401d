"""Values of one environment, merged into a Serve config."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylift.errors import InvalidInput
from raylift.serve_runtime.serve_config import config
from raylift.serve_runtime.serve_config.values import with_values
from raylift.yaml_document import Document, parse

CONFIG = """
logging_config: {encoding: JSON, log_level: INFO}
applications:
- name: chat
  import_path: chat:app
  args: {model: small}
  runtime_env: {env_vars: {MODE: dev, LEVEL: "1"}}
  deployments:
  - {name: Model, num_replicas: 1, user_config: {words: [a, b], limit: 3}}
- import_path: main:app
  route_prefix: /main
"""


def merged(values, base=CONFIG):
    return with_values(parse(base, name="serve.yaml"), parse(values, name="prod.yaml"))


def test_values_replace_those_of_the_same_names_and_leave_the_others():
    document = merged("""
logging_config: {log_level: WARNING}
applications:
- name: default
  args: {size: 2}
- name: chat
  runtime_env: {env_vars: {MODE: prod}}
  deployments:
  - {name: Router, num_replicas: 2}
  - {name: Model, num_replicas: 8, user_config: {words: [c]}}
""")
    chat, main = document.value["applications"]
    assert document.value["logging_config"] == {
        "encoding": "JSON",
        "log_level": "WARNING",
    }
    assert main == {
        "import_path": "main:app",
        "route_prefix": "/main",
        "name": "default",
        "args": {"size": 2},
    }
    assert chat["args"] == {"model": "small"}
    assert chat["runtime_env"] == {"env_vars": {"MODE": "prod", "LEVEL": "1"}}
    assert chat["deployments"] == [
        {
            "name": "Model",
            "num_replicas": 8,
            "user_config": {"words": ["c"], "limit": 3},
        },
        {"name": "Router", "num_replicas": 2},
    ]


def test_each_value_has_the_location_of_its_own_file():
    document = merged("""
applications:
- name: chat
  deployments:
  - name: Model
    user_config:
      words: [c]
  - name: Router
""")
    model = ("applications", 0, "deployments", 0)
    assert document.location((*model, "user_config", "words", 0)) == "prod.yaml:7"
    assert document.location((*model, "user_config", "limit")) == "serve.yaml:9"
    assert document.location((*model, "num_replicas")) == "serve.yaml:9"
    assert (
        document.location(("applications", 0, "deployments", 1, "x")) == "prod.yaml:8"
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("[]", "prod.yaml:1: must be a mapping, not a list"),
        (
            "applications: [{name: chat}, {name: chat}]",
            "prod.yaml:1: applications[1].name: duplicate name 'chat'",
        ),
        (
            "applications: [{name: caht}]",
            (
                "prod.yaml:1: applications[0].name: no application 'caht' in"
                " serve.yaml; did you mean chat?"
            ),
        ),
    ],
)  # fmt: skip
def test_values_that_fit_no_config_are_refused(values, problem):
    with pytest.raises(InvalidInput) as refused:
        merged(values)
    assert [f"{each.location}: {each.text}" for each in refused.value.problems] == [
        problem
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("applications: 3", "prod.yaml:1: applications: must be a list, not the"),
        ("\nproxy_locatio: x", "prod.yaml:2: proxy_locatio: unknown key"),
        (
            "applications:\n- {name: chat, deployments: [{num_replicas: 1}]}",
            "prod.yaml:2: applications[0].deployments[1].name: required but missing",
        ),
        (
            "applications:\n- name: chat\n  import_path: 7",
            "prod.yaml:3: applications[0].import_path: must be",
        ),
    ],
)  # fmt: skip
def test_an_error_is_reported_in_the_file_it_is_in(values, problem, tmp_path):
    (tmp_path / "chat.py").write_text("app = 1")
    with pytest.raises(InvalidInput) as refused:
        config.check(merged(values), folder=tmp_path)
    (found,) = refused.value.problems
    assert f"{found.location}: {found.text}".startswith(problem)


@pytest.mark.parametrize("base", ["[]", "x: 1"])
def test_values_add_no_applications_to_a_config_without_any(base):
    document = merged("applications: [{name: chat}]", base)
    assert "chat" not in str(document.value)


_any_value = st.recursive(
    st.none() | st.integers() | st.sampled_from(["a", "b", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "applications", "deployments", "x"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    base=_any_value,
    values=st.dictionaries(st.sampled_from(["applications", "x"]), _any_value),
)
def test_any_two_documents_merge_and_no_value_of_the_config_is_changed(base, values):
    before = repr(base)
    try:
        document = with_values(Document("f", base, {}), Document("g", values, {}))
    except InvalidInput:
        assert "applications" in values
    else:
        assert document.location(("applications", 0, "deployments", 0)) in ("f", "g")
    assert repr(base) == before
