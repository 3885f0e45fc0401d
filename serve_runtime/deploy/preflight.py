"""Checks before any write for errors that Ray reports late or never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, FailedPrecondition, InvalidInput
from raylift.redaction import redacted
from raylift.serve_runtime.deploy.replica_needs import group
from raylift.serve_runtime.ray_api.dashboard import RAY_VERSION
from raylift.serve_runtime.status.placement import unplaceable

if TYPE_CHECKING:
    from raylift.outputs import Outputs
    from raylift.serve_runtime.deploy.plan import Plan
    from raylift.serve_runtime.ray_api.dashboard import RayNode
    from raylift.serve_runtime.serve_config.config import Application


def refuse_other_ray(outputs: Outputs) -> None:
    """Raise FailedPrecondition if the cluster runs an unsupported version of Ray.

    Another version would ignore unknown keys.
    """
    if not outputs.ray_version.startswith(f"{RAY_VERSION}."):
        raise FailedPrecondition(
            f"the cluster runs Ray {outputs.ray_version}, but this version of raylift"
            f" supports Ray {RAY_VERSION}",
            hint=f"run `raylift up -s {outputs.stack} --restart`",
        )


def refuse_changed_options(options: dict[str, Any], details: dict[str, Any]) -> None:
    """Raise FailedPrecondition if an option changes that Serve reads only at startup.

    While Serve runs, Ray responds with 200 to such a change and ignores it.
    """
    for section, set_by_stack in (
        ("http_options", ("host", "port")),
        ("grpc_options", ("port",)),
    ):
        live = details.get(section)
        if not live:
            continue
        for key, value in (options.get(section) or {}).items():
            if key not in set_by_stack and live.get(key) != value:
                old, new = (redacted(v, (section, key)) for v in (live.get(key), value))
                raise FailedPrecondition(
                    f"{section}.{key}: cannot change from {old!r} to {new!r} while"
                    " Serve is running; Ray would ignore it",
                    hint="delete the stack and create it again, or keep the old value",
                )


def refuse_without_servicer(
    application: Application, options: dict[str, Any], details: dict[str, Any]
) -> None:
    """Raise InvalidInput for a gRPC application if no servicer function is configured.

    Ray would respond to HTTP requests with 500 and would not listen for gRPC.
    """
    key = "grpc_servicer_functions"
    sections = (options.get("grpc_options"), details.get("grpc_options"))
    configured = any((section or {}).get(key) for section in sections)
    routed = application.document.get("route_prefix", "/") is not None
    if application.facts.no_http and routed and not configured:
        raise InvalidInput.at(
            application.location,
            f"{application.name}: {application.facts.no_http} has no __call__ and no"
            f" @serve.ingress, so it can be called over gRPC only, but grpc_options has"
            f" no {key}",
        )


def refuse_infeasible(
    application: Application, nodes: list[RayNode], potential: list[RayNode]
) -> None:
    """Raise FailedPrecondition if no node can ever hold a replica.

    Ray would keep the replica STARTING without a time limit. `potential` are nodes that
    an autoscaler could add.
    """
    overrides = {o["name"]: o for o in application.document.get("deployments") or []}
    for name in overrides.keys() | application.facts.deployments.keys():
        in_code = application.facts.deployments.get(name, {})
        complete = application.facts.complete
        placed = group(overrides.get(name, {}), in_code, complete=complete)
        lack = placed and unplaceable(*placed, nodes, potential)
        if lack:
            raise FailedPrecondition(
                f"{application.name}: {name}: no node can hold a replica: {lack}",
                hint="request fewer resources, or add a node group to the stack file"
                " and update the stack",
            )


def refuse_taken_routes(decided: Plan, running: dict[str, dict[str, Any]]) -> None:
    """Raise Conflict if a route belongs to an application that is not in the plan.

    Ray responds with 400 or silently reassigns the route, depending on how the other
    application was deployed.
    """
    taken = {
        document.get("route_prefix", "/"): name
        for name, document in running.items()
        if name not in decided.documents
    }
    for name, document in decided.documents.items():
        route = document.get("route_prefix", "/") if document else None
        if route is not None and route in taken:
            raise Conflict(
                f"{name}: route {route} belongs to application '{taken[route]}'",
                hint="set another route_prefix, or run"
                f" `raylift delete {taken[route]}`",
            )
