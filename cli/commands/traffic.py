"""`raylift traffic`: how a splitter splits, and other weights for it, live."""

from __future__ import annotations

from cli.connect import cluster_of, stack_here
from cli.output import deploy as deploy_view
from cli.output import terminal
from cli.output import traffic as view
from raylift.errors import InputFailed
from raylift.wording import printable
from serve_runtime.canary import recover
from serve_runtime.deploy import deploy
from serve_runtime.prepare import running
from serve_runtime.traffic.figures import NOTHING, look
from serve_runtime.traffic.steer import prepare_shift, splitter


def run(
    stack_name: str, name: str, given: list[str], *, timeout_s: float, as_json: bool
) -> None:
    """Without weights, show the split and what each arm did; else change it."""
    weights = dict(_weight(text) for text in given)
    with cluster_of(stack_here(stack_name)) as cluster:
        recover(cluster, say=terminal.say)
        if not weights:
            details = cluster.dashboard.serve_details()
            split = splitter(name, running(cluster.desired(), details))
            done = look(cluster.dashboard, name).since(NOTHING)
            view.show_split(split, done, as_json=as_json)
            return
        prepared = prepare_shift(cluster, name, weights)
        with deploy_view.Progress() as progress:
            release = deploy(cluster, prepared, timeout_s=timeout_s, on_change=progress)
        if as_json:
            number = release.number if release else None
            terminal.print_json({**deploy_view.plan_json(prepared), "release": number})
        elif release is None:
            terminal.say("nothing to do")
        else:
            split = splitter(name, prepared.wanted)
            terminal.show(f"release {release.number}: {name} {view.shares(split)}")


def _weight(text: str) -> tuple[str, float]:
    arm, equals, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = None
    if not arm or not equals or weight is None:
        raise InputFailed.at(
            "command line", f"{printable(text)}: must be ARM=WEIGHT, such as v1=90"
        )
    return arm, weight
