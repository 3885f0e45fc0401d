"""The options that several commands share, and those of commands with many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Stack = Annotated[
    str,
    typer.Option(
        "-s",
        "--stack",
        envvar="RAYLIFT_STACK",
        metavar="STACK",
        help="Name of the stack.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Skip the confirmation prompt.")]
Directory = Annotated[
    Path,
    typer.Argument(metavar="DIRECTORY", help="Directory to create the project in."),
]
Manifest = Annotated[
    Path, typer.Argument(metavar="FILE", help="RayService manifest to read.")
]
Region = Annotated[str, typer.Option("--region", metavar="REGION", help="AWS region.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="AWS profile to use."),
]
Restart = Annotated[
    bool,
    typer.Option(
        "--restart", help="Allow changes that restart or replace the cluster."
    ),
]
PreviewRestart = Annotated[
    bool,
    typer.Option(
        "--restart", help="Include changes that restart or replace the cluster."
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=1, metavar="SECONDS", help="Maximum time to wait, in seconds."
    ),
]
Application = Annotated[
    str | None,
    typer.Argument(metavar="APP", help="Application to show. Defaults to all."),
]
Weights = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ARM=WEIGHT", help="Weights to set. By default, show the current ones."
    ),
]

Deleted = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="APP", help="Applications to delete. Defaults to the whole stack."
    ),
]

# Options of `status`, `logs` and `open`

Watch = Annotated[
    bool, typer.Option("-w", "--watch", help="Refresh until you press Ctrl-C.")
]
AllStacks = Annotated[
    bool,
    typer.Option("--all", help="List the stacks in the kubeconfig's current cluster."),
]
Deployment = Annotated[
    str | None,
    typer.Argument(metavar="DEPLOYMENT", help="Deployment to show. Defaults to all."),
]
Follow = Annotated[
    bool, typer.Option("-f", "--follow", help="Keep streaming new lines.")
]
Lines = Annotated[
    int,
    typer.Option(
        "-n", "--lines", min=0, metavar="LINES", help="Lines to show per replica."
    ),
]
Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="Open Ray's dashboard instead.")
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Port to listen on. With 0, a free one.",
    ),
]

# Options of `deploy`

ConfigSource = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Serve config file or module:app."),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the application. Requires module:app.",
    ),
]
RoutePrefix = Annotated[
    str | None,
    typer.Option(
        "--route-prefix",
        metavar="ROUTE",
        help="Route prefix. Requires module:app.",
    ),
]
Values = Annotated[
    Path | None,
    typer.Option(
        "--values",
        metavar="FILE",
        help="Values file that overrides the Serve config.",
    ),
]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Delete applications that are not in the file."),
]
Canary = Annotated[
    str | None,
    typer.Option(
        "--canary",
        metavar="PERCENTS",
        help="Shift traffic to the new version in these steps, in percent,"
        " such as 5,25,50,100.",
    ),
]
BlueGreen = Annotated[
    bool,
    typer.Option("--blue-green", help="Shift all traffic at once, like --canary 100."),
]
Step = Annotated[
    str,
    typer.Option(
        "--step",
        metavar="DURATION",
        help="Duration of each canary step, such as 60s or 5m.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the changes without applying them.")
]
Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="Show messages from Ray in full."),
]
