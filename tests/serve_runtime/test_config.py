# ruff: noqa: E501 a case is a line
"""Serve configs: accepted values, the resulting applications, and errors."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylift.errors import InvalidInput
from raylift.serve_runtime.serve_config.config import (
    ServeConfig,
    check,
    from_import_path,
    load,
)
from raylift.serve_runtime.serve_config.source import SourceInfo
from raylift.yaml_document import Document

CODE = "from ray import serve\n@serve.deployment\nclass A: pass\napp = A.bind()\n"


def _load(folder: Path, text: str) -> ServeConfig:
    (folder / "main.py").write_text(CODE)
    (folder / "serve.yaml").write_text(text, encoding="utf-8")
    return load(folder / "serve.yaml", name="serve.yaml")


def test_what_ray_receives_is_what_the_file_says_and_the_two_keys_that_name_it(
    tmp_path,
):
    config = _load(
        tmp_path,
        "proxy_location: HeadOnly\napplications:\n- import_path: main:app\n"
        "  runtime_env: {working_dir: .}\n  args: {x: 1.10, y: no}\n",
    )
    (application,) = config.applications
    assert application.document == {
        "name": "default", "route_prefix": "/", "import_path": "main:app",
        "runtime_env": {"working_dir": "."}, "args": {"x": 1.1, "y": "no"},
    }  # fmt: skip
    assert application.directory == tmp_path
    assert application.location == "serve.yaml:3"
    assert application.facts == SourceInfo({"A": {}}, complete=True)
    assert config.options == {"proxy_location": "HeadOnly"}


def test_a_relative_folder_is_relative_to_the_file_not_to_the_shell(
    tmp_path, monkeypatch
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(CODE)
    monkeypatch.chdir("/")
    config = _load(
        tmp_path,
        "applications: [{import_path: 'main:app', runtime_env: {working_dir: code}}]",
    )
    assert config.applications[0].directory == tmp_path / "code"


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = _load(
        tmp_path,
        "applications: [{import_path: 'main:app', runtime_env: {working_dir: '~'}}]",
    )
    assert config.applications[0].directory == tmp_path


@pytest.mark.parametrize(
    "uri",
    [
        "https://h/a.zip", "s3://b/a.zip", "gs://b/a.zip", "file:///a.zip",
        "local:///srv/app", "abfss://c@a.dfs.core.windows.net/a.zip",
    ],
)  # fmt: skip
def test_code_at_an_address_is_left_to_ray(tmp_path, uri):
    config = _load(
        tmp_path,
        f"applications: [{{import_path: 'x:app', runtime_env: {{working_dir: '{uri}'}}}}]",
    )
    assert config.applications[0].directory is None
    assert config.applications[0].facts == SourceInfo()


def test_the_document_that_was_read_is_not_changed(tmp_path):
    value = {"applications": [{"import_path": "m:a", "runtime_env": {"pip": ["m"]}}]}
    before = copy.deepcopy(value)
    check(Document("f", value, {}), folder=tmp_path)
    assert value == before


def test_a_module_on_the_command_line_is_one_application_from_here(tmp_path):
    (tmp_path / "main.py").write_text(CODE)
    config = from_import_path("main:app", name="a", route_prefix="/a", folder=tmp_path)
    (application,) = config.applications
    assert (application.name, application.document["route_prefix"]) == ("a", "/a")
    assert application.directory == tmp_path
    assert application.location == "command line"


def test_all_that_is_wrong_on_the_command_line_is_told_by_its_key(tmp_path):
    with pytest.raises(InvalidInput) as failed:
        from_import_path("main", name="", route_prefix="x", folder=tmp_path)
    keys = sorted(str(p).split(": ")[1] for p in failed.value.problems)
    assert keys == ["--name", "--route-prefix", "main"]


KEYS = [
    "applications",
    "name",
    "route_prefix",
    "import_path",
    "runtime_env",
    "working_dir",
    "deployments",
    "num_replicas",
    "autoscaling_config",
    "min_replicas",
    "max_replicas",
    "args",
    "http_options",
    "port",
    "logging_config",
    "log_level",
    "ray_actor_options",
    "num_gpus",
    "gang_scheduling_config",
    "gang_size",
    "placement_group_bundles",
    "env_vars",
    "pip",
    "py_modules",
    "x",
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70_000), st.floats(allow_nan=False),
    st.sampled_from(["", ".", "m:a", "/", "/a", "auto", "INFO", "s3://b/a.zip", "a/" * 9]),
    st.text(max_size=6),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(value=values, application=st.dictionaries(st.sampled_from(KEYS), values))
def test_no_value_makes_the_check_raise_anything_but_input_failed(value, application):
    application = {"import_path": "m:a", **application}
    for whole in (value, {"applications": [application, value]}):
        assert _outcome(whole) in ("taken", "refused")


def _outcome(value: object) -> str:
    try:
        config = check(Document("f", value, {(): 1}), folder=Path("/nonexistent"))
    except InvalidInput as failed:
        places = {problem.location for problem in failed.problems}
        return "refused" if places <= {"f", "f:1"} else str(places)
    json.dumps([a.document for a in config.applications])  # Ray receives JSON
    return "taken"
