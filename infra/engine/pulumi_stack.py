"""The stack of targets `kubernetes` and `aws`, managed by Pulumi's engine.

It runs the same program as `pulumi up` at the project's root, with the same Pulumi.yaml
and stack file. It changes neither these files nor the selected stack.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.automation.errors import StackNotFoundError

from raylift.errors import (
    FailedPrecondition,
    Leftovers,
    PermissionDenied,
    RayliftError,
    Unreachable,
)
from raylift.infra.config.loader import load_stack_file
from raylift.infra.engine.operation import Operation, read, silent
from raylift.infra.engine.progress import EngineProgress
from raylift.infra.engine.recovery import recover
from raylift.infra.engine.refusals import (
    refuse_another_cluster,
    refuse_data_loss,
    refuse_protected,
    refuse_undescribed,
    refuse_unmanaged,
)
from raylift.infra.engine.workspace import create, stack_in
from raylift.infra.kubernetes.cluster_info import uid_of
from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.kubernetes.readiness import RayServiceState, RayServiceWatch
from raylift.infra.program import build, checked_cluster_info, read_config, settings
from raylift.kube_api import Api
from raylift.kubeconfig import access, access_by
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import RayServiceClient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pulumi import automation

    from raylift.infra.config.base import StackConfig
    from raylift.infra.kubernetes.cluster_info import ClusterInfo
    from raylift.infra.stack import RunningStep, Say, StackChange

T = TypeVar("T")


class PulumiStack:
    """A stack whose resources are recorded in a Pulumi state backend."""

    after_destroy = "the Pulumi state is empty"

    def __init__(self, name: str, stack_file: Path) -> None:
        self.name = name
        self._file = stack_file
        self._steps = EngineProgress()

    def running_steps(self) -> list[RunningStep]:
        """Return the steps of the current operation, or of the last one."""
        return self._steps.now()

    @functools.cached_property
    def config(self) -> StackConfig:
        """The stack file."""
        return load_stack_file(self._file)

    def recover(self, *, progress: Say) -> None:
        """Complete what an interrupted run left unfinished.

        `destroy` calls it. Call it before `preview` as well; otherwise the preview
        describes a different state from the one that `up` changes.
        """
        self.config  # noqa: B018 invalid input must change nothing
        with contextlib.suppress(StackNotFoundError):
            recover(self._api, progress, operation=lambda: self._operation(progress))

    def preview(self, *, restart: bool = False) -> list[StackChange]:
        """Return the changes that `up` would make.

        Raises:
            FailedPrecondition: A resource that keeps data would be replaced and
                `restart` is false, or the cluster does not meet a requirement.
        """
        self._create()
        operation = self._operation()
        self._build(operation, self._api.preview)
        changes = operation.steps.changes()
        if not restart:
            refuse_data_loss(changes)
        return changes

    def up(self, *, progress: Say, restart: bool = False) -> KubernetesOutputs:
        """Create or update the stack. Return when Ray's head responds."""
        del restart  # `preview` has checked it
        before = self._ray_service_state(self._create())
        # Runs even without changes, to take the lock and release a stale one.
        operation = self._operation(progress)
        result = self._build(operation, self._api.up)
        if slowest := operation.steps.slowest():
            progress(f"slowest: {slowest}")
        values = _values(result.outputs)
        outputs = KubernetesOutputs.of(values)
        with self._api_server(outputs) as api:
            watch = RayServiceWatch(api, outputs.namespace, self.name)
            watch.wait(before, say=progress)
            if isinstance(self.config, KubernetesConfig):
                service = RayServiceClient(api, outputs.namespace, self.name)
                refuse_undescribed(service, values)
        return outputs

    @contextlib.contextmanager
    def connect(self) -> Iterator[tuple[KubernetesOutputs, RayServiceClient]]:
        """Open the API server of the stack's cluster with the recorded outputs.

        Raises:
            FailedPrecondition: The stack is not up.
        """
        recorded = self._recorded_outputs()
        if not recorded:
            raise FailedPrecondition(
                f"stack '{self.name}' is not up",
                hint=f"run `raylift up -s {self.name}`",
            )
        outputs = KubernetesOutputs.of(recorded)
        with self._api_server(outputs) as api:
            yield outputs, RayServiceClient(api, outputs.namespace, self.name)

    def missing_nodes(self, marks: Collection[str]) -> list[str]:  # noqa: ARG002 as Stack
        """Return an empty list: an autoscaler adds and removes nodes."""
        return []

    def check_deletable(self) -> bool:
        """Return whether there is anything to delete.

        Raises:
            FailedPrecondition: Deletion protection is on, or the deletion would remove
                objects that the stack does not own.
        """
        recorded = self._recorded_outputs()
        if recorded is None:
            return False
        state = read(self._api, self._api.export_stack)
        if isinstance(self.config, KubernetesConfig):
            namespace = self.config.kubernetes.namespace
            with _users_api(self.config) as api:
                refuse_another_cluster(self.name, recorded, uid_of(api))
                refuse_unmanaged(self.name, state, namespace, api)
        refuse_protected(self.name, state)
        return True

    def destroy(self, *, progress: Say) -> bool:
        """Delete all resources in the order of their dependencies, then the state.

        Raises:
            FailedPrecondition: As `check_deletable`.
            Leftovers: The engine could not delete a resource. The message names it.
        """
        if not self.check_deletable():
            return False
        try:
            self.recover(progress=progress)
            # The refresh skips resources that were already deleted. A resource that
            # cannot be deleted keeps only those that it depends on.
            self._operation(progress).in_parallel(
                self._api.destroy, refresh=True, continue_on_error=True
            )
        except RayliftError as error:
            if type(error) is not RayliftError:
                raise
            raise Leftovers(
                f"stack '{self.name}' was not completely deleted: {error}",
                hint=f"run `raylift delete -s {self.name}` to try again",
            ) from None
        remove = self._api.workspace.remove_stack
        self._operation(progress).call(remove, self.name, preserve_config=True)
        return True

    # --- the cluster

    @functools.cached_property
    def _cluster_info(self) -> ClusterInfo | None:
        """The cluster of target `kubernetes`; None for target `aws`."""
        config = self.config
        return (
            checked_cluster_info(config, self.name)
            if isinstance(config, KubernetesConfig)
            else None
        )

    @contextlib.contextmanager
    def _api_server(self, outputs: KubernetesOutputs) -> Iterator[Api]:
        """Open the API server of the stack's cluster.

        Use the kubeconfig that the stack created, otherwise the user's.
        """
        api = (
            _users_api(self.config)
            if isinstance(self.config, KubernetesConfig)
            else Api(access_by(outputs.kubeconfig))
        )
        with api:
            yield api

    def _ray_service_state(self, recorded: Mapping[str, Any]) -> RayServiceState:
        """Return the state of the RayService before a change; empty if unknown.

        The cluster may be unreachable, and the change may repair it.
        """
        if not recorded:
            return RayServiceState(None, None)
        try:
            outputs = KubernetesOutputs.of(recorded)
            with self._api_server(outputs) as api:
                return RayServiceWatch(api, outputs.namespace, self.name).look()
        except (FailedPrecondition, PermissionDenied, Unreachable):
            return RayServiceState(None, None)

    # --- the engine

    @functools.cached_property
    def _api(self) -> automation.Stack:
        """Pulumi's Automation API, opened once because that runs `pulumi version`."""
        return stack_in(self._file, self.name)

    def _operation(self, say: Say = silent) -> Operation:
        operation = Operation(self._api, say)
        self._steps = operation.steps
        return operation

    def _build(self, operation: Operation, function: Callable[..., T]) -> T:
        """Run an operation with the program. Re-raise a RayliftError of the program."""
        info, errors = self._cluster_info, []

        def program() -> None:
            try:
                outputs = build(read_config(settings()), self.name, info)
            except RayliftError as error:
                errors.append(error)
                raise pulumi.RunError(str(error)) from None
            for key, value in outputs.items():
                pulumi.export(key, value)

        try:
            return operation.in_parallel(function, program=program)
        except RayliftError:
            if errors:
                raise errors[0] from None
            raise

    def _recorded_outputs(self) -> dict[str, Any] | None:
        """Return the outputs in the stack's state, or None without a state."""
        try:
            return _values(read(self._api, self._api.outputs))
        except StackNotFoundError:
            return None

    def _create(self) -> dict[str, Any]:
        """Create the stack in the backend if it is new, and return its outputs."""
        self.config  # noqa: B018 invalid input must not create a stack
        info, recorded = self._cluster_info, self._recorded_outputs()
        if info and recorded:
            refuse_another_cluster(self.name, recorded, info.uid)
        if recorded is None:
            self._operation().call(create, self._api)
        return recorded or {}


def _users_api(config: KubernetesConfig) -> Api:
    named = config.kubernetes
    return Api(access(named.kubeconfig, named.context))


def _values(outputs: automation.OutputMap) -> dict[str, Any]:
    return {key: output.value for key, output in outputs.items()}
