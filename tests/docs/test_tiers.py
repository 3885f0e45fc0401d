"""The tier of a test follows from its directory, as CONTRIBUTING.md describes."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TIERS = {
    "local": "ray",
    "examples": "ray",
    "rig": "rig",
    "packaging": "package",
    "security": "security",
}
MODULES = [
    (path, tier)
    for name, tier in TIERS.items()
    for path in TESTS.glob(f"{name}/test_*")
]


@pytest.mark.parametrize(
    ("path", "tier"), MODULES, ids=[f"{p.parent.name}/{p.name}" for p, _ in MODULES]
)
def test_a_module_outside_the_unit_tier_has_the_marker_of_its_directory(path, tier):
    marks = path.read_text(encoding="utf-8").partition("pytestmark = ")[2]
    assert f"pytest.mark.{tier}" in marks.partition("\n\n")[0]
