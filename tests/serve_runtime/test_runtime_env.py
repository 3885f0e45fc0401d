"""The rules of a runtime_env: what Ray rejects is rejected here, and little else."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raylift.serve_runtime.serve_config import runtime_env as ours
from raylift.serve_runtime.serve_config.environment_files import inline_files
from raylift.strict_model import validate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ray._private.utils import parse_runtime_env_for_task_or_actor
    from ray.serve._private.utils import override_runtime_envs_except_env_vars
    from ray.serve.schema import RayActorOptionsSchema

_WORDS = st.sampled_from(["", "x", "torch==2.0", "requirements.txt", "env.yml", "base"])
_SCALARS = st.none() | st.booleans() | st.integers(-2, 700) | st.floats() | _WORDS
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["packages", "A"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_SCHEMES = ["s3", "gs", "https", "http", "file", "gcs", "azure", "abfss", "local"]
_PATHS = ["b/x", "/x", "x", "[x", "b/x/", "b/x?v=1", "b/x#1", "b/.", ""]
_ENDINGS = [
    "",
    ".zip",
    ".whl",
    ".tar.gz",
    ".tgz",
    ".tar.xz",
    ".tar.bz2",
    ".jar",
    ".ZIP",
]
_URIS = st.builds(
    "{}://{}{}".format,
    st.sampled_from([*_SCHEMES, "ftp"]),
    st.sampled_from(_PATHS),
    st.sampled_from(_ENDINGS),
)


def _mapping(required, **optional):
    return st.fixed_dictionaries(required, optional=optional)


_STRINGS = st.lists(_WORDS | _SCALARS, max_size=2)
_PIP = _mapping(
    {},
    packages=_STRINGS | _VALUES,
    pip_check=st.booleans() | _SCALARS,
    pip_version=_WORDS | _SCALARS,
    pip_install_options=_STRINGS | _SCALARS,
    extra=_WORDS,
)
_UV = _mapping(
    {},
    packages=_STRINGS | _VALUES,
    uv_check=st.booleans() | _SCALARS,
    uv_version=_WORDS | _SCALARS,
    uv_pip_install_options=_STRINGS | _SCALARS,
)
_CONFIG = _mapping(
    {},
    setup_timeout_seconds=st.integers(-3, 3) | _SCALARS,
    eager_install=st.booleans() | _SCALARS,
    log_files=_STRINGS | _SCALARS,
)
_ENVIRONMENTS = _mapping(
    {},
    working_dir=_URIS | _SCALARS,
    py_modules=st.lists(_URIS, max_size=2) | _VALUES,
    pip=_STRINGS | _PIP | _VALUES,
    uv=_STRINGS | _UV | _VALUES,
    conda=_WORDS | _VALUES,
    container=_mapping({}, image=_WORDS) | st.none(),
    image_uri=_WORDS | st.none(),
    excludes=_STRINGS | _VALUES,
    env_vars=st.dictionaries(_WORDS, _SCALARS, max_size=2) | st.none(),
    config=_CONFIG | _VALUES,
    java_jars=st.none() | st.lists(_WORDS, max_size=1),
)
# Ray accepts these, and the application then fails: pip installs no number, and a
# process has no variable "". Ray ignores unknown keys.
_FAILS_LATER = ("env_vars", "pip.packages")


def _problems(value, folder):
    """Return what raylift reports about a runtime_env of a deployment."""
    _, found = validate(ours.ReplicaRuntimeEnv, value, location=lambda _: "")
    if found:
        return [problem.text for problem in found]
    return [f"{key}: {text}" for key, text in inline_files(dict(value), folder=folder)]


def _rejection(value):
    """Return why Ray would not start a replica in a runtime_env, or ""."""
    try:
        RayActorOptionsSchema.model_validate({"runtime_env": value})
        parsed = parse_runtime_env_for_task_or_actor(dict(value))
        if parsed is not None:
            parsed.serialize()
    except Exception as error:  # noqa: BLE001 Ray raises many types
        return f"{type(error).__name__}: {error}"
    return ""


def _is_stricter(problem):
    return problem.startswith(_FAILS_LATER) or problem.endswith(
        ("unknown key", "must be an integer, not true")
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory in which no file of the generated values exists."""
    return tmp_path_factory.mktemp("beside")


@settings(max_examples=3000)
@given(value=_ENVIRONMENTS)
def test_raylift_and_ray_agree(folder, value):
    problems, rejection = _problems(value, folder), _rejection(value)
    if rejection:
        assert problems, rejection
    else:
        assert all(_is_stricter(problem) for problem in problems), problems


def test_only_pip_reads_its_packages_from_a_file(folder):
    assert _problems({"conda": {"packages": "env.yml"}}, folder) == []
    assert _problems({"pip": {"packages": "env.yml"}}, folder) != []


_PAIRED = {
    "pip": ["a"],
    "uv": ["a"],
    "conda": "base",
    "image_uri": "x:1",
    "container": {"image": "x"},
    "env_vars": {"A": "b"},
    "excludes": ["x"],
    "working_dir": "https://a/b.zip",
    "py_modules": ["https://a/b.zip"],
    "config": {"setup_timeout_seconds": 9},
    "worker_process_setup_hook": "m.f",
}
_VALID = st.lists(st.sampled_from(sorted(_PAIRED)), max_size=3, unique=True).map(
    lambda keys: {key: _PAIRED[key] for key in keys}
)


@settings(max_examples=1000)
@given(application=_VALID, deployment=_VALID)
def test_raylift_and_ray_agree_on_the_environment_of_a_replica(
    folder, application, deployment
):
    """A deployment's keys override those of its application."""
    pair = application, deployment
    assume(not any(_problems(each, folder) for each in pair))
    merged = override_runtime_envs_except_env_vars(*pair)
    found = ours.conflict(*map(ours.RuntimeEnv.model_validate, pair))
    assert bool(found) == bool(_rejection(merged)), (merged, _rejection(merged))
