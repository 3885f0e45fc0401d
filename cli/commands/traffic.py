"""`raylift traffic`: show or change how a splitter divides its traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.cli.connect import cluster_of, find_serving
from raylift.cli.output import deploy as deploy_view
from raylift.cli.output import terminal
from raylift.cli.output import traffic as view
from raylift.errors import InvalidInput
from raylift.messages import printable
from raylift.serve_runtime.deploy.canary import recover
from raylift.serve_runtime.deploy.convergence import Convergence
from raylift.serve_runtime.deploy.deploy import deploy
from raylift.serve_runtime.deploy.prepare import running
from raylift.serve_runtime.deploy.traffic_stats import NOTHING, snapshot
from raylift.serve_runtime.deploy.traffic_weights import prepare_shift, splitter

if TYPE_CHECKING:
    from raylift.serve_runtime.cluster.protocol import Cluster


@dataclass(frozen=True, slots=True)
class Request:
    """A splitter, and its new weights as `ARM=WEIGHT`. Without weights, show it."""

    splitter: str
    weights: list[str]
    timeout_s: float


def run(stack_name: str, request: Request, *, as_json: bool) -> None:
    """Show a splitter's weights and the requests of its arms, or set weights."""
    weights = dict(_weight(text) for text in request.weights)
    stack = find_serving(stack_name)
    with cluster_of(stack, timeout_s=request.timeout_s) as cluster:
        if weights:
            recover(cluster, say=terminal.say)
            _set_weights(cluster, request, weights, as_json=as_json)
        else:
            _show(cluster, request.splitter, as_json=as_json)


def _show(cluster: Cluster, name: str, *, as_json: bool) -> None:
    details = cluster.dashboard.serve_details()
    split = splitter(name, running(cluster.desired(), details))
    stats = snapshot(cluster.dashboard, name).since(NOTHING)
    view.show_split(split, stats, as_json=as_json)


def _set_weights(
    cluster: Cluster, request: Request, weights: dict[str, float], *, as_json: bool
) -> None:
    name = request.splitter
    prepared = prepare_shift(cluster, name, weights)
    with deploy_view.Progress() as progress:
        convergence = Convergence(cluster, request.timeout_s, progress, terminal.say)
        release = deploy(convergence, prepared)
    if as_json:
        number = release.number if release else None
        terminal.print_json({**deploy_view.plan_json(prepared), "release": number})
    elif release is None:
        terminal.say("nothing to do")
    else:
        split = splitter(name, prepared.desired)
        terminal.show(f"release {release.number}: {name} {view.shares(split)}")


def _weight(text: str) -> tuple[str, float]:
    arm, equals, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = None
    if not arm or not equals or weight is None:
        raise InvalidInput.at(
            "command line", f"{printable(text)}: must be ARM=WEIGHT, such as v1=90"
        )
    return arm, weight
