"""PulumiStack: preview, up and destroy by Pulumi's engine, with the program in here.

The same program as `pulumi up` at the root runs, and from the same Pulumi.yaml and
stack file; neither is written, and the user's own choice of a stack stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import (
    CommandError,
    InvalidVersionError,
    StackAlreadyExistsError,
    StackNotFoundError,
)

from infra.backend import environment, holder_of, secrets_provider
from infra.begun import look_for
from infra.interrupts import Interrupts
from infra.kubernetes.config import KubernetesConfig
from infra.kubernetes.facts import access, access_by, uid_of
from infra.kubernetes.foreign import foreign_objects
from infra.kubernetes.head import RayServiceWatch, Seen
from infra.pending import (
    ending,
    pending,
    protected,
    there,
    unread,
    useless,
    without_pending,
)
from infra.program import build, found, read_config, settings
from infra.stack_file import load_stack_file
from infra.steps import STATEFUL, Steps
from raylift.errors import (
    CannotWork,
    Conflict,
    Denied,
    InputFailed,
    LeftBehind,
    RayliftError,
    Unreachable,
)
from raylift.outputs import ClusterOutputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.config import StackConfig
    from infra.kubernetes.facts import Facts
    from infra.stack import Change, Say

OLDEST = "3.238.0"
_PLUGIN = re.compile(r"resource plugin '?pulumi-resource-(\w+)'?|plugin (\w+)-v?[\d.]+")
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|dial tcp|\.pulumi/meta\.yaml|"
    r"operation error S3|could not open bucket"
)
_NAMESPACE = "::kubernetes:core/v1:Namespace::namespace"
_PARALLEL = 32


class _Workspace(automation.LocalWorkspace):
    """A workspace that does not change which stack the user has selected."""

    def create_stack(self, stack_name: str) -> None:
        """`pulumi stack init` without selecting it."""
        arguments = ["stack", "init", stack_name, "--no-select"]
        if self.secrets_provider:
            arguments += ["--secrets-provider", self.secrets_provider]
        self._run_pulumi_cmd_sync(arguments)

    def select_stack(self, stack_name: str) -> None:
        """Nothing: every operation names its stack."""


@dataclass
class _Run:
    """One operation of the engine as its events tell it."""

    steps: Steps = field(default_factory=Steps)
    errors: list[str] = field(default_factory=list)


class PulumiStack:
    """A stack whose resources Pulumi's engine keeps."""

    def __init__(self, name: str, stack_file: Path) -> None:
        self.name = name
        self._file = stack_file
        self._root = stack_file.parent.parent
        self._run = _Run()

    def running(self) -> list[tuple[str, float]]:
        """What the engine works on at this moment, and for how many seconds already."""
        return self._run.steps.running()

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
        run = _Run()
        api = self._created()
        self._operate(
            run,
            lambda: api.preview(
                program=self._program(self._facts),
                parallel=_PARALLEL,
                **_events(run, None),
            ),
        )
        changes = run.steps.changes()
        if not restart:
            _refuse_loss(changes)
        return changes

    def up(self, *, progress: Say, restart: bool = False) -> ClusterOutputs:
        """Make the stack what its file says; returns once Ray's head answers."""
        del restart  # asked for in preview
        api, facts = self._created(), self._facts
        self._finish(api, progress)
        run = self._run = _Run()
        before = self._seen()
        # Also where nothing changes: it takes the lock, and frees a dead one's.
        self._operate(
            run,
            lambda: api.up(
                program=self._program(facts),
                parallel=_PARALLEL,
                **_events(run, progress),
            ),
            say=progress,
        )
        if slowest := run.steps.slowest():
            progress(f"slowest: {slowest}")
        outputs = self.outputs()
        with self._watch(outputs) as watch:
            watch.wait(before, say=progress)
        return outputs

    def outputs(self) -> ClusterOutputs:
        """What the stack hands over.

        Raises:
            CannotWork: it is not up.
        """
        values = self._kept()
        if not values:
            raise CannotWork(
                f"stack '{self.name}' is not up", hint=f"raylift up -s {self.name}"
            )
        return ClusterOutputs.of(values)

    def _kept(self) -> dict[str, Any] | None:
        """The outputs in the stack's state; None where there is no such state."""
        try:
            outputs = self._api.outputs()
        except StackNotFoundError:
            return None
        except CommandError as error:
            raise self._told(error, _Run()) from None
        return {key: output.value for key, output in outputs.items()}

    def destroy(self, *, progress: Say) -> bool:
        """Remove everything, in the order that the dependencies say.

        Raises:
            CannotWork: the stack is protected from that, or something of others would
                go with it.
            LeftBehind: the engine could not remove something; it is named.
        """
        api, kept = self._api, self._kept()
        if kept is None:
            return False
        state = api.export_stack()
        if isinstance(self.config, KubernetesConfig):
            self._refuse_another_cluster(kept, uid_of(access(self.config.kubernetes)))
            self._refuse_foreign(state, self.config)
        if guarded := protected(state):
            raise CannotWork(
                f"raylift:protection.deletionProtection is on: it keeps {guarded[0]}",
                hint=f"set it to false and run raylift up -s {self.name} first",
            )
        try:
            self._finish(api, progress)
            run = self._run = _Run()
            self._operate(
                run,
                lambda: api.destroy(
                    refresh=True,  # what is gone already must not be in the way
                    parallel=_PARALLEL,
                    **_events(run, progress),
                ),
                say=progress,
            )
        except RayliftError as error:
            if type(error) is not RayliftError:
                raise
            raise LeftBehind(
                f"not all of stack '{self.name}' could be removed: {error}",
                hint=f"raylift delete -s {self.name}",
            ) from None
        api.workspace.remove_stack(self.name, preserve_config=True)
        return True

    def _refuse_another_cluster(self, kept: dict[str, Any], uid: str) -> None:
        """A kubeconfig's current context moves; the stack does not follow it."""
        if kept.get("cluster", uid) != uid:
            raise CannotWork(
                f"stack '{self.name}' lives in another cluster than this context",
                hint="kubectl config use-context, or set raylift:kubernetes.context",
            )

    def _refuse_foreign(
        self, state: automation.Deployment, config: KubernetesConfig
    ) -> None:
        """Keep what others have put into a namespace that goes with the stack."""
        resources = (state.deployment or {}).get("resources") or []
        if not any(r["urn"].endswith(_NAMESPACE) for r in resources):
            return
        named = config.kubernetes
        found = foreign_objects(access(named), named.namespace, self.name)
        if found:
            raise CannotWork(
                f"namespace '{named.namespace}' goes with the stack, and holds what is"
                f" not of it: {', '.join(found)}",
                hint="move or delete that first",
            )

    def _seen(self) -> Seen:
        """The Ray service before a change, if there is one."""
        try:
            outputs = self.outputs()
        except CannotWork:
            return Seen(None, None)
        with self._watch(outputs) as watch:
            return watch.look()

    def _watch(self, outputs: ClusterOutputs) -> RayServiceWatch:
        """The Ray service, by the stack's own kubeconfig or by the user's."""
        if isinstance(self.config, KubernetesConfig):
            entry = access(self.config.kubernetes)
        else:
            entry = access_by(outputs.kubeconfig)
        return RayServiceWatch(entry, outputs.namespace, self.name)

    # --- the engine

    @functools.cached_property
    def _facts(self) -> Facts | None:
        """What the cluster of target `kubernetes` says of itself."""
        config = self.config
        return (
            found(config, self.name) if isinstance(config, KubernetesConfig) else None
        )

    def _program(self, facts: Facts | None) -> Callable[[], None]:
        def program() -> None:
            outputs = build(read_config(settings()), self.name, facts)
            for key, value in outputs.items():
                pulumi.export(key, value)

        return program

    @functools.cached_property
    def _api(self) -> automation.Stack:
        """Pulumi's Automation API for the stack; made once, as it asks for a version.

        Raises:
            CannotWork: Pulumi's command line is missing or too old.
            InputFailed: no backend or no passphrase is chosen.
        """
        try:
            workspace = _Workspace(
                work_dir=str(self._root),
                env_vars=environment(self._root, self._file),
                secrets_provider=secrets_provider(self._file),
            )
            version = workspace.pulumi_version
        except FileNotFoundError:
            raise CannotWork(
                "Pulumi's command line is not installed",
                hint="https://www.pulumi.com/docs/install says how",
            ) from None
        except InvalidVersionError as error:
            raise CannotWork(str(error)) from None
        if _numbers(version) < _numbers(OLDEST):
            raise CannotWork(
                f"Pulumi's command line is {version}; {OLDEST} or newer is needed"
            )
        mode = StackInitMode.SELECT
        return automation.Stack(self.name, workspace, mode)

    def _created(self) -> automation.Stack:
        """The stack, made in the backend where it is new; its file is read first."""
        self.config  # noqa: B018 wrong input must not make a stack
        facts, kept = self._facts, self._kept()
        if facts and kept:
            self._refuse_another_cluster(kept, facts.uid)
        if kept is None:
            self._operate(_Run(), lambda: _create(self._api))
        return self._api

    def _operate(
        self,
        run: _Run,
        operation: Callable[[], Any],
        *,
        say: Say = lambda _: None,
    ) -> None:
        """Run one operation; frees a lock that a dead process of this machine left."""
        with Interrupts(say) as interrupts:
            try:
                try:
                    operation()
                except CommandError as error:
                    holder = holder_of(str(error))
                    if holder is None or not holder.is_dead():
                        raise
                    say(f"the lock of {holder} is freed: that process is gone")
                    self._api.cancel()
                    operation()
            except CommandError as error:
                if interrupts.count:
                    raise KeyboardInterrupt from None
                raise self._told(error, run) from None

    def _finish(self, api: automation.Stack, say: Say) -> None:
        """Give the state what a killed run had begun, and take away what is of no use.

        What it was deleting is deleted first: as long as that is in the state, an `up`
        takes it for made.

        Raises:
            Conflict: that run goes on.
        """
        state = api.export_stack()
        for what in pending(state):
            if not what.startswith("creating"):
                say(f"a run was cut off while {what}: done again where needed")
        if urns := ending(state):
            self._remove(api, urns, say)
            state = api.export_stack()
        if pending(state):
            found = look_for(self.name, state, say)
            if api.export_stack().deployment != state.deployment:
                raise self._locked("")
            state = without_pending(state, found)
            self._operate(_Run(), lambda: api.import_stack(state), say=say)
        if urns := useless(state):
            self._remove(api, urns, say)
            state = api.export_stack()
        if urns := unread(state):
            run = _Run()
            quietly = _events(run, None)
            self._operate(run, lambda: api.refresh(target=urns, **quietly), say=say)

    def _remove(self, api: automation.Stack, urns: list[str], say: Say) -> None:
        """Delete these; they are read first, as Helm refuses to delete what is gone.

        Then the engine refuses for those: it is asked again for the others.
        """
        run = self._run = _Run()
        told = _events(run, say)
        try:
            self._operate(
                run, lambda: api.destroy(target=urns, refresh=True, **told), say=say
            )
        except RayliftError:
            left = there(api.export_stack(), urns)
            if left == urns:
                raise
            if left:
                self._remove(api, left, say)

    def _told(self, error: CommandError, run: _Run) -> RayliftError:
        """An error of the engine as one of ours."""
        text = _COLOUR.sub("", str(error))
        if "is currently locked by" in text:
            return self._locked(text)
        if "incorrect passphrase" in text:
            return Denied(
                f"the passphrase does not fit stack '{self.name}'",
                hint="export PULUMI_CONFIG_PASSPHRASE=…",
            )
        if "passphrase must be set" in text:
            return InputFailed.at("", "PULUMI_CONFIG_PASSPHRASE is not set")
        if match := _PLUGIN.search(text):
            name = match[1] or match[2]
            return CannotWork(
                f"Pulumi's plugin for {name} is not installed",
                hint=f"pulumi plugin install resource {name} {_plugin_version(name)}",
            )
        if _UNREACHABLE.search(text):
            return Unreachable(
                f"the place of Pulumi's state does not answer: {_last_line(text)}",
                hint="pulumi stack ls asks it too",
            )
        reasons = run.errors or [_last_line(text)]
        return RayliftError(
            "\n".join(dict.fromkeys(reasons)),
            hint=f"raylift up -s {self.name} goes on where this run ended",
        )

    def _locked(self, text: str) -> Conflict:
        return Conflict(
            f"stack '{self.name}' is locked by {holder_of(text) or 'somebody else'}",
            hint=f"if that run is gone: pulumi cancel --stack {self.name}",
        )


