"""`raylift eks-token`: what a kubeconfig of ours runs to enter an EKS cluster."""

from __future__ import annotations

from cli.output import terminal
from infra.aws.eks_token import credential


def run(cluster: str, *, region: str, profile: str | None) -> None:
    """Print an ExecCredential."""
    terminal.print_json(credential(cluster, region=region, profile=profile))
