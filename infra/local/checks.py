"""Cross-field checks of a stack file with target `local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.infra.config.checks import check_unique_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raylift.infra.config.checks import Finding
    from raylift.infra.local.config import NodeGroup


def check_node_groups(node_groups: Sequence[NodeGroup]) -> Iterator[Finding]:
    """Check that the names of node groups are unique."""
    yield from check_unique_names(node_groups, ("nodeGroups",))


CHECKS = (check_node_groups,)
