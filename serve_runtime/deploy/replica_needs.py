"""The resources of a deployment's replicas, from the config and the code."""

from __future__ import annotations

from typing import Any, NamedTuple

from raylift.serve_runtime.serve_config.schema import Deployment
from raylift.serve_runtime.status.placement import Bundle, total
from raylift.strict_model import validate

_KEYS = {
    "ray_actor_options",
    "placement_group_bundles",
    "placement_group_strategy",
    "placement_group_bundle_label_selector",
    "gang_scheduling_config",
}


class Group(NamedTuple):
    """The bundles that Ray places together: those of one replica, or of one gang."""

    bundles: list[Bundle]
    strategy: str


def group(
    override: dict[str, Any], in_code: dict[str, Any], *, complete: bool
) -> Group | None:
    """Return what Ray places together, or None if that is unknown or nothing yet.

    Settings in the config take precedence over those in the code. `complete` states
    whether `in_code` has all of the latter; one that is not a literal is None there.
    """
    known = complete and "**" not in in_code
    if not known and not override.keys() & {
        "ray_actor_options",
        "placement_group_bundles",
    }:
        return None
    settings = {**in_code, **override}
    if not _is_valid(settings) or _starts_empty(settings):
        return None
    members = _members(settings)
    gang = settings.get("gang_scheduling_config")
    if not gang:
        return Group(members, settings.get("placement_group_strategy", "PACK"))
    strategy = gang.get("gang_placement_strategy", "PACK")
    return Group(members * gang["gang_size"], strategy)


def _starts_empty(settings: dict[str, Any]) -> bool:
    """Return whether Ray starts no replica before there are requests."""
    scaling = settings.get("autoscaling_config")
    if not isinstance(scaling, dict):
        return False
    first = scaling.get("initial_replicas")
    replicas: object = scaling.get("min_replicas", 1) if first is None else first
    return replicas == 0


def _is_valid(settings: dict[str, Any]) -> bool:
    """Return whether Ray accepts the settings, and they name all that they need."""
    used = {key: value for key, value in settings.items() if key in _KEYS}
    _, problems = validate(Deployment, {"name": "D", **used}, location=lambda _: "")
    options = used.get("ray_actor_options") or {}
    return (
        not problems
        and None not in used.values()
        and ("fallback_strategy" not in options)
    )


def _members(settings: dict[str, Any]) -> list[Bundle]:
    """Return the bundles of one replica."""
    bundles = settings.get("placement_group_bundles")
    if not bundles:
        options = settings.get("ray_actor_options") or {}
        return [Bundle(needs(settings, {}), [options.get("label_selector") or {}])]
    selectors = settings.get("placement_group_bundle_label_selector") or [{}]
    if len(selectors) == 1:
        selectors = selectors * len(bundles)
    return [Bundle(n, [s]) for n, s in zip(bundles, selectors, strict=True)]


def needs(override: dict[str, Any], in_code: dict[str, Any]) -> dict[str, float]:
    """Return the Ray resources of one replica."""
    settings = {**in_code, **override}
    if bundles := settings.get("placement_group_bundles"):
        return total(bundles)
    options = settings.get("ray_actor_options") or {}
    resources = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus")}
    resources["memory"] = options.get("memory")
    resources |= options.get("resources") or {}
    if kind := options.get("accelerator_type"):
        resources[f"accelerator_type:{kind}"] = 0.001
    return {key: float(value) for key, value in resources.items() if value}
