"""The typer app, with one short function per command that imports what it needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

from raylift.cli.errors import Boundary, run_process
from raylift.cli.help import Command
from raylift.cli.options import (  # noqa: TC001 typer reads annotations
    AllStacks,
    Application,
    BlueGreen,
    Canary,
    ConfigSource,
    Dashboard,
    Deleted,
    Deployment,
    Directory,
    DryRun,
    Follow,
    Json,
    Lines,
    Manifest,
    Name,
    Port,
    PreviewRestart,
    Profile,
    Prune,
    Region,
    Restart,
    RoutePrefix,
    Stack,
    Step,
    Timeout,
    Values,
    Verbose,
    Watch,
    Weights,
    Yes,
)

app = typer.Typer(
    cls=Boundary,
    name="raylift",
    help="Create Ray clusters and serve models on them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 typer passes it by position
    if value:
        from raylift.cli.version import versions

        typer.echo(versions())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show the versions of raylift and Ray.",
        ),
    ] = False,
) -> None:
    pass


@app.command(cls=Command)
def init(
    folder: Directory = Path(),
) -> None:
    """Create a project with a sample application.

    Write a stack file, a Serve config and an application.
    """
    from raylift.cli.commands.init import run

    run(folder)


@app.command(cls=Command, hidden=True)
def eks_token(
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="NAME", help="Name of the cluster.")
    ],
    region: Region,
    profile: Profile = None,
) -> None:
    """Print a token for an EKS cluster, for use by a kubeconfig exec plugin."""
    from raylift.cli.commands.eks_token import run

    run(cluster, region=region, profile=profile)


@app.command(cls=Command)
def config(
    stack: Stack = "local",
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Include default values.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the stack file and show its values."""
    from raylift.cli.commands.config import run

    run(stack, resolved=resolved, as_json=json)


@app.command("import", cls=Command)
def import_(
    file: Manifest,
) -> None:
    """Print the Serve config of a RayService manifest."""
    from raylift.cli.commands.import_ import run

    run(file)


@app.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of stack files, for editors."""
    from raylift.cli.commands.schema import run

    run()


@app.command(cls=Command)
def up(
    stack: Stack = "local",
    restart: Restart = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Create or update a stack."""
    from raylift.cli.commands.up import Options, run

    run(stack, Options(restart=restart, yes=yes, as_json=json))


@app.command(cls=Command)
def preview(
    stack: Stack = "local",
    restart: PreviewRestart = False,
    json: Json = False,
) -> None:
    """Show the changes that `up` would make."""
    from raylift.cli.commands.preview import run

    run(stack, restart=restart, as_json=json)


@app.command(cls=Command)
def render(stack: Stack = "local") -> None:
    """Print a stack as Kubernetes manifests, for GitOps tools.

    Neither Pulumi's state nor the cluster is read or changed.
    """
    from raylift.cli.commands.render import run

    run(stack)


@app.command(cls=Command)
def deploy(
    what: ConfigSource = "serve.yaml",
    stack: Stack = "local",
    name: Name = None,
    route_prefix: RoutePrefix = None,
    values: Values = None,
    prune: Prune = False,
    canary: Canary = None,
    blue_green: BlueGreen = False,
    step: Step = "60s",
    dry_run: DryRun = False,
    timeout: Timeout = 300,
    yes: Yes = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Deploy applications, and roll back on failure."""
    from raylift.cli.canary_options import canary_steps
    from raylift.cli.commands.deploy import Options, Source, run

    options = Options(
        prune=prune,
        steps=canary_steps(canary, blue_green=blue_green, step=step),
        dry_run=dry_run,
        timeout_s=timeout,
        yes=yes,
        verbose=verbose,
        as_json=json,
    )
    run(stack, Source(what, name, route_prefix, values), options)


@app.command(cls=Command)
def traffic(
    application: Annotated[
        str, typer.Argument(metavar="APP", help="Name of a splitter.")
    ],
    weights: Weights = None,
    stack: Stack = "local",
    timeout: Timeout = 60,
    json: Json = False,
) -> None:
    """Show or change how a splitter divides traffic."""
    from raylift.cli.commands.traffic import Request, run

    run(stack, Request(application, weights or [], timeout), as_json=json)


@app.command(cls=Command)
def status(
    stack: Stack = "local",
    watch: Watch = False,
    every: AllStacks = False,
    json: Json = False,
) -> None:
    """Show the health of a stack.

    The exit code is 0 if the stack is healthy, 1 if it has a problem, 3 if it is
    not up, and 4 if Ray does not respond.
    """
    from raylift.cli.commands.status import run, run_all

    if every:
        run_all(watch=watch, as_json=json)
    else:
        run(stack, watch=watch, as_json=json)


@app.command(cls=Command)
def logs(
    application: Application = None,
    deployment: Deployment = None,
    stack: Stack = "local",
    follow: Follow = False,
    lines: Lines = 100,
    json: Json = False,
) -> None:
    """Show the logs of replicas, merged by time."""
    from raylift.cli.commands.logs import Request, run

    request = Request(application or "", deployment or "", follow=follow, lines=lines)
    run(stack, request, as_json=json)


@app.command("open", cls=Command)
def open_(
    application: Annotated[
        Optional[str],
        typer.Argument(metavar="APP", help="Application to open. Defaults to all."),
    ] = None,
    stack: Stack = "local",
    dashboard: Dashboard = False,
    port: Port = 0,
) -> None:
    """Make applications or Ray's dashboard available locally.

    Listen on 127.0.0.1 and pass on requests until you press Ctrl-C.
    """
    from raylift.cli.commands.open_ import Request, run

    run(stack, Request(application or "", dashboard=dashboard, port=port))


@app.command(cls=Command)
def delete(
    applications: Deleted = None,
    stack: Stack = "local",
    timeout: Timeout = 120,
    yes: Yes = False,
) -> None:
    """Delete applications or a whole stack."""
    from raylift.cli.commands.delete import run

    run(stack, applications or [], timeout_s=timeout, yes=yes)


def main() -> None:
    """Run the console script."""
    # Pydantic looks for plugins in the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    run_process(app)
