"""`raylift deploy`: show the plan, do it, say where it answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.connect import cluster_of, here, stack_here
from cli.output import deploy as view
from cli.output import terminal
from raylift.errors import InputFailed
from serve_runtime import config as serve_config
from serve_runtime.canary import Rollout, prepare_canary, recover
from serve_runtime.deploy import deploy
from serve_runtime.prepare import prepare

if TYPE_CHECKING:
    from cli.steps import Steps
    from serve_runtime.cluster import Cluster
    from serve_runtime.config import ServeConfig
    from serve_runtime.prepare import Prepared
    from serve_runtime.release import Release


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    what: str
    name: str | None
    route_prefix: str | None
    prune: bool


def run(
    stack_name: str,
    request: Request,
    steps: Steps | None,
    *,
    dry_run: bool,
    timeout_s: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy, or with `dry_run` only show the plan."""
    config = _load(request)
    stack = stack_here(stack_name)
    with cluster_of(stack) as cluster:
        if not dry_run:
            recover(cluster, say=terminal.say)
        prepared = prepare(
            cluster,
            config,
            prune=request.prune,
            defaults=stack.config.serve.defaults == "raylift",
        )
        if not dry_run:
            # Before the plan: it would show how a canary shifts traffic.
            cluster.refuse_busy(prepared.plan.documents)
        if not as_json:
            view.show_plan(prepared)
        canary = prepare_canary(cluster, prepared) if steps else None
        release = None
        if not dry_run:
            _confirm_deletions(prepared, yes=yes)
            with view.Progress() as progress:
                if steps and canary:
                    rollout = Rollout(
                        cluster, canary, timeout_s=timeout_s, on_change=progress,
                        say=terminal.say,
                    )  # fmt: skip
                    release = rollout.run(
                        prepared, steps=steps.percents, step_s=steps.seconds
                    )
                else:
                    release = deploy(
                        cluster, prepared, timeout_s=timeout_s, on_change=progress
                    )
            cluster.settle(say=terminal.say)
        _report(cluster, prepared, release, dry_run=dry_run, as_json=as_json)


def _load(request: Request) -> ServeConfig:
    path = Path(request.what)
    found = os.path.lexists(path)
    if ":" in request.what and not found:
        return serve_config.from_import_path(
            request.what,
            name="default" if request.name is None else request.name,
            route_prefix="/" if request.route_prefix is None else request.route_prefix,
            folder=here(),
        )
    if request.name is not None or request.route_prefix is not None:
        raise InputFailed.at(
            "command line",
            "--name and --route-prefix go with module:app, not with a file",
        )
    if not found:
        raise InputFailed.at(
            str(path),
            "cannot be read: no such file or directory",
            hint="name a Serve config file, or module:app",
        )
    return serve_config.load(path, name=str(path))


def _confirm_deletions(prepared: Prepared, *, yes: bool) -> None:
    gone = [c.application for c in prepared.plan.changes if c.action == "delete"]
    if gone:
        terminal.confirm(f"This deletes {', '.join(gone)}.", answer="yes", yes=yes)


def _report(
    cluster: Cluster,
    prepared: Prepared,
    release: Release | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    number = release.number if release else None
    if as_json:
        terminal.print_json({**view.plan_json(prepared), "release": number})
    elif dry_run:
        terminal.say("dry run: nothing was changed")
    elif release is None:
        terminal.say("nothing to do")
    else:
        for name, document in release.documents.items():
            where = _address(cluster, document)
            terminal.show(f"release {number}: {name} {where}")


def _address(cluster: Cluster, document: dict[str, object] | None) -> str:
    if document is None:
        return "is deleted"
    route = document.get("route_prefix", "/")
    return f"answers at {cluster.outputs.serve_url}{route}" if route else "runs"