def _create(api: automation.Stack) -> None:
    """Make the stack in the backend, if nobody has been faster."""
    with contextlib.suppress(StackAlreadyExistsError):
        api.workspace.create_stack(api.name)


def _refuse_loss(changes: list[Change]) -> None:
    for change in changes:
        if change.action == "replace" and change.what.split()[0] in STATEFUL:
            raise CannotWork(
                f"{change.what} would be REPLACED, with all that it keeps"
                f" ({change.reason})",
                hint="take the change back, or go on with --restart",
            )


def _events(run: _Run, say: Say | None) -> dict[str, Any]:
    """Arguments of an operation whose events alone are of interest."""
    return {
        "on_event": lambda event: _note(run, event, say),
        "suppress_progress": True,
        "color": "never",
    }


def _note(run: _Run, event: Any, say: Say | None) -> None:  # noqa: ANN401 Pulumi's
    """One event of the engine. Pulumi calls this from a thread of its own."""
    if before := event.resource_pre_event:
        run.steps.begin(before.metadata)
    elif after := event.res_outputs_event:
        done = run.steps.end(after.metadata.urn)
        if done and say and not after.planning:
            say(done)
    elif (told := event.diagnostic_event) and told.severity == "error":
        run.errors.append(_reason(told))


def _reason(told: Any) -> str:  # noqa: ANN401 Pulumi's event
    """An error's first lines, with the resource that it is about."""
    text = " ".join(_COLOUR.sub("", told.message).split())
    name = told.urn.rsplit("::", 1)[-1] if told.urn else ""
    return f"{name}: {text}" if name else text


def _plugin_version(name: str) -> str:
    """The version that the installed SDK asks for."""
    try:
        return f"v{importlib.metadata.version(f'pulumi-{name}')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _last_line(text: str) -> str:
    lines = [line.strip().removeprefix("stderr: ") for line in text.splitlines()]
    lines = [line for line in lines if line]
    wrong = [line for line in lines if line.startswith("error:")]
    return (wrong or lines or ["Pulumi failed"])[-1].removeprefix("error: ")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
