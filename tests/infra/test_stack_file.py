"""Stack files: every key is known, every typo is refused, every error has a line."""

from __future__ import annotations

import inspect

import pytest

from raylift.errors import InvalidInput
from raylift.infra.config.base import TARGETS
from raylift.infra.config.loader import checks_of, load_stack_file, model_of
from raylift.infra.local import config as model
from raylift.infra.local.config import LocalConfig
from raylift.strict_model import validate

SECTIONS = (LocalConfig, model.NodeGroup, model.Head, model.Ray, model.Serve)


def _load(folder, text):
    path = folder / "stacks" / "Pulumi.x.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_stack_file(path)


def _typos(key: str) -> list[str]:
    middle = len(key) // 2
    doubled = key[:middle] + key[middle] + key[middle:]
    return [key[:-1], doubled, key[:middle] + key[middle + 1 :]]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_a_typo_in_any_key_is_refused_and_nearly_always_understood(section):
    keys = [field.alias for field in section.model_fields.values()]
    typos = [(key, typo) for key in keys for typo in _typos(key) if typo not in keys]
    understood = 0
    for key, typo in typos:
        _, problems = validate(section, {typo: 1}, location=lambda _: "f:1")
        texts = [p.text for p in problems if p.text.startswith(f"{typo}: unknown key")]
        assert len(texts) == 1
        understood += texts[0].endswith(f"; did you mean {key}?")
    assert understood >= 0.9 * len(typos)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_no_key_of_a_stack_file_is_in_snake_case(section):
    assert all("_" not in field.alias for field in section.model_fields.values())


def test_an_empty_config_is_every_default(tmp_path):
    assert _load(tmp_path, "config:\n") == LocalConfig()
    assert _load(tmp_path, "encryptionsalt: x\n") == LocalConfig()


def test_a_resolved_configuration_reads_back_as_it_was(tmp_path):
    text = (
        "config:\n  raylift:nodeGroups:\n    - {name: l4, numGpus: 1, memory: 16Gi,"
        " labels: {a: b}, resources: {x: 2}}\n  raylift:serve: {port: 8123}\n"
    )
    config = _load(tmp_path, text)
    again = {k.removeprefix("raylift:"): v for k, v in config.resolved().items()}
    assert LocalConfig.model_validate(again) == config


@pytest.mark.parametrize(
    ("size", "expected"),
    [("512Mi", 512 << 20), ("16Gi", 16 << 30), ("1Ki", 1024), ("2Ti", 2 << 40)],
)
def test_a_size_is_in_units_of_1024(tmp_path, size, expected):
    config = _load(tmp_path, f"config: {{raylift:ray: {{objectStoreMemory: {size}}}}}")
    assert config.ray.object_store_memory == expected


MISNAMED = {
    "target: local": "target: unknown key; did you mean raylift:target?",
    "nodegroups: []": "nodegroups: unknown key; did you mean raylift:nodeGroups?",
    "raylift: {target: local}": "raylift: needs a name, such as raylift:target",
    "zzz: 1": "zzz: needs the prefix 'raylift:'",
    "Raylift:serve: {}": "Raylift:serve: unknown key; did you mean raylift:serve?",
    "raylfit:serve: {}": "raylfit:serve: unknown key; did you mean raylift:serve?",
    "raylift:Serve: {}": "raylift:Serve: unknown key; did you mean raylift:serve?",
}


@pytest.mark.parametrize("entry", MISNAMED)
def test_a_key_that_nothing_would_read_is_refused(tmp_path, entry):
    with pytest.raises(InvalidInput) as failed:
        _load(tmp_path, f"config:\n  {entry}\n")
    assert str(failed.value) == f"stacks/Pulumi.x.yaml:2: {MISNAMED[entry]}"


@pytest.mark.parametrize("key", ["aws:region", "myapp:target", "kubernetes:context"])
def test_keys_of_other_programs_are_left_alone(tmp_path, key):
    assert _load(tmp_path, f"config:\n  {key}: x\n") == LocalConfig()


@pytest.mark.parametrize(
    "host", ["http://x", "127.0.0.1:80", "a b", "", "::1", "-a", "a/b", "*", "ü"]
)
def test_a_host_is_a_name_or_an_address_alone(tmp_path, host):
    with pytest.raises(
        InvalidInput, match=r":1: raylift:serve\.host: must be a host name"
    ):
        _load(tmp_path, f"config: {{raylift:serve: {{host: '{host}'}}}}")


@pytest.mark.parametrize("target", TARGETS)
def test_every_check_reads_sections_of_its_target(target):
    for check in checks_of(target):
        assert inspect.signature(check).parameters.keys() <= set(
            model_of(target).model_fields
        )


def test_every_error_of_a_file_is_reported_at_once_in_its_order(tmp_path):
    with pytest.raises(InvalidInput) as failed:
        _load(
            tmp_path,
            "confg: 1\nconfig:\n  raylift:serve: {port: 1}\n  target: x\n"
            "  raylift:ray:\n    head: {numGpus: -1}\n    ingres: 1\n",
        )
    places = [problem.location for problem in failed.value.problems]
    assert places == [f"stacks/Pulumi.x.yaml:{line}" for line in (1, 3, 4, 6, 7)]
