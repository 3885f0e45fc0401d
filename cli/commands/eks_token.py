"""`raylift eks-token`: the exec plugin of the kubeconfig that `up` creates on EKS."""

from __future__ import annotations

from raylift.cli.output import terminal
from raylift.infra.aws.eks_token import credential


def run(cluster: str, *, region: str, profile: str | None) -> None:
    """Print an ExecCredential with a token."""
    terminal.print_json(credential(cluster, region=region, profile=profile))
