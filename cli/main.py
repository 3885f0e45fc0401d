"""The typer app: one short function per command; imports happen inside."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Optional

import typer

from cli.errors import Boundary
from raylift import __version__

app = typer.Typer(
    cls=Boundary,
    name="raylift",
    help="Serve models with Ray: one place, four commands.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Stack = Annotated[
    str,
    typer.Option("-s", "--stack", envvar="RAYLIFT_STACK", help="The stack's name."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Allow what restarts or replaces the cluster."),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, help="Seconds to wait for it to be done.")
]


def _version(value: bool) -> None:  # noqa: FBT001 typer calls it so
    if value:
        typer.echo(f"raylift {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version."),
    ] = False,
) -> None:
    pass


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.")] = Path(),
) -> None:
    """Write a stack file and a sample application into an empty folder."""
    from cli.commands.init import run

    run(folder)


@app.command(hidden=True)
def eks_token(
    cluster: Annotated[str, typer.Option("--cluster", help="The cluster's name.")],
    region: Annotated[str, typer.Option("--region", help="Its region.")],
    profile: Annotated[
        Optional[str], typer.Option("--profile", help="Of AWS' configuration.")
    ] = None,
) -> None:
    """Print a token for an EKS cluster, as a kubeconfig's exec plugin."""
    from cli.commands.eks_token import run

    run(cluster, region=region, profile=profile)


@app.command()
def config(
    stack: Stack = "local",
    resolved: Annotated[
        bool, typer.Option("--resolved", help="With every default.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the stack file and show what it says."""
    from cli.commands.config import run

    run(stack, resolved=resolved, as_json=json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a stack file, for editors."""
    from cli.commands.schema import run

    run()


@app.command()
def up(
    stack: Stack = "local",
    dry_run: DryRun = False,
    restart: Restart = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make the stack what its file says: node groups and the Ray cluster."""
    from cli.commands.up import Options, run

    run(stack, Options(dry_run=dry_run, restart=restart, yes=yes, as_json=json))


@app.command()
def preview(
    stack: Stack = "local",
    restart: Restart = False,
    json: Json = False,
) -> None:
    """Show what `up` would do; change nothing."""
    from cli.commands.preview import run

    run(stack, restart=restart, as_json=json)


@app.command()
def deploy(
    what: Annotated[
        str, typer.Argument(help="A Serve config file, or module:app.")
    ] = "serve.yaml",
    stack: Stack = "local",
    name: Annotated[
        Optional[str], typer.Option("--name", help="With module:app: its name.")
    ] = None,
    route_prefix: Annotated[
        Optional[str],
        typer.Option("--route-prefix", help="With module:app: its route."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete applications not in the file.")
    ] = False,
    canary: Annotated[
        Optional[str],
        typer.Option(
            "--canary",
            metavar="5,25,50,100",
            help="Beside the old version; shift so many percent to it, step by step.",
        ),
    ] = None,
    blue_green: Annotated[
        bool,
        typer.Option("--blue-green", help="As --canary 100: all traffic at once."),
    ] = False,
    step: Annotated[
        str,
        typer.Option("--step", help="How long each step is judged, as 60s or 5m."),
    ] = "60s",
    dry_run: DryRun = False,
    timeout: Timeout = 300,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deploy Ray Serve applications; wait, verify, and go back if it fails."""
    from cli.commands.deploy import Request, run
    from cli.steps import steps_of

    run(
        stack,
        Request(what, name=name, route_prefix=route_prefix, prune=prune),
        steps_of(canary, blue_green=blue_green, step=step),
        dry_run=dry_run,
        timeout_s=timeout,
        yes=yes,
        as_json=json,
    )


@app.command()
def traffic(
    application: Annotated[str, typer.Argument(metavar="APP", help="A splitter.")],
    weights: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[ARM=WEIGHT]...", help="Default: show them."),
    ] = None,
    stack: Stack = "local",
    timeout: Timeout = 60,
    json: Json = False,
) -> None:
    """Show how a splitter splits its traffic, or give its arms other weights."""
    from cli.commands.traffic import run

    run(stack, application, weights or [], timeout_s=timeout, as_json=json)


@app.command()
def status(
    stack: Stack = "local",
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Keep showing, until Ctrl-C.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the truth about a stack; exit 0 only if all is well."""
    from cli.commands.status import run

    run(stack, watch=watch, as_json=json)


@app.command()
def logs(
    application: Annotated[
        Optional[str], typer.Argument(metavar="[APP]", help="Default: all.")
    ] = None,
    deployment: Annotated[
        Optional[str], typer.Argument(metavar="[DEPLOYMENT]", help="Default: all.")
    ] = None,
    stack: Stack = "local",
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on as lines come.")
    ] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=0, help="Of each replica.")
    ] = 100,
    json: Json = False,
) -> None:
    """Show log lines of replicas, merged by time."""
    from cli.commands.logs import run

    run(
        stack,
        (application or "", deployment or ""),
        follow=follow,
        lines=lines,
        as_json=json,
    )


@app.command()
def delete(
    applications: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[APP]...", help="Default: the whole stack."),
    ] = None,
    stack: Stack = "local",
    timeout: Timeout = 120,
    yes: Yes = False,
) -> None:
    """Delete applications, or the whole stack with everything of it."""
    from cli.commands.delete import run

    run(stack, applications or [], timeout_s=timeout, yes=yes)


def main() -> None:
    """The console script."""
    # Looking for pydantic's plugins reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        app()
    except SystemExit as ended:
        _leave_threads(ended.code)
        raise


def _leave_threads(code: object) -> None:
    """End at once where a thread would keep the process.

    When Pulumi's engine fails early, the program's thread asks it for ever.
    """
    waiting = (t for t in threading.enumerate() if not t.daemon)
    if any(thread is not threading.main_thread() for thread in waiting):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(bool(code)))
