"""The JSON Schema that an editor reads: current, and of the mind of the models."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML
from shipped import STACKS, TEXTS
from typer.testing import CliRunner

from cli.main import app
from infra.schema import schema

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
def test_what_the_models_take_conforms(target, line):
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
def test_a_slip_does_not_conform(target, line):
    assert not _conforms(f"{HEADS[target]}  {line}\n")


def test_a_file_for_aws_names_a_region_and_a_file_has_no_key_of_ours_at_the_top():
    assert not _conforms("config: {raylift:target: aws}\n")
    assert not _conforms("raylift:target: local\n")
    assert _conforms("config:\nencryptionsalt: v1:x\n")


def test_every_section_is_described():
    parts = schema()["$defs"]
    assert [name for name, part in parts.items() if not part.get("description")] == []
