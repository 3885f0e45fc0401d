"""A stack of target `kubernetes` as its cluster describes it."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, cast

from raylift.errors import FailedPrecondition
from raylift.infra.config.loader import load_stack_file
from raylift.infra.kubernetes.package_uri import packages_uri
from raylift.kube_api import Api
from raylift.kubeconfig import access
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import RayServiceClient

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from raylift.infra.kubernetes.config import KubernetesConfig


class DescribedStack:
    """A stack for commands that use its applications.

    They need neither the Pulumi CLI nor access to its state.
    """

    def __init__(self, name: str, stack_file: Path, *, project: str) -> None:
        self.name = name
        self._file = stack_file
        self._project = project

    @functools.cached_property
    def config(self) -> KubernetesConfig:
        """The stack file."""
        return cast("KubernetesConfig", load_stack_file(self._file))

    def missing_nodes(self, marks: Collection[str]) -> list[str]:  # noqa: ARG002 as Stack
        """Return an empty list: an autoscaler adds and removes nodes."""
        return []

    @contextlib.contextmanager
    def connect(self) -> Iterator[tuple[KubernetesOutputs, RayServiceClient]]:
        """Open the API server of the cluster and read the stack's outputs.

        Raises:
            FailedPrecondition: The stack is not up in the cluster of the context,
                belongs to another project, or stores packages elsewhere than its file
                states.
        """
        settings = self.config.kubernetes
        entry = access(settings.kubeconfig, settings.context)
        with Api(entry) as api:
            service = RayServiceClient(api, settings.namespace, self.name)
            yield self._outputs(service, entry.context_name), service

    def _outputs(
        self, service: RayServiceClient, context: str | None
    ) -> KubernetesOutputs:
        described = service.description()
        if described is None:
            raise FailedPrecondition(
                f"stack '{self.name}' is not up in namespace"
                f" '{self.config.kubernetes.namespace}' of context '{context}'",
                hint=f"run `raylift up -s {self.name}`, or set"
                " raylift:kubernetes.context to the context of its cluster",
            )
        outputs = KubernetesOutputs.of(described)
        if outputs.project != self._project:
            raise FailedPrecondition(
                f"stack '{self.name}' in context '{context}' belongs to"
                f" project '{outputs.project}', not '{self._project}'",
                hint="set raylift:kubernetes.context to the context of its cluster",
            )
        if outputs.packages != packages_uri(self.config, self.name):
            raise FailedPrecondition(
                "raylift:packages or raylift:packageVolume has changed since the last"
                " `raylift up`",
                hint=f"run `raylift up -s {self.name}`",
            )
        return outputs
