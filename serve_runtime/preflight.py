"""What Ray would answer late, or never: refused before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import CannotWork, Conflict, InputFailed
from serve_runtime.capacity import missing
from serve_runtime.dashboard import RAY_VERSION
from serve_runtime.defaults import needs

if TYPE_CHECKING:
    from raylift.outputs import Outputs
    from serve_runtime.config import Application
    from serve_runtime.dashboard import Node
    from serve_runtime.plan import Plan


def refuse_other_ray(outputs: Outputs) -> None:
    """A key that the other Ray does not know would be ignored there."""
    if not outputs.ray_version.startswith(f"{RAY_VERSION}."):
        raise CannotWork(
            f"the cluster runs Ray {outputs.ray_version}; this raylift knows the keys"
            f" of Ray {RAY_VERSION}",
            hint=f"raylift up -s {outputs.stack} --restart",
        )


def refuse_changed_options(options: dict[str, Any], details: dict[str, Any]) -> None:
    """Ray answers 200 to a change of these and ignores it while Serve runs."""
    for section, ours in (
        ("http_options", ("host", "port")),
        ("grpc_options", ("port",)),
    ):
        live = details.get(section)
        if not live:
            continue
        for key, value in (options.get(section) or {}).items():
            if key not in ours and live.get(key) != value:
                raise CannotWork(
                    f"{section}.{key}: {live.get(key)!r} cannot become {value!r} while"
                    " Serve runs; Ray would ignore it",
                    hint="raylift delete, raylift up, then deploy again",
                )


def refuse_without_servicer(
    application: Application, options: dict[str, Any], details: dict[str, Any]
) -> None:
    """Ray would answer 500 to HTTP, and not listen for gRPC at all."""
    key = "grpc_servicer_functions"
    sections = (options.get("grpc_options"), details.get("grpc_options"))
    named = any((section or {}).get(key) for section in sections)
    routed = application.document.get("route_prefix", "/") is not None
    if application.facts.no_http and routed and not named:
        raise InputFailed.at(
            application.place,
            f"{application.name}: {application.facts.no_http} has no __call__ and no"
            f" @serve.ingress, so only gRPC can ask it, and grpc_options has no {key}",
        )


def refuse_infeasible(
    application: Application, nodes: list[Node], could: list[Node]
) -> None:
    """Ray would keep such a replica STARTING for ever."""
    overrides = {o["name"]: o for o in application.document.get("deployments") or []}
    for name in overrides.keys() | application.facts.deployments.keys():
        in_code = application.facts.deployments.get(name, {})
        unknown = in_code.get("ray_actor_options", {}) is None
        override = overrides.get(name, {})
        if unknown and "ray_actor_options" not in override:
            continue
        if lack := missing(needs(override, in_code), nodes, could):
            raise CannotWork(
                f"{application.name}: {name}: no node can hold a replica: {lack}",
                hint="ask for less, or add a node group to the stack file and run"
                " raylift up",
            )


def refuse_taken_routes(decided: Plan, there: dict[str, dict[str, Any]]) -> None:
    """Ray answers 400 or steals the route silently, by how the other was deployed."""
    staying = {
        document.get("route_prefix", "/"): name
        for name, document in there.items()
        if name not in decided.documents
    }
    for name, wanted in decided.documents.items():
        route = wanted.get("route_prefix", "/") if wanted else None
        if route is not None and route in staying:
            raise Conflict(
                f"{name}: route {route} belongs to application '{staying[route]}'",
                hint="give it another route_prefix, or run raylift delete"
                f" {staying[route]}",
            )
