"""The package store: a server with a volume for the code packages of a stack."""

from __future__ import annotations

import base64
import inspect
import secrets
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ComponentResource, CustomTimeouts, Output, ResourceOptions

from raylift.infra.kubernetes import package_server
from raylift.infra.kubernetes.network_policy import package_policy
from raylift.infra.kubernetes.object_scope import COMPONENT_LABEL, PACKAGES, labels
from raylift.infra.kubernetes.package_uri import STORE_PORT, store_name
from raylift.infra.kubernetes.placement import EXISTS
from raylift.infra.kubernetes.pod_template import (
    image_of,
    pod_spec,
    ports,
    same_node_as,
    scheduling,
    security_context,
)
from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.kubernetes.network_policy import Callers
    from raylift.infra.kubernetes.placement import Placement
    from raylift.infra.kubernetes.pod_template import PodSettings
    from raylift.infra.kubernetes.volume import Volume

_FOLDER = "/mnt/packages"
# The first pod of a stack may have to pull Ray's image, of several GB, to a new node.
_START_SECONDS = 1200
# An idle server needs little, and a hundred nodes may start at the same time.
_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "2", "memory": "256Mi"},
}


class PackageStore(ComponentResource):
    """The package store of a stack and its dependent objects."""

    def __init__(
        self,
        cluster: Placement,
        settings: PodSettings,
        volume: Volume,
        callers: Callers | None,
        *,
        after: Sequence[pulumi.Resource],
    ) -> None:
        """Register the component and its children.

        They are created after the resources in `after` and deleted before them. Without
        `callers`, no network policy is created.
        """
        super().__init__(
            "raylift:kubernetes:PackageStore", store_name(cluster.scope.stack)
        )
        self._cluster = cluster
        self._after = [*after, *cluster.ready]
        token = self._token()
        before = [self._account(), token, self._claim(volume), self._service()]
        if callers:
            before.append(self._policy(callers))
        self.server = self._server(settings, token, before)
        self.register_outputs({})

    def _options(self, **options: Any) -> ResourceOptions:  # noqa: ANN401 arguments of ResourceOptions
        options.setdefault("depends_on", self._after)
        return self._cluster.options(self, **options)

    def _account(self) -> pulumi.Resource:
        return kubernetes.core.v1.ServiceAccount(
            "packages-account",
            metadata=self._cluster.metadata(PACKAGES),
            automount_service_account_token=False,
            opts=self._options(),
        )

    def _token(self) -> kubernetes.core.v1.Secret:
        """Register the Secret with the token for writing, which is generated once."""
        token = base64.b64encode(secrets.token_urlsafe(32).encode()).decode()
        return kubernetes.core.v1.Secret(
            "packages-token",
            metadata=self._cluster.metadata(PACKAGES),
            data={"token": Output.secret(token)},
            opts=self._options(ignore_changes=["data"]),
        )

    def _claim(self, volume: Volume) -> pulumi.Resource:
        return kubernetes.core.v1.PersistentVolumeClaim(
            "packages",
            metadata=self._cluster.metadata(PACKAGES, annotations=EXISTS),
            spec=volume.claim(),
            opts=self._options(),
        )

    def _service(self) -> pulumi.Resource:
        port = {"name": PACKAGES, "port": STORE_PORT, "targetPort": STORE_PORT}
        spec: Any = {"selector": self._selector(), "ports": [port]}
        return kubernetes.core.v1.Service(
            "packages",
            metadata=self._cluster.metadata(PACKAGES, annotations=EXISTS),
            spec=spec,
            opts=self._options(),
        )

    def _policy(self, callers: Callers) -> pulumi.Resource:
        body = package_policy(self._cluster.scope, callers, STORE_PORT)
        return kubernetes.networking.v1.NetworkPolicy(
            "packages-policy",
            metadata=body["metadata"],
            spec=body["spec"],
            opts=self._options(),
        )

    def _server(
        self,
        settings: PodSettings,
        token: kubernetes.core.v1.Secret,
        before: list[pulumi.Resource],
    ) -> kubernetes.apps.v1.Deployment:
        """Register the server. A new pod replaces the old one when it is ready.

        A pod reads the token when it starts, so the template has the Secret's UID.
        """
        selector = self._selector()
        template = {
            "metadata": {
                "labels": {**labels(self._cluster.scope), **selector},
                "annotations": {"raylift.io/token": token.metadata.apply(_uid)},
            },
            "spec": server_pod(settings, selector),
        }
        spec: Any = {
            "replicas": 1,
            "progressDeadlineSeconds": _START_SECONDS,
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": selector},
            "template": template,
        }
        timeouts = CustomTimeouts(create="20m", update="20m")
        return kubernetes.apps.v1.Deployment(
            "packages",
            metadata=self._cluster.metadata(PACKAGES),
            spec=spec,
            opts=self._options(
                depends_on=[*before, *self._after], custom_timeouts=timeouts
            ),
        )

    def _selector(self) -> dict[str, str]:
        return {STACK_LABEL: self._cluster.scope.stack, COMPONENT_LABEL: PACKAGES}


def _uid(metadata: kubernetes.meta.v1.outputs.ObjectMeta) -> str:
    return metadata.uid or ""  # a preview may not know it


def server_pod(settings: PodSettings, selector: dict[str, str]) -> dict[str, Any]:
    """Return the spec of the server's pod, which runs where Ray's head may run.

    `selector` contains the labels of the pod.
    """
    name = store_name(settings.scope.stack)
    token = {"secretKeyRef": {"name": name, "key": "token"}}
    probe = {"httpGet": {"path": "/healthz", "port": STORE_PORT}, "timeoutSeconds": 10}
    container = {
        "name": PACKAGES,
        "image": image_of(settings.ray, gpu=False),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-u", "-c", inspect.getsource(package_server)],
        "args": [_FOLDER, str(STORE_PORT)],
        "env": [{"name": "TOKEN", "valueFrom": token}],
        "ports": ports({PACKAGES: STORE_PORT}),
        "readinessProbe": {**probe, "periodSeconds": 2},
        "livenessProbe": {**probe, "periodSeconds": 20},
        "resources": _RESOURCES,
        "securityContext": security_context() | {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": PACKAGES, "mountPath": _FOLDER}],
    }
    volume = {"name": PACKAGES, "persistentVolumeClaim": {"claimName": name}}
    head = settings.ray.head
    return {
        **pod_spec(settings, container, [volume], role=PACKAGES),
        **scheduling(head.node_selector, head.tolerations),
        "affinity": same_node_as(selector),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 10,
    }
