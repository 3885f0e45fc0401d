"""Tests of the double of Pulumi's provider `kubernetes`, through Pulumi programs."""

from __future__ import annotations

import gc
import re

import pulumi
import pulumi_kubernetes as k8s
import pytest
from kube import apply, kubectl, new_namespace, objects
from pulumi import automation

pytestmark = [
    pytest.mark.long,
    pytest.mark.rig,
    # Pulumi does not await the coroutine of a failed program; it is garbage-collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RAY = {
    "template": {"spec": {"containers": [{"name": "ray", "image": "rayproject/ray"}]}},
    "rayStartParams": {},
}


class Stack:
    """One stack, in which several programs run one after another in one namespace."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.stack = automation.create_or_select_stack("double", "rig", self._run)

    def _run(self):
        self.program()

    def up(self, program):
        """Run the program; return {operation: number of changed resources}."""
        self.program = program
        changes = self.stack.up().summary.resource_changes
        return {kind: count for kind, count in changes.items() if kind != "same"}

    def refresh(self):
        return self.stack.refresh().summary.resource_changes

    def outputs(self):
        return {name: value.value for name, value in self.stack.outputs().items()}

    def fails(self, program, message, *, preview=False):
        """Assert that the engine fails with this message."""
        self.program = program
        run = self.stack.preview if preview else self.stack.up
        with pytest.raises(automation.CommandError, match=re.escape(message)):
            run()
        gc.collect()

    def metadata(self, **more):
        return {"namespace": self.namespace, **more}


@pytest.fixture(scope="module")
def stack(rig):
    with new_namespace() as namespace:
        stack = Stack(namespace)
        yield stack
        stack.stack.destroy(remove=True)


def annotated(**annotations):
    return {f"pulumi.com/{key}": value for key, value in annotations.items()}


def test_objects_are_auto_named_and_a_config_map_is_replaced_for_new_data(stack):
    def program(data):
        auto = k8s.core.v1.ConfigMap("auto", metadata=stack.metadata(), data=data)
        fixed = stack.metadata(name="fixed")
        k8s.core.v1.ConfigMap("fixed", metadata=fixed, data=data)
        pulumi.export("auto", auto.metadata["name"])

    assert stack.up(lambda: program({"a": "1"}))["create"] >= 2
    first = stack.outputs()["auto"]
    assert re.fullmatch(r"auto-[0-9a-f]{8}", first)
    assert stack.up(lambda: program({"a": "2"})) == {"replace": 2}
    assert stack.outputs()["auto"] != first
    (fixed,) = objects("-n", stack.namespace, "configmap", "fixed")
    assert fixed["data"] == {"a": "2"}


def test_a_refresh_detects_drift_only_in_fields_of_the_program(stack):
    account = ("-n", stack.namespace, "serviceaccount", "drift")

    def program():
        metadata = stack.metadata(name="drift", labels={"a": "1"})
        k8s.core.v1.ServiceAccount("drift", metadata=metadata)

    stack.up(program)
    kubectl("label", *account, "theirs=1")
    assert "update" not in stack.refresh()
    kubectl("label", *account, "a=2", "--overwrite")
    assert stack.refresh()["update"] == 1


def test_a_field_of_another_manager_is_a_conflict_without_patch_force(stack):
    metadata = stack.metadata(name="contested")
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}

    def program(**annotations):
        own = stack.metadata(name="contested", annotations=annotations)
        k8s.core.v1.ServiceAccount("contested", metadata=own)

    stack.up(program)
    apply({**account, "metadata": {**metadata, "annotations": {"b": "theirs"}}})
    stack.fails(lambda: program(b="ours"), "Apply failed with 1 conflict")
    forced = annotated(patchForce="true")
    assert stack.up(lambda: program(b="ours", **forced)) == {"update": 1}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"headGroupSpec": {**RAY, "rayStartParams": 3}}, "is invalid"),
        ({"headGroupSpec": RAY, "hedGroup": 1}, 'unknown field "spec.hedGroup"'),
    ],
)
def test_the_api_server_validates_custom_resources_in_a_preview(stack, spec, message):
    def program():
        k8s.apiextensions.CustomResource(
            "bad",
            api_version="ray.io/v1",
            kind="RayCluster",
            metadata=stack.metadata(name="bad"),
            spec=spec,
        )

    stack.fails(program, message, preview=True)


def test_a_property_that_is_unknown_to_the_sdk_is_refused(stack):
    def program():
        metadata = stack.metadata()
        k8s.core.v1.Service("web", metadata=metadata, spec={"portz": [1]})

    message = "no such property (pulumi_kubernetes"
    stack.fails(program, message, preview=True)


def test_an_existing_object_is_an_error_without_upsert(stack):
    kubectl("-n", stack.namespace, "create", "configmap", "taken")

    def program(**options):
        provider = k8s.Provider("upsert", **options)
        k8s.core.v1.ConfigMap(
            "taken",
            metadata=stack.metadata(name="taken"),
            data={"a": "1"},
            opts=pulumi.ResourceOptions(provider=provider),
        )

    stack.fails(program, 'configmaps "taken" already exists')
    assert stack.up(lambda: program(upsert_existing_objects=True))["create"] >= 1


def test_wait_for_fails_after_the_timeout_in_the_annotation(stack):
    def program(wanted):
        annotations = annotated(waitFor=wanted, timeoutSeconds="2")
        metadata = stack.metadata(name="waits", annotations=annotations)
        k8s.core.v1.ConfigMap("waits", metadata=metadata, data={"a": "1"})

    never = "jsonpath={.data.a}=never"
    stack.fails(lambda: program(never), "timed out waiting for the condition")
    there = '["jsonpath={.metadata.name}=waits", "jsonpath={.data.a}"]'
    assert stack.up(lambda: program(there))["update"] == 1


def test_up_waits_for_a_deployment_and_the_state_encrypts_a_secret(stack, rig):
    def program():
        labels = {"app": "web"}
        containers = [{"name": "web", "image": "web"}]
        pod = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        web = k8s.apps.v1.Deployment(
            "web",
            metadata=stack.metadata(),
            spec={"selector": {"match_labels": labels}, "template": pod},
        )
        token = {"token": pulumi.Output.secret("hunter2")}
        k8s.core.v1.Secret("token", metadata=stack.metadata(), string_data=token)
        default = k8s.core.v1.Namespace.get("default", "default")
        pulumi.export("available", web.status["available_replicas"])
        pulumi.export("phase", default.status["phase"])

    stack.up(program)
    assert stack.outputs() == {"available": 1, "phase": "Active"}
    state = (rig / "state/.pulumi/stacks/rig/double.json").read_text()
    assert "available" in state
    assert "hunter2" not in state
    assert "aHVudGVyMg" not in state  # nor its base64


def test_a_helm_release_is_stored_like_helm_stores_it(stack):
    def program(values, name="first"):
        return lambda: k8s.helm.v3.Release(
            name,
            name="operator",
            namespace=stack.namespace,
            chart="kuberay-operator",
            version="1.6.1",
            values=values,
        )

    def statuses():
        selector = ("-l", "owner=helm,name=operator")
        found = objects("secrets", "-n", stack.namespace, *selector)
        return [each["metadata"]["labels"]["status"] for each in found]

    assert stack.up(program({"a": 1}))["create"] >= 1
    assert statuses() == ["deployed"]
    assert stack.up(program({"a": 2}))["update"] == 1
    assert statuses() == ["superseded", "deployed"]
    taken = "cannot re-use a name that is still in use"
    stack.fails(program({"a": 2}, "second"), taken)
    selector = ("-l", "owner=helm,name=operator")
    kubectl("delete", "secrets", "-n", stack.namespace, *selector)
    gone = "uninstall: Release not loaded: operator: release: not found"
    stack.fails(lambda: None, gone)
    assert stack.refresh()["delete"] == 1


def test_an_unreachable_cluster_is_reported(stack, rig):
    lost = (rig / "kubeconfig").read_text().replace("127.0.0.1:", "127.0.0.2:")

    def program():
        options = pulumi.ResourceOptions(provider=k8s.Provider("lost", kubeconfig=lost))
        k8s.core.v1.ConfigMap("lost", metadata=stack.metadata(), opts=options)

    stack.fails(program, "configured Kubernetes cluster is unreachable")
