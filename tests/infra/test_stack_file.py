"""A stack file: every key is known, every slip is refused, nothing else is raised."""

from __future__ import annotations

import pytest

from infra.local import config as model
from infra.local.config import LocalConfig
from infra.stack_file import load_stack_file
from raylift.errors import InputFailed
from raylift.model import validate

SECTIONS = (LocalConfig, model.NodeGroup, model.Head, model.Ray, model.Serve)


def _load(folder, text):
    path = folder / "stacks" / "Pulumi.x.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_stack_file(path)


def _slips(key: str) -> list[str]:
    middle = len(key) // 2
    doubled = key[:middle] + key[middle] + key[middle:]
    return [key[:-1], doubled, key[:middle] + key[middle + 1 :]]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_a_slip_in_any_key_is_refused_and_nearly_always_understood(section):
    keys = [field.alias for field in section.model_fields.values()]
    slips = [(key, slip) for key in keys for slip in _slips(key) if slip not in keys]
    understood = 0
    for key, slip in slips:
        _, problems = validate(section, {slip: 1}, place=lambda _: "f:1")
        said = [p.text for p in problems if p.text.startswith(f"{slip}: unknown key")]
        assert len(said) == 1
        understood += said[0].endswith(f"; did you mean {key}?")
    assert understood >= 0.9 * len(slips)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_no_key_of_a_stack_file_is_in_snake_case(section):
    assert all("_" not in field.alias for field in section.model_fields.values())


def test_an_empty_config_is_every_default(tmp_path):
    assert _load(tmp_path, "config:\n") == LocalConfig()
    assert _load(tmp_path, "encryptionsalt: x\n") == LocalConfig()


def test_what_is_resolved_can_be_read_again_as_it_was(tmp_path):
    text = (
        "config:\n  raylift:nodeGroups:\n    - {name: l4, numGpus: 1, memory: 16Gi,"
        " labels: {a: b}, resources: {x: 2}}\n  raylift:serve: {port: 8123}\n"
    )
    config = _load(tmp_path, text)
    again = {k.removeprefix("raylift:"): v for k, v in config.resolved().items()}
    assert LocalConfig.model_validate(again) == config


@pytest.mark.parametrize(
    ("size", "wanted"),
    [("512Mi", 512 << 20), ("16Gi", 16 << 30), ("1Ki", 1024), ("2Ti", 2 << 40)],
)
def test_a_size_is_in_units_of_1024(tmp_path, size, wanted):
    config = _load(tmp_path, f"config: {{raylift:ray: {{objectStoreMemory: {size}}}}}")
    assert config.ray.object_store_memory == wanted


MISNAMED = {
    "target: local": "target: has no prefix; did you mean raylift:target?",
    "nodegroups: []": "nodegroups: has no prefix; did you mean raylift:nodeGroups?",
    "raylift: {target: local}": "raylift: has no prefix, such as raylift:target",
    "zzz: 1": "zzz: has no prefix, such as raylift:target",
    "Raylift:target: local": "Raylift:target: did you mean raylift:target?",
    "raylfit:serve: {}": "raylfit:serve: did you mean raylift:serve?",
    "raylift:Target: local": "raylift:Target: unknown key; did you mean target?",
}


@pytest.mark.parametrize("entry", MISNAMED)
def test_a_key_that_nothing_would_read_is_refused(tmp_path, entry):
    with pytest.raises(InputFailed) as failed:
        _load(tmp_path, f"config:\n  {entry}\n")
    assert str(failed.value) == f"stacks/Pulumi.x.yaml:2: {MISNAMED[entry]}"


@pytest.mark.parametrize("key", ["aws:region", "myapp:target", "kubernetes:context"])
def test_keys_of_other_programs_are_left_alone(tmp_path, key):
    assert _load(tmp_path, f"config:\n  {key}: x\n") == LocalConfig()


@pytest.mark.parametrize(
    "host", ["http://x", "127.0.0.1:80", "a b", "", "::1", "-a", "a/b", "*", "ü"]
)
def test_a_host_is_a_name_or_an_address_alone(tmp_path, host):
    with pytest.raises(InputFailed, match=r":1: raylift:serve\.host: must be a host's"):
        _load(tmp_path, f"config: {{raylift:serve: {{host: '{host}'}}}}")


def test_every_error_of_a_file_is_told_at_once_in_its_order(tmp_path):
    with pytest.raises(InputFailed) as failed:
        _load(
            tmp_path,
            "confg: 1\nconfig:\n  raylift:serve: {port: 1}\n  target: x\n"
            "  raylift:ray:\n    head: {numGpus: -1}\n    ingres: 1\n",
        )
    places = [problem.place for problem in failed.value.problems]
    assert places == [f"stacks/Pulumi.x.yaml:{line}" for line in (1, 3, 4, 6, 7)]
