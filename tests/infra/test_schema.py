"""The JSON Schema for editors: current, complete and consistent with the models."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML
from shipped import STACKS, TEXTS
from typer.testing import CliRunner

from raylift.cli.main import app
from raylift.infra.config.json_schema import schema

FILE = Path(__file__).parents[2] / "docs" / "stack-file.schema.json"
CHECKED = Draft7Validator(schema())
HEADS = {
    "local": "config:\n",
    "kubernetes": "config:\n  raylift:target: kubernetes\n",
    "aws": "config:\n  raylift:target: aws\n  aws:region: us-west-2\n",
}
GROUP = "raylift:nodeGroups: [{{name: a, instanceTypes: [g6.xlarge], {}}}]"


def _conforms(text: str) -> bool:
    return CHECKED.is_valid(YAML(typ="safe").load(io.StringIO(text)))


def test_the_file_is_what_the_command_prints_and_a_valid_schema():
    printed = CliRunner().invoke(app, ["schema"]).stdout
    assert FILE.read_text(encoding="utf-8") == printed, "raylift schema > docs/…"
    assert json.loads(printed) == schema()
    Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("file", sorted(STACKS.iterdir()), ids=lambda file: file.name)
def test_a_shipped_stack_file_conforms_and_names_the_schema(file):
    text = file.read_text(encoding="utf-8")
    assert _conforms(text)
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == FILE


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_with_every_key_conforms(name):
    assert _conforms(TEXTS[name])


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("local", "raylift:ray: {objectStoreMemory: 200Mi, head: {memory: 1Gi}}"),
        ("kubernetes", "raylift:ray: {workerGroups: auto, image: auto}"),
        ("kubernetes", "raylift:ray: {autoscaling: {idleTimeout: 5m}}"),
        ("aws", GROUP.format("taints: auto, availabilityZones: auto")),
        ("aws", "aws:assumeRole: {roleArn: x}"),
        ("aws", "myapp:anything: 1"),
    ],
)
def test_a_valid_value_conforms(target, line):
    assert _conforms(f"{HEADS[target]}  {line}\n")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("local", "raylift:targt: local"),
        ("local", "raylift:network: {}"),
        ("local", "target: local"),
        ("local", "raylift:ray: {objectStoreMemory: 200MB}"),
        ("kubernetes", "raylift:budget: {}"),
        ("kubernetes", "raylift:ray: {secretEnv: {TOKEN: in-clear}}"),
        ("aws", GROUP.format("minsize: 1")),
        ("aws", GROUP.format("minSize: -1")),
        ("aws", GROUP.format("capacityType: on-demand")),
        ("aws", "raylift:ray: {head: {numCpus: 0}}"),
        ("aws", "raylift:kubernetes: {version: 1.35}"),
        ("aws", "raylift:kubernetes: {namespace: Ray}"),
    ],
)
def test_a_typo_does_not_conform(target, line):
    assert not _conforms(f"{HEADS[target]}  {line}\n")


def test_aws_requires_a_region_and_the_top_of_a_file_has_only_pulumi_keys():
    assert not _conforms("config: {raylift:target: aws}\n")
    assert not _conforms("raylift:target: local\n")
    assert _conforms("config:\nencryptionsalt: v1:x\n")


def test_every_section_and_key_has_a_description():
    whole = schema()
    sections = {name: part["description"] for name, part in whole["$defs"].items()}
    described = dict(_descriptions(whole, sections))
    assert len(described) > 235
    bad = {key for key, text in {**sections, **described}.items() if text[-1:] != "."}
    assert bad == set()


def _descriptions(part, sections, path=""):
    """Yield each key's path and description; a key may refer to a section's."""
    if isinstance(part, list):
        for item in part:
            yield from _descriptions(item, sections, path)
        return
    for name, value in part.items() if isinstance(part, dict) else ():
        if name == "properties":
            for key, found in value.items():
                section = found.get("$ref", "").removeprefix("#/$defs/")
                text = found.get("description") or sections.get(section, "")
                yield f"{path}.{key}", text
        if name != "if":
            yield from _descriptions(value, sections, f"{path}.{name}")
