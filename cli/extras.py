"""Report of a missing optional dependency, with the extra that installs it."""

from __future__ import annotations

from raylift.errors import FailedPrecondition

_NEEDED_BY = {
    "local": "target local requires",
    "kubernetes": "targets kubernetes and aws require",
    "aws": "target aws requires",
}
_EXTRAS = {
    "ray": "local",
    "aiohttp": "local",
    "pulumi": "kubernetes",
    "pulumi_kubernetes": "kubernetes",
    "lightkube": "kubernetes",
    "httpx2": "kubernetes",
    "pulumi_aws": "aws",
    "boto3": "aws",
    "botocore": "aws",
}


def missing_extra(error: ModuleNotFoundError) -> FailedPrecondition | None:
    """Return an error for a missing optional dependency, or None for any other module.

    This includes a missing distribution (`importlib.metadata.PackageNotFoundError`).
    """
    package = (error.name or "").partition(".")[0].replace("-", "_")
    extra = _EXTRAS.get(package)
    if extra is None:
        return None
    return FailedPrecondition(
        f"{_NEEDED_BY[extra]} {package}, which is not installed",
        hint=f'run `pip install "raylift[{extra}]"`',
    )
