"""The layout of `raylift COMMAND --help` and its examples."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

DOCUMENTATION = "https://github.com/raylift/raylift/tree/main/docs"
EXAMPLES = {
    "init": ["raylift init models"],
    "config": ["raylift config --resolved", "raylift config -s prod --json"],
    "import": ["raylift import rayservice.yaml > serve.yaml"],
    "schema": ["raylift schema > stack.schema.json"],
    "up": ["raylift up", "raylift up -s prod", "raylift up -s prod --yes --json"],
    "render": ["raylift render -s prod > manifests.yaml"],
    "preview": ["raylift preview -s prod"],
    "deploy": [
        "raylift deploy",
        "raylift deploy hello:app --name hello --route-prefix /hello",
        "raylift deploy serve.yaml -s prod --canary 5,25,50,100 --step 5m",
    ],
    "traffic": ["raylift traffic front", "raylift traffic front v1=90 v2=10"],
    "status": [
        "raylift status --watch",
        "raylift status -s prod --json",
        "raylift status --all",
    ],
    "logs": ["raylift logs chat -f", "raylift logs chat Model -n 20"],
    "open": ["raylift open chat -s prod", "raylift open --dashboard -s prod"],
    "delete": ["raylift delete chat", "raylift delete -s prod"],
}


class Command(TyperCommand):
    """A command whose help shows plain metavars, examples and the documentation."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 private type
        """Return the parts of the usage line, without braces around `APP`."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 as above
        """Write arguments, without `<str>` after their names, and options."""
        sections: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                name, text = record
                row = (name.partition(" <")[0], text)
                sections[parameter.param_type_name].append(row)
        for kind, rows in sections.items():
            if rows:
                with formatter.section(f"{kind.title()}s"):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 as above
        """Write the examples and the location of the documentation."""
        del ctx
        if examples := EXAMPLES.get(self.name or ""):
            with formatter.section("Examples"):
                for example in examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        formatter.write(f"\nDocumentation: {DOCUMENTATION}\n")
