"""Serve configs that Ray rejects late, ignores or misinterprets."""

# ruff: noqa: E501 a case is a line

from __future__ import annotations

import pytest

HEAD = "applications:\n  - import_path: main:app\n    runtime_env: {working_dir: .}\n"


def _app(text: str) -> str:
    return f"{HEAD}    {text}\n"


def _env(text: str) -> str:
    return HEAD.replace("working_dir: .", text)


def _deployment(text: str) -> str:
    return _app(f"deployments: [{{name: A, {text}}}]")


BUNDLES = "placement_group_bundles: [{CPU: 1}, {CPU: 1}, {CPU: 1}]"
# text, line, key, message
CONFIGS = {
    # YAML 1.2 types
    "a version as a variable": (_env("working_dir: ., env_vars: {A: 1.10}"), 3, "env_vars.A", "must be a string, not a number; put it in quotes"),
    "true as a variable": (_env("working_dir: ., env_vars: {A: true}"), 3, "env_vars.A", "must be a string, not true; put it in quotes"),
    "nothing as a variable": (_env("working_dir: ., env_vars: {A: }"), 3, "env_vars.A", "must be a string, not null"),
    "a number as a name": (_app("name: 12"), 4, "name", "must be a string, not the number 12; put it in quotes"),
    "a time as a port": ("http_options: {port: 12:30:45}\n" + HEAD, 1, "http_options.port", "must be an integer, not the string '12:30:45'"),
    "yes as a switch": (_app("external_scaler_enabled: yes"), 4, "external_scaler_enabled", "must be true or false, not the string 'yes'"),
    "a date as a count": (_deployment("max_ongoing_requests: 2020-01-01"), 4, "max_ongoing_requests", "not the string '2020-01-01'"),
    "a fraction as a count": (_deployment("max_ongoing_requests: 1.0"), 4, "max_ongoing_requests", "must be an integer, not the number 1.0"),
    "a count as text": (_deployment("max_ongoing_requests: '5'"), 4, "max_ongoing_requests", "must be an integer, not the string '5'"),
    # names
    "a name right to left": (_app('name: "\\u202eabc"'), 4, "name", "must contain only letters"),
    "a name of an emoji": (_app("name: 🚀"), 4, "name", "must contain only letters"),
    "a name of letters with dots on": (_app("name: küche"), 4, "name", "must contain only letters"),
    "a name of 300 letters": (_app(f"name: {'a' * 300}"), 4, "name", "at most 63 characters"),
    "a name of two dots": (_app("name: .."), 4, "name", "must contain only letters"),
    "a name with a hash": (_app("name: 'a#b'"), 4, "name", "must contain only letters"),
    "a name that ends a line": (_app('name: "abc\\n"'), 4, "name", "must contain only letters"),
    # routes
    "no route": (_app("route_prefix: ''"), 4, "route_prefix", "must start with '/'"),
    "two slashes": (_app("route_prefix: //"), 4, "route_prefix", "must not end with '/'"),
    "two slashes inside": (_app("route_prefix: /a//b"), 4, "route_prefix", "must not contain '//'"),
    "a way up": (_app("route_prefix: /a/../b"), 4, "route_prefix", "must not contain '/..'"),
    "a way to itself": (_app("route_prefix: /./b"), 4, "route_prefix", "must not contain '/.'"),
    "a bell in a route": (_app('route_prefix: "/a\\a"'), 4, "route_prefix", r"must not contain '\x07'"),
    "a line break in a route": (_app('route_prefix: "/a\\nb"'), 4, "route_prefix", r"must not contain '\n'"),
    "a question in a route": (_app("route_prefix: /a?b"), 4, "route_prefix", "must not contain '?'"),
    "an escape in a route": (_app("route_prefix: /a%20b"), 4, "route_prefix", "must not contain '%'"),
    "an umlaut in a route": (_app("route_prefix: /ü"), 4, "route_prefix", "must not contain 'ü'"),
    "a backslash in a route": (_app("route_prefix: /a\\b"), 4, "route_prefix", r"must not contain '\'"),
    "a route of Ray's": (_app("route_prefix: /-/healthz"), 4, "route_prefix", "routes under /-/ are reserved by Ray"),
    # values of import_path
    "a dot before": (HEAD.replace("main:app", ".main:app"), 2, "import_path", "must be module:attribute"),
    "a dot before the colon": (HEAD.replace("main:app", "main.:app"), 2, "import_path", "must be module:attribute"),
    "a dot at the end": (HEAD.replace("main:app", "main:app."), 2, "import_path", "must be module:attribute"),
    "a digit first": (HEAD.replace("main:app", "2main:app"), 2, "import_path", "no module '2main'"),
    "a number": (HEAD.replace("main:app", "12"), 2, "import_path", "must be a string, not the number 12"),
    "DAGDriver": (HEAD.replace("main:app", "ray.serve.drivers:DAGDriver"), 2, "import_path", "DAGDriver was removed"),
    # runtime_env
    "no folder": (_env("working_dir: ''"), 3, "working_dir", "must not be empty"),
    "a folder that is not there": (_env("working_dir: /no/where"), 3, "working_dir", "/no/where does not exist"),
    "a home directory of an unknown user": (_env("working_dir: ~nobody-here/x"), 3, "working_dir", "~nobody-here/x: not a valid directory name"),
    "a folder with a NUL": (_env('working_dir: "a\\0b"'), 3, "working_dir", r"a\x00b: not a valid directory name"),
    "a folder of 300 letters": (_env(f"working_dir: {'a' * 300}"), 3, "working_dir", "file name too long"),
    "a file for a folder": (_env("working_dir: main.py"), 3, "working_dir", "main.py is not a directory"),
    "an address Ray cannot fetch": (_env("working_dir: 'ftp://x/y.zip'"), 3, "working_dir", "must be a URI (https, s3,"),
    "an address of nothing": (_env("working_dir: 's3://'"), 3, "working_dir", "must be a URI"),
    "a node's folder, not from its root": (_env("working_dir: 'local://a'"), 3, "working_dir", "must be a URI"),
    "a folder as a module": (_env("working_dir: ., py_modules: [./lib]"), 3, "py_modules[0]", "only an application's working_dir can be a local"),
    "a folder of a deployment": (_deployment("ray_actor_options: {runtime_env: {working_dir: .}}"), 4, "working_dir", "only an application's working_dir can be a local"),
    "a folder as a deployment's module": (_deployment("ray_actor_options: {runtime_env: {py_modules: [x]}}"), 4, "py_modules[0]", "must be a URI"),
    # runtime environments that Ray rejects after it has stored the config
    "requirements that are not there": (_env("working_dir: ., pip: requirements.txt"), 3, "runtime_env.pip", "requirements.txt is not a file"),
    "requirements in a mapping that are not there": (_env("working_dir: ., pip: {packages: r.txt}"), 3, "runtime_env.pip", "r.txt is not a file"),
    "an environment that is not there": (_env("working_dir: ., conda: env.yml"), 3, "runtime_env.conda", "env.yml is not a file"),
    "a number for pip": (_env("working_dir: ., pip: 1"), 3, "pip", "must be a list of requirements, not the number 1"),
    "a number in pip": (_env("working_dir: ., pip: [1]"), 3, "pip", "entry 0 must be a string, not the number 1"),
    "pip with a wrong key": (_env("working_dir: ., pip: {packages: [a], check: true}"), 3, "pip.check", "unknown key; did you mean pip_check?"),
    "pip with a word as a switch": (_env("working_dir: ., pip: {packages: [a], pip_check: 'yes'}"), 3, "pip.pip_check", "must be true or false"),
    "pip without packages": (_env("working_dir: ., pip: {pip_check: true}"), 3, "pip.packages", "required but missing"),
    "pip with a number as a version": (_env("working_dir: ., pip: {packages: [a], pip_version: 22.0}"), 3, "pip.pip_version", "must be a string"),
    "uv without packages": (_env("working_dir: ., uv: {uv_check: true}"), 3, "uv.packages", "required but missing"),
    "uv with a text as packages": (_env("working_dir: ., uv: {packages: a}"), 3, "uv.packages", "must be a list"),
    "a list for conda": (_env("working_dir: ., conda: [a]"), 3, "conda", "must be the name of an environment, a file or a mapping, not a list"),
    "pip and conda": (_env("working_dir: ., pip: [a], conda: b"), 3, "runtime_env", "pip cannot be combined with conda"),
    "an empty pip and uv": (_env("working_dir: ., pip: [], uv: [b]"), 3, "runtime_env", "pip cannot be combined with uv"),
    "an image and code": (_env("working_dir: ., image_uri: x/y:1"), 3, "runtime_env", "image_uri cannot be combined with working_dir"),
    "a container and packages": (_env("container: {image: x}, pip: [a]"), 3, "runtime_env", "container cannot be combined with pip"),
    "a timeout as text": (_env("working_dir: ., config: {setup_timeout_seconds: '60'}"), 3, "config.setup_timeout_seconds", "must be an integer, not the string '60'"),
    "no timeout": (_env("working_dir: ., config: {setup_timeout_seconds: 0}"), 3, "config.setup_timeout_seconds", "must be at least 1, or -1 for no timeout, not 0"),
    "a key that the config has not": (_env("working_dir: ., config: {setup_timeout: 60}"), 3, "config.setup_timeout", "unknown key; did you mean setup_timeout_seconds?"),
    "a package without an ending": (_env("working_dir: 's3://b/code'"), 3, "working_dir", "must end in one of .zip, .tar.gz, .tgz, .tar.xz, not the string 's3://b/code'"),
    "a module without an ending": (_env("working_dir: ., py_modules: ['s3://b/mod']"), 3, "py_modules[0]", "must end in one of .zip"),
    "a wheel as a directory": (_env("working_dir: 's3://b/x.whl'"), 3, "working_dir", "must end in one of .zip"),
    "an archive on the nodes": (_env("working_dir: 'local:///x.zip'"), 3, "working_dir", "a local:// URI must name a directory"),
    "no modules": (_env("working_dir: ., py_modules: null"), 3, "py_modules", "must be a list, not null"),
    "a number as a variable": (_env("working_dir: ., env_vars: {TOKEN: 4711}"), 3, "env_vars.TOKEN", "must be a string, not a number; put it in quotes"),
    "a policy by its old name": (_deployment("autoscaling_config: {policy: {name: 'm:f'}}"), 4, "policy.name", "has been ignored since Ray 2.51; use policy_function"),
    "a variable without a name": (_env("working_dir: ., env_vars: {'': x}"), 3, "env_vars", "not a valid environment variable name"),
    "a variable with a sign in it": (_env("working_dir: ., env_vars: {A=B: x}"), 3, "env_vars", "A=…: not a valid environment variable"),
    "more than variables for the controller": ("controller_options: {runtime_env: {pip: [x]}}\n" + HEAD, 1, "controller_options.runtime_env.pip", "unknown key"),
    # keys of an application and of its deployment that cannot be combined
    "an image for a replica": (_deployment("ray_actor_options: {runtime_env: {image_uri: 'x/y:1'}}"), 2, "deployments[0].ray_actor_options.runtime_env", "with that of the application: image_uri cannot be combined with working_dir"),
    "a container for a replica": (_deployment("ray_actor_options: {runtime_env: {container: {image: x}}}"), 2, "runtime_env", "container cannot be combined with working_dir"),
    "conda for a replica": (_env("working_dir: ., pip: [a]") + "    deployments: [{name: A, ray_actor_options: {runtime_env: {conda: base}}}]\n", 2, "runtime_env", "pip cannot be combined with conda"),
    "uv for a replica": (_env("working_dir: ., pip: [a]") + "    deployments: [{name: A, ray_actor_options: {runtime_env: {uv: [a]}}}]\n", 2, "runtime_env", "pip cannot be combined with uv"),
    # secrets in the wrong place
    "a forgotten colon": (_env("working_dir: ., env_vars: DB_PASSWORD=hunter2"), 3, "env_vars", "must be a mapping, not a string"),
    "a forgotten value": (_env("working_dir: ., env_vars: {DB_PASSWORD=hunter2}"), 3, "env_vars.DB_PASSWORD=***", "must be a string, not null"),
    "a requirement with a password": (_env("working_dir: ., pip: 'git+https://me:hunter2@git.example/x'"), 3, "runtime_env.pip", "must be a list of requirements, not 'git+https***"),
    # keys that cannot be combined
    "nothing for options": (_deployment("ray_actor_options: "), 4, "ray_actor_options", "must not be null; set a value or remove the key"),
    "nothing for logging": (_deployment("logging_config: "), 4, "logging_config", "must not be null"),
    "nothing for a policy": (_deployment("autoscaling_config: {policy: }"), 4, "policy", "must not be null"),
    "a level in small letters": (_deployment("logging_config: {log_level: info}"), 4, "log_level", "; did you mean INFO?"),
    "a level between two": (_deployment("logging_config: {log_level: 15}"), 4, "log_level", "must be one of 0, 10, 20, 30, 40, 50"),
    "an attribute no log has": (_deployment("logging_config: {additional_log_standard_attrs: [thred]}"), 4, "additional_log_standard_attrs[0]", "; did you mean thread?"),
    "a label with a space": (_deployment("ray_actor_options: {label_selector: {a: b c}}"), 4, "label_selector", "a: b c: not a valid Ray label selector"),
    "selectors without bundles": (_deployment("placement_group_bundle_label_selector: [{a: b}]"), 4, "deployments[0]", "requires placement_group_bundles"),
    "two selectors for three bundles": (_deployment(f"{BUNDLES}, placement_group_bundle_label_selector: [{{a: b}}, {{a: b}}]"), 4, "deployments[0]", "2 entries for 3 placement_group_bundles"),
    "a gang and a limit on a node": (_deployment("gang_scheduling_config: {gang_size: 2}, max_replicas_per_node: 1"), 4, "deployments[0]", "max_replicas_per_node cannot be combined with gang_scheduling_config"),
    "a gang and a strategy": (_deployment("gang_scheduling_config: {gang_size: 2}, placement_group_strategy: PACK"), 4, "deployments[0]", "placement_group_strategy cannot be combined with gang_scheduling_config"),
    "a gang that autoscaling breaks": (_deployment("num_replicas: auto, autoscaling_config: {max_replicas: 3}, gang_scheduling_config: {gang_size: 2}"), 4, "deployments[0]", "max_replicas 3 is not a multiple of gang_size 2"),
    "a policy Ray has not built": (_deployment("gang_scheduling_config: {gang_size: 1, runtime_failure_policy: RESTART_REPLICA}"), 4, "runtime_failure_policy", "is not implemented in Ray yet"),
    "two scalers": (_app("external_scaler_enabled: true\n    deployments: [{name: A, num_replicas: auto}]"), 2, "applications[0]", "external_scaler_enabled cannot be combined with the autoscaling of 'A'"),
    "a deployment twice": (_app("deployments: [{name: A}, {name: A}]"), 2, "applications[0]", "duplicate name 'A'"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bad_value_is_one_error_with_its_line_and_key(project, name):
    text, line, key, expected = CONFIGS[name]
    errors = project.write(**{"serve.yaml": text}).refused("deploy")
    assert len(errors) == 1
    assert errors[0].startswith(f"serve.yaml:{line}: ")
    assert key in errors[0]
    assert expected in errors[0]


def test_the_form_for_a_single_application_is_one_error(project):
    text = "import_path: main:app\nruntime_env: {}\ndeployments: []\nport: 1\n"
    errors = project.write(**{"serve.yaml": text}).refused("deploy")
    assert len(errors) == 1
    assert errors[0].startswith(
        "serve.yaml:1: import_path: the single-application format is"
    )


def test_three_applications_of_one_name_are_told_with_the_first(project):
    text = HEAD + 2 * HEAD.removeprefix("applications:\n")
    errors = project.write(**{"serve.yaml": text}).refused("deploy")
    what = (
        "name: two applications named 'default'",
        "route_prefix: two applications on the route '/'",
    )
    assert errors == [
        f"serve.yaml:{line}: applications[{index}].{text} (see serve.yaml:2)"
        for index, line in ((1, 4), (2, 6))
        for text in what
    ]


def test_applications_without_a_route_do_not_share_one(project):
    text = _app("name: a\n    route_prefix: null")
    text += text.removeprefix("applications:\n").replace("name: a", "name: b")
    result = project.write(**{"serve.yaml": text}).run("deploy")
    assert result.code == 3


def test_a_message_cannot_forge_a_line_of_its_own(project):
    text = _app('"x\\nerror: all is lost\\u001b[31m": 1')
    errors = project.write(**{"serve.yaml": text}).refused("deploy")
    assert len(errors) == 1
    assert r"x\nerror: all is lost\x1b[31m: unknown key" in errors[0]


def test_words_of_yaml_1_1_are_text_and_nothing_is_said(project):
    text = _env(
        "working_dir: ., env_vars: {A: no, B: on, C: 12:30:45, D: 2020-01-01, E: 1_0x}"
    )
    text += "    args: {a: no, b: 1.10, c: 0o17, d: 010, e: ~}\n    name: no\n"
    assert project.write(**{"serve.yaml": text}).run("deploy").code == 3


GRPC = """
from ray import serve


@serve.deployment
class Model:
    async def Predict(self, request):
        return request


app = Model.bind()
"""
SPLIT = """applications:
- {name: model, route_prefix: /model, import_path: 'main:app', runtime_env: {working_dir: .}}
- name: split
  import_path: raylift.splitter:app
  deployments:
  - name: Splitter
    user_config: {arms: {model: 1}}
"""


POLICY = _deployment(
    "autoscaling_config: {max_replicas: 2, policy: {policy_function: 'my-rules:nightly'}}"
)
ROUTER = _deployment("request_router_config: {request_router_class: 'routers:Mine'}")


@pytest.mark.parametrize(
    ("text", "file", "module"),
    [(POLICY, "my-rules.py", "my-rules"), (ROUTER, "routers/__init__.py", "routers")],
)
def test_a_module_that_only_the_application_has_is_not_for_the_controller(
    project, text, file, module
):
    written = project.write(**{"serve.yaml": text})
    assert written.run("deploy").code == 3  # no stack; the module may be in the image
    (error,) = written.write(**{file: ""}).refused("deploy")
    assert f"Ray's controller cannot import {module}, which is in working_dir" in error


def test_an_arm_that_http_cannot_reach_is_refused(project):
    (error,) = project.write(**{"main.py": GRPC, "serve.yaml": SPLIT}).refused("deploy")
    assert error == (
        "serve.yaml:7: applications[1].deployments[0].user_config: arm 'model' can be"
        " reached only through gRPC, which a splitter does not forward"
    )
