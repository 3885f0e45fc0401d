"""Every resource of every shipped stack file, as a file that a review can read.

A change of a stack file or of the program shows as changed resources. If they are what
was meant, `make golden` writes the files anew.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path

import pytest
from shipped import SHIPPED, recorded

GOLDEN = Path(__file__).parents[1] / "golden"
WIDTH = 88
OPTIONS = {
    "protect": "protect",
    "ignoreChanges": "ignoreChanges",
    "replaceOnChanges": "replaceOnChanges",
    "secretOutputs": "additionalSecretOutputs",
    "deletedWith": "deletedWith",
    "retainOnDelete": "retainOnDelete",
    "deleteBeforeReplace": "deleteBeforeReplace",
}


def _written(name: str) -> str:
    """All registrations of a program in an order that is always the same."""
    program = recorded(name)
    entries = [_entry(program, resource) for resource in program.resources.values()]
    entries.sort(key=lambda entry: (entry["type"], entry["name"]))
    return _text(entries) + "\n"


def _text(value, indent: str = "") -> str:
    """JSON in which what fits a line is one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = f"{indent}  "
    if isinstance(value, list):
        parts = [_text(item, inner) for item in value]
    else:
        parts = [f"{json.dumps(k)}: {_text(v, inner)}" for k, v in value.items()]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


def _entry(program, resource) -> dict:
    request = resource.request
    provider = request.provider.split("::")[-2] if request.provider else None
    parent = program.resources.get(request.parent)
    shown = {provider, parent and parent.name}
    waits_for = [
        need
        for need in program.waits_for(resource)
        if not (need.name in shown and need.kind.startswith(("pulumi:", "raylift:")))
    ]
    entry = {
        "type": resource.kind,
        "name": resource.name,
        "parent": parent and parent.name,
        "provider": provider,
        "after": sorted(f"{n.kind.rpartition(':')[2]} {n.name}" for n in waits_for),
        **{name: _option(getattr(request, field)) for name, field in OPTIONS.items()},
        "timeouts": {
            key: getattr(request.customTimeouts, key)
            for key in ("create", "update", "delete")
            if getattr(request.customTimeouts, key)
        },
        "inputs": _readable(resource.inputs),
    }
    return {key: value for key, value in entry.items() if value}


def _option(value):
    return value if isinstance(value, (bool, str)) else sorted(value)


def _readable(value):
    """Keys in order, and JSON within text as what it says."""
    if isinstance(value, dict):
        return {key: _readable(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, str) and value[:1] in "{[" and value[1:]:
        try:
            return {"as JSON": _readable(json.loads(value))}
        except ValueError:
            return value
    return value


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_stack_file_makes_the_resources_that_were_reviewed(name):
    path = GOLDEN / f"{name}.json"
    found = _written(name)
    if os.environ.get("RAYLIFT_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    reviewed = path.read_text(encoding="utf-8") if path.exists() else ""
    both = (text.splitlines() for text in (reviewed, found))
    changed = "\n".join(difflib.unified_diff(*both, "reviewed", "found", lineterm=""))
    assert not changed, f"{changed}\n\nif this is what was meant: make golden"


def test_there_is_no_golden_file_of_a_stack_that_is_not_shipped():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SHIPPED)
