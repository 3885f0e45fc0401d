"""The Roles for deployers and viewers, and the Role in the documentation."""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml

from raylift.infra.kubernetes.access import deployer_rules, viewer_rules

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "kubernetes.md"


def _permissions(rules):
    """Return each permission as (API group, resource, verb)."""
    return {
        permission
        for rule in rules
        for permission in itertools.product(
            rule["apiGroups"], rule["resources"], rule["verbs"]
        )
    }


def test_the_documented_role_has_the_permissions_of_a_deployer():
    blocks = PAGE.read_text(encoding="utf-8").split("```yaml\n")
    (role,) = (block for block in blocks if "\nkind: Role\n" in block)
    rules = yaml.safe_load(role.partition("```")[0])["rules"]
    assert _permissions(rules) == _permissions(deployer_rules())


def test_a_viewer_has_fewer_permissions_and_changes_nothing():
    viewer = _permissions(viewer_rules())
    assert viewer < _permissions(deployer_rules())
    assert {verb for _, _, verb in viewer} == {"get", "list"}
