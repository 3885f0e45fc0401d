"""Code packages in the package store of a stack, behind the API server's proxy."""

from __future__ import annotations

import base64
import functools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raylift.errors import FailedPrecondition, PermissionDenied, Unreachable
from raylift.kube_api import is_from_api_server, raise_for_status

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx2

    from raylift.kube_api import Api
    from raylift.serve_runtime.packaging.package import Package

_TOKEN_HEADER = "X-Raylift-Token"  # noqa: S105 a header; Authorization is for the API server
_WRONG_TOKEN, _NO_POD, _FULL = 401, 503, 507
_PODS = "raylift.io/component=packages"
# The server writes a package to its volume before it responds.
_SECONDS = 120


class PackageStore:
    """The package store at a URL that pods can reach, such as `http://NAME.ray.svc:80`.

    Methods raise the errors of `Api`.
    """

    def __init__(self, api: Api, namespace: str, url: str) -> None:
        parts = urlsplit(url)
        self._api = api
        self._url = url
        self._name = (parts.hostname or "").partition(".")[0]
        self._namespace = namespace
        self._kubectl = f"kubectl -n {namespace}"
        self._core = f"/api/v1/namespaces/{namespace}"
        self._path = f"{self._core}/services/{self._name}:{parts.port}/proxy"

    def store(self, package: Package) -> tuple[str, int]:
        """Upload a package, unless the store has it.

        Return the URI and the number of bytes sent.

        Raises:
            FailedPrecondition: The volume is full, or the store failed.
            PermissionDenied: The store rejects the token.
        """
        name = package.path.name
        uri = f"{self._url}/{name}"
        if self._request("HEAD", name).is_success:
            return uri, 0
        with package.path.open("rb") as body:
            self._refuse_error(self._request("PUT", name, content=body))
        return uri, package.size

    def keep(self, uris: Iterable[str]) -> None:
        """Delete packages that were not requested for an hour, except these."""
        names = sorted(uri.rpartition("/")[2] for uri in uris)
        self._refuse_error(self._request("POST", "keep", content=json.dumps(names)))

    def _request(self, method: str, name: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 httpx2's
        headers = {_TOKEN_HEADER: self._token} if "content" in options else {}
        return self._api.request(
            method,
            f"{self._path}/{name}",
            headers=headers,
            timeout=_SECONDS,
            **options,
        )

    def _refuse_error(self, response: httpx2.Response) -> None:
        """Raise the error that corresponds to a response, if it is not successful."""
        code = response.status_code
        if response.is_success:
            return
        if code == _NO_POD:
            raise Unreachable(
                f"the package store '{self._name}' is not ready",
                hint=f"run `{self._kubectl} describe pods -l {_PODS}`",
            )
        if is_from_api_server(response):
            raise_for_status(response)
        if code == _FULL:
            raise FailedPrecondition(
                f"the volume of the package store '{self._name}' is full",
                hint="increase raylift:packageVolume.size, then run `raylift up`",
            )
        if code == _WRONG_TOKEN:
            raise PermissionDenied(
                f"the package store rejected the token in Secret '{self._name}'",
                hint=f"run `{self._kubectl} rollout restart deployment/{self._name}`,"
                " then the same command again",
            )
        raise FailedPrecondition(
            f"the package store '{self._name}' failed with HTTP {code}",
            hint=f"run `{self._kubectl} logs deployment/{self._name}`",
        )

    @functools.cached_property
    def _token(self) -> str:
        """The token for writing.

        Raises:
            FailedPrecondition: The stack has no token.
        """
        secret = self._api.get(f"{self._core}/secrets/{self._name}") or {}
        token = (secret.get("data") or {}).get("token")
        if not token:
            raise FailedPrecondition(
                f"Secret '{self._name}' in namespace '{self._namespace}' is missing or"
                " has no key 'token'",
                hint="run `pulumi refresh`, then `raylift up`",
            )
        return base64.b64decode(token).decode()
