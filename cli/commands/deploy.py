"""`raylift deploy`: plan, confirm, execute, report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.cli.connect import cluster_of, current_dir, find_serving
from raylift.cli.output import deploy as view
from raylift.cli.output import terminal
from raylift.errors import InvalidInput
from raylift.serve_runtime.deploy.canary import Rollout, recover
from raylift.serve_runtime.deploy.canary_plan import Canary, prepare_canary
from raylift.serve_runtime.deploy.convergence import Convergence
from raylift.serve_runtime.deploy.deploy import deploy
from raylift.serve_runtime.deploy.prepare import Prepared, prepare
from raylift.serve_runtime.serve_config import config as serve_config

if TYPE_CHECKING:
    from raylift.cli.canary_options import CanarySteps
    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.release import Release
    from raylift.serve_runtime.serve_config.config import ServeConfig


@dataclass(frozen=True, slots=True)
class Source:
    """The applications to deploy: a Serve config file, or `module:app`."""

    what: str
    name: str | None
    route_prefix: str | None
    values: Path | None


@dataclass(frozen=True, slots=True)
class Options:
    """The other options of the command."""

    prune: bool
    steps: CanarySteps | None
    dry_run: bool
    timeout_s: float
    yes: bool
    verbose: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Planned:
    """The planned changes. `canary` is None unless they are rolled out gradually."""

    changes: Prepared
    canary: Canary | None


def run(stack_name: str, source: Source, options: Options) -> None:
    """Deploy; with `dry_run`, only show the plan."""
    config = _load(source)
    stack = find_serving(stack_name)
    with cluster_of(stack, timeout_s=options.timeout_s) as cluster:
        if not options.dry_run:
            recover(cluster, say=terminal.say)
        defaults = stack.config.serve.defaults == "raylift"
        planned = _plan(cluster, config, options, defaults=defaults)
        if options.dry_run:
            _report_dry_run(planned, options)
            return
        _confirm(planned, options)
        release = _execute(cluster, planned, options)
        _report(cluster, planned, release, options)


def _load(source: Source) -> ServeConfig:
    path = Path(source.what)
    exists = os.path.lexists(path)
    if ":" in source.what and not exists:
        if source.values:
            raise InvalidInput.at(
                "command line", "--values requires a file, not module:app"
            )
        return serve_config.from_import_path(
            source.what,
            name="default" if source.name is None else source.name,
            route_prefix="/" if source.route_prefix is None else source.route_prefix,
            folder=current_dir(),
        )
    if source.name is not None or source.route_prefix is not None:
        raise InvalidInput.at(
            "command line",
            "--name and --route-prefix require module:app, not a file",
        )
    if not exists or path.is_dir():
        reason = "is a directory" if exists else "no such file or directory"
        raise InvalidInput.at(
            str(path),
            f"cannot be read: {reason}",
            hint="pass a Serve config file or module:app",
        )
    return serve_config.load(path, name=str(path), values=source.values)


def _plan(
    cluster: Cluster, config: ServeConfig, options: Options, *, defaults: bool
) -> _Planned:
    changes = prepare(cluster, config, prune=options.prune, defaults=defaults)
    if not options.dry_run:
        # Before planning: the plan would include the traffic shift of a running canary.
        cluster.refuse_busy(changes.plan.documents)
    if not options.as_json:
        view.show_plan(changes)
    canary = prepare_canary(cluster, changes) if options.steps else None
    return _Planned(changes, canary)


def _confirm(planned: _Planned, options: Options) -> None:
    changes = planned.changes.plan.changes
    deleted = [c.application for c in changes if c.action == "delete"]
    if deleted:
        question = f"This deletes {', '.join(deleted)}."
        terminal.confirm(question, answer="yes", yes=options.yes)


def _execute(cluster: Cluster, planned: _Planned, options: Options) -> Release | None:
    with view.Progress(verbose=options.verbose) as progress:
        convergence = Convergence(cluster, options.timeout_s, progress, terminal.say)
        if options.steps and planned.canary:
            percents, seconds = options.steps.percents, options.steps.seconds
            rollout = Rollout(convergence, planned.canary)
            release: Release | None = rollout.run(
                planned.changes, steps=percents, step_s=seconds
            )
        else:
            release = deploy(convergence, planned.changes)
    cluster.wait_until_settled(say=terminal.say)
    return release


def _report_dry_run(planned: _Planned, options: Options) -> None:
    if options.as_json:
        terminal.print_json({**view.plan_json(planned.changes), "release": None})
    else:
        terminal.say("dry run: no application was changed")


def _report(
    cluster: Cluster, planned: _Planned, release: Release | None, options: Options
) -> None:
    number = release.number if release else None
    if options.as_json:
        terminal.print_json({**view.plan_json(planned.changes), "release": number})
    elif release is None:
        terminal.say("nothing to do")
    else:
        for name, document in release.documents.items():
            result = _result(cluster, name, document)
            terminal.show(f"release {number}: {result}")
        outputs = cluster.outputs
        if outputs.target != "local" and any(release.documents.values()):
            command = f"raylift open -s {outputs.stack}"
            terminal.say(f"to send requests from this machine, run `{command}`")


def _result(cluster: Cluster, name: str, document: dict[str, object] | None) -> str:
    if document is None:
        return f"deleted {name}"
    route = document.get("route_prefix", "/")
    if not route:
        return f"{name} is running"
    return f"{name} is available at {cluster.outputs.serve_url}{route}"
