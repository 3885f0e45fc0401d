"""Safe defaults, added only if neither the config nor the code sets a value.

They are written as overrides of a deployment. In Ray, overrides take precedence over
the code, so defaults are added only if the code could be read completely
(`SourceInfo.complete`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.serve_runtime.deploy.replica_needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.serve_runtime.serve_config.config import Application

# Ray's router sleeps up to 0.5 s when replicas are full, and drops to 13 % of its
# throughput at saturation. With these values, it keeps 80 % (measured on 2.60,
# ray#52609).
ROUTER = {"initial_backoff_s": 0.005, "max_backoff_s": 0.02}
# Without a limit, all callers wait during a burst; with one, some get a 503 response.
MAX_QUEUED_REQUESTS = 200
# Ray stops the old replica first, so a broken version of one replica is an outage.
MAX_SURGE_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Added:
    """A setting that raylift adds, and the reason."""

    application: str
    deployment: str
    setting: str
    value: object
    reason: str


def add_defaults(
    application: Application, *, room_for: Callable[[dict[str, float], int], bool]
) -> tuple[Application, list[Added]]:
    """Return the application with safe defaults, and the list of those added.

    `room_for` takes the resources and the number of a deployment's replicas, and
    returns whether one more fits in the cluster. If not, a surge would never complete.
    """
    document = copy.deepcopy(application.document)
    overrides = {item["name"]: item for item in document.get("deployments") or []}
    added: list[Added] = []
    if not application.facts.complete or any(
        map(_is_imported, application.facts.deployments.values())
    ):
        return application, added
    for name, in_code in application.facts.deployments.items():
        if "**" in in_code:
            continue
        override = overrides.setdefault(name, {"name": name})
        already_set = override.keys() | in_code.keys()
        for setting, value, reason in _defaults(override, in_code, room_for=room_for):
            if setting not in already_set:
                override[setting] = value
                added.append(Added(application.name, name, setting, value, reason))
    document["deployments"] = [o for o in overrides.values() if len(o) > 1]
    if not document["deployments"]:
        del document["deployments"]
    return application.with_document(document), added


def _is_imported(in_code: dict[str, Any]) -> bool:
    """Return whether an override could make Ray's controller import the user's code.

    The controller then builds the settings again, with the policy or the router of the
    code, but it cannot import the application's modules.
    """
    scaling = in_code.get("autoscaling_config", {})
    router = in_code.get("request_router_config", {})
    return (
        not isinstance(scaling, dict)
        or bool(scaling.get("policy"))
        or not isinstance(router, dict)
        or "request_router_class" in router
    )


def _defaults(
    override: dict[str, Any],
    in_code: dict[str, Any],
    *,
    room_for: Callable[[dict[str, float], int], bool],
) -> list[tuple[str, object, str]]:
    """Return the setting, value and reason of each default."""
    defaults: list[tuple[str, object, str]] = [
        (
            "request_router_config",
            ROUTER,
            "maintains throughput when replicas have reached max_ongoing_requests",
        ),
        (
            "max_queued_requests",
            MAX_QUEUED_REQUESTS,
            "excess requests get a 503 response instead of waiting",
        ),
    ]
    gang = "gang_scheduling_config" in override.keys() | in_code.keys()
    replicas = override.get("num_replicas") or in_code.get("num_replicas")
    count = replicas if isinstance(replicas, int) else 1
    if not gang and room_for(needs(override, in_code), count):
        reason = "the old replica stops only after the new one is running"
        defaults.append(("max_surge_percent", MAX_SURGE_PERCENT, reason))
    return defaults
