"""PulumiStack: preview, up and destroy by Pulumi's engine, with the program in here.

The same program as `pulumi up` at the root runs, and from the same Pulumi.yaml and
stack file; neither is written, and the user's own choice of a stack stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.automation.errors import StackNotFoundError

from infra.kubernetes.config import KubernetesConfig
from infra.kubernetes.facts import uid_of
from infra.kubernetes.foreign import foreign_objects, served_by_operator
from infra.kubernetes.head import RayServiceWatch, Seen
from infra.operation import Operation, read, silent
from infra.pending import protected, resources_of
from infra.program import build, found, read_config, settings
from infra.stack_file import load_stack_file
from infra.steps import STATEFUL, Steps
from infra.unfinished import finish
from infra.workspace import create, stack_in
from raylift.errors import CannotWork, Denied, LeftBehind, RayliftError, Unreachable
from raylift.kubernetes import Api, access, access_by
from raylift.outputs import ClusterOutputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pulumi import automation

    from infra.config import StackConfig
    from infra.kubernetes.facts import Facts
    from infra.stack import Change, Say, Working

T = TypeVar("T")

_NAMESPACE = "::kubernetes:core/v1:Namespace::namespace"
_OPERATOR = "::kubernetes:helm.sh/v3:Release::kuberay-operator"


class PulumiStack:
    """A stack whose resources Pulumi's engine keeps."""

    def __init__(self, name: str, stack_file: Path) -> None:
        self.name = name
        self._file = stack_file
        self._steps = Steps()

    def working(self) -> list[Working]:
        """What the engine has begun in the operation that runs, or ran last."""
        return self._steps.now()

    @functools.cached_property
    def config(self) -> StackConfig:
        """What the stack file says."""
        return load_stack_file(self._file)

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        return self._kept() is not None

    def preview(self, *, restart: bool = False) -> list[Change]:
        """What `up` would change.

        Raises:
            CannotWork: something that keeps state would be replaced, and `restart` is
                false; or the cluster lacks something.
        """
        self._created()
        operation = self._operation()
        self._build(operation, self._api.preview)
        changes = operation.steps.changes()
        if not restart:
            _refuse_loss(changes)
        return changes

    def up(self, *, progress: Say, restart: bool = False) -> ClusterOutputs:
        """Make the stack what its file says; returns once Ray's head answers."""
        del restart  # asked for in preview
        kept = self._created()
        self.finish(progress=progress)
        before = self._seen(kept)
        # Also where nothing changes: it takes the lock, and frees a dead one's.
        operation = self._operation(progress)
        result = self._build(operation, self._api.up)
        if slowest := operation.steps.slowest():
            progress(f"slowest: {slowest}")
        outputs = ClusterOutputs.of(_values(result.outputs))
        with self.api_server(outputs) as api:
            watch = RayServiceWatch(api, outputs.namespace, self.name)
            watch.wait(before, say=progress)
        return outputs

    def finish(self, *, progress: Say) -> None:
        """Bring to an end what a killed run has left half done.

        `up` and `destroy` begin with it; a preview before it is one of another stack
        than they then change.
        """
        self.config  # noqa: B018 wrong input must change nothing
        with contextlib.suppress(StackNotFoundError):
            finish(self._api, progress, operation=lambda: self._operation(progress))

    def outputs(self) -> ClusterOutputs:
        """What the stack hands over.

        Raises:
            CannotWork: it is not up.
        """
        kept = self._kept()
        if not kept:
            raise CannotWork(
                f"stack '{self.name}' is not up", hint=f"raylift up -s {self.name}"
            )
        return ClusterOutputs.of(kept)

    def may_go(self) -> bool:
        """Whether there is anything to destroy, and nothing to say against it.

        Raises:
            CannotWork: the stack is protected from that, or something of others would
                go with it.
        """
        kept = self._kept()
        if kept is None:
            return False
        state = read(self._api, self._api.export_stack)
        if isinstance(self.config, KubernetesConfig):
            with _users_api(self.config) as api:
                self._refuse_another_cluster(kept, uid_of(api))
                self._refuse_foreign(state, self.config, api)
        if guarded := protected(state):
            raise CannotWork(
                f"raylift:protection.deletionProtection is on: it keeps {guarded[0]}",
                hint=f"set it to false and run raylift up -s {self.name} first",
            )
        return True

    def destroy(self, *, progress: Say) -> bool:
        """Remove everything, in the order that the dependencies say.

        Raises:
            CannotWork: as `may_go`.
            LeftBehind: the engine could not remove something; it is named.
        """
        if not self.may_go():
            return False
        try:
            self.finish(progress=progress)
            # What is gone already must not be in the way: refresh.
            self._operation(progress).in_parallel(self._api.destroy, refresh=True)
        except RayliftError as error:
            if type(error) is not RayliftError:
                raise
            raise LeftBehind(
                f"not all of stack '{self.name}' could be removed: {error}",
                hint=f"raylift delete -s {self.name}",
            ) from None
        remove = self._api.workspace.remove_stack
        self._operation(progress).call(remove, self.name, preserve_config=True)
        return True

    # --- the cluster

    @functools.cached_property
    def _facts(self) -> Facts | None:
        """What the cluster of target `kubernetes` says of itself."""
        config = self.config
        return (
            found(config, self.name) if isinstance(config, KubernetesConfig) else None
        )

    @contextlib.contextmanager
    def api_server(self, outputs: ClusterOutputs) -> Iterator[Api]:
        """The cluster, by the stack's own kubeconfig or by the user's.

        Raises:
            CannotWork: the user's leads to another cluster than the stack's; who may
                not ask which one it is, is trusted.
        """
        if not isinstance(self.config, KubernetesConfig):
            with Api(access_by(outputs.kubeconfig)) as api:
                yield api
            return
        with _users_api(self.config) as api:
            with contextlib.suppress(Denied):
                self._refuse_another_cluster({"cluster": outputs.cluster}, uid_of(api))
            yield api

    def _seen(self, kept: Mapping[str, Any]) -> Seen:
        """The Ray service before a change, if there is one that lets itself be seen.

        The change may be what makes the cluster reachable again.
        """
        if not kept:
            return Seen(None, None)
        try:
            outputs = ClusterOutputs.of(kept)
            with self.api_server(outputs) as api:
                return RayServiceWatch(api, outputs.namespace, self.name).look()
        except (CannotWork, Denied, Unreachable):
            return Seen(None, None)

    def _refuse_another_cluster(self, kept: Mapping[str, Any], uid: str) -> None:
        """A kubeconfig's current context moves; the stack does not follow it."""
        if kept.get("cluster", uid) != uid:
            raise CannotWork(
                f"stack '{self.name}' lives in another cluster than this context",
                hint="kubectl config use-context, or set raylift:kubernetes.context",
            )

    def _refuse_foreign(
        self, state: automation.Deployment, config: KubernetesConfig, api: Api
    ) -> None:
        """Keep what others have in the stack's namespace, or run by its operator."""
        urns = [resource["urn"] for resource in resources_of(state)]
        namespace = config.kubernetes.namespace
        if any(urn.endswith(_NAMESPACE) for urn in urns) and (
            others := foreign_objects(api, namespace, self.name)
        ):
            raise CannotWork(
                f"namespace '{namespace}' goes with the stack, and holds what is not of"
                f" it: {', '.join(others)}",
                hint="move or delete that first",
            )
        if any(urn.endswith(_OPERATOR) for urn in urns) and (
            others := served_by_operator(api, self.name)
        ):
            raise CannotWork(
                "the KubeRay operator goes with the stack, and others need it:"
                f" {', '.join(others)}",
                hint="delete them first, or leave this stack up",
            )

    # --- the engine

    @functools.cached_property
    def _api(self) -> automation.Stack:
        """Made once: it asks Pulumi's command line for its version."""
        return stack_in(self._file, self.name)

    def _operation(self, say: Say = silent) -> Operation:
        operation = Operation(self._api, say)
        self._steps = operation.steps
        return operation

    def _build(self, operation: Operation, function: Callable[..., T]) -> T:
        """An operation that runs the program; an error of ours in it stays one."""
        facts, errors = self._facts, []

        def program() -> None:
            try:
                outputs = build(read_config(settings()), self.name, facts)
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

    def _kept(self) -> dict[str, Any] | None:
        """The outputs in the stack's state; None where there is no such state."""
        try:
            return _values(read(self._api, self._api.outputs))
        except StackNotFoundError:
            return None

    def _created(self) -> dict[str, Any]:
        """The outputs of the stack, which is made in the backend where it is new."""
        self.config  # noqa: B018 wrong input must not make a stack
        facts, kept = self._facts, self._kept()
        if facts and kept:
            self._refuse_another_cluster(kept, facts.uid)
        if kept is None:
            self._operation().call(create, self._api)
        return kept or {}


def _users_api(config: KubernetesConfig) -> Api:
    named = config.kubernetes
    return Api(access(named.kubeconfig, named.context))


def _values(outputs: automation.OutputMap) -> dict[str, Any]:
    return {key: output.value for key, output in outputs.items()}


def _refuse_loss(changes: list[Change]) -> None:
    """Raise for what would lose its state, first for what causes it."""
    lost = [
        change
        for change in changes
        if change.action == "replace" and change.what.split()[0] in STATEFUL
    ]
    for change in sorted(lost, key=lambda change: not change.reason)[:1]:
        raise CannotWork(
            f"{change.what} would be REPLACED, with all that it keeps"
            f" ({change.reason or 'with what it depends on'})",
            hint="take the change back, or go on with --restart",
        )
