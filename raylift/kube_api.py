"""An HTTP client of the Kubernetes API server."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

from raylift.errors import (
    Busy,
    FailedPrecondition,
    PermissionDenied,
    Unreachable,
)
from raylift.kubeconfig import invalid_kubeconfig
from raylift.messages import exception_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from lightkube.config.kubeconfig import SingleConfig


_SECONDS = 10
_NOT_FOUND, _CONFLICT = 404, 409
_DENIED, _UNAVAILABLE = (401, 403), (429, 500, 502, 503, 504)
_CHECK_CONNECTION = "check the connection with `kubectl cluster-info`"


class Api:
    """A session with an API server, authenticated by an entry of a kubeconfig.

    All requests raise:
        PermissionDenied: No token is available, or the API server denies access.
        Unreachable: The API server does not respond or is overloaded.
        FailedPrecondition: The API server returns any other error.
    """

    def __init__(self, entry: SingleConfig) -> None:
        from http.cookiejar import DefaultCookiePolicy

        import httpx2
        from lightkube.config.client_adapter import Client, ConnectionParams

        parameters = ConnectionParams(timeout=httpx2.Timeout(_SECONDS), trust_env=False)
        with invalid_kubeconfig():
            self._http = Client(entry, parameters)
        # The cookies of an application must not be sent with the requests of others.
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __enter__(self) -> Self:
        """Return the session, which keeps its connections until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 JSON
        """Return the object at a path, or None if it does not exist."""
        response = self.request("GET", path, params=query)
        return None if response.status_code == _NOT_FOUND else _json(response)

    def items(self, path: str, **query: str) -> list[Any]:
        """Return the objects in a list, or [] if the cluster lacks their kind."""
        response = self.get(path, **query)
        return list(response["items"]) if response else []

    def create(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 JSON
        """Create an object and return it, or None if its name is taken."""
        response = self.request("POST", path, json=body)
        return None if response.status_code == _CONFLICT else _json(response)

    def patch(
        self,
        path: str,
        body: dict[str, Any],
        kind: str,
        *,
        wait_s: float = _SECONDS,
        **query: str,
    ) -> Any:  # noqa: ANN401 JSON
        """Patch an object and return it; `kind` is a type such as `merge-patch+json`.

        Return None if the object does not exist or was changed concurrently.
        """
        headers = {"Content-Type": f"application/{kind}"}
        content = json.dumps(body)
        response = self.request(
            "PATCH",
            path,
            content=content,
            params=query,
            headers=headers,
            timeout=wait_s,
        )
        is_stale = response.status_code in (_NOT_FOUND, _CONFLICT)
        return None if is_stale else _json(response)

    def time(self, *, wait_s: float = _SECONDS) -> float:
        """Return the API server's time in whole seconds since the epoch."""
        from email.utils import parsedate_to_datetime

        response = raise_for_status(self.request("GET", "/version", timeout=wait_s))
        try:
            return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except ValueError:
            raise FailedPrecondition(
                "the Kubernetes API server sent no valid Date header"
            ) from None

    def delete(self, path: str) -> None:
        """Delete an object, if it exists."""
        response = self.request("DELETE", path)
        if response.status_code != _NOT_FOUND:
            raise_for_status(response)

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 httpx2's
        """Return the response to a request, whatever its status."""
        with _translated_errors(path):
            return self._http.request(method, path, **options)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 httpx2's
    ) -> Iterator[httpx2.Response]:
        """Yield a response, whatever its status, whose body has not been read.

        There is no read timeout. Errors in the `with` block are not converted.
        """
        import httpx2

        timeout = httpx2.Timeout(_SECONDS, read=None, pool=None)
        streaming = self._http.stream(method, path, timeout=timeout, **options)
        with contextlib.ExitStack() as opened:
            with _translated_errors(path):
                response = opened.enter_context(streaming)
            yield response


@contextlib.contextmanager
def _translated_errors(path: str) -> Iterator[None]:
    """Convert errors of the HTTP client to those of `Api`."""
    import httpx2
    from lightkube.core.exceptions import ConfigError

    try:
        yield
    except httpx2.ReadTimeout:
        raise Busy(
            f"the Kubernetes API server did not respond in time: {path}",
            hint=_CHECK_CONNECTION,
        ) from None
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise _unreachable(str(error)) from None
    except (ConfigError, OSError, ValueError, KeyError) as error:  # token plugin
        text = printable(exception_text(error), limit=200)
        raise PermissionDenied(
            f"no token for the Kubernetes API server: {text}"
        ) from None


def _json(response: httpx2.Response) -> Any:  # noqa: ANN401
    try:
        return raise_for_status(response).json()
    except ValueError:
        raise FailedPrecondition(
            f"the server at {response.url.host} is not a Kubernetes API server",
            hint=_CHECK_CONNECTION,
        ) from None


def raise_for_status(response: httpx2.Response) -> httpx2.Response:
    """Return the response if it is successful; raise the errors of `Api` otherwise."""
    if response.is_success:
        return response
    text = message_of(response)
    if response.status_code in _DENIED:
        raise PermissionDenied(
            f"the Kubernetes API server denied access: {text}",
            hint="check your identity with `kubectl auth whoami`",
        )
    if response.status_code in _UNAVAILABLE:
        raise _unreachable(text)
    raise FailedPrecondition(f"the Kubernetes API server rejected the request: {text}")


def _unreachable(reason: str) -> Unreachable:
    return Unreachable(
        f"the Kubernetes API server is unavailable: {reason}", hint=_CHECK_CONNECTION
    )


def is_from_api_server(response: httpx2.Response) -> bool:
    """Return whether a response is the API server's, not that of a proxy's target."""
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("kind") == "Status"


def message_of(response: httpx2.Response) -> str:
    """Return the message of a Kubernetes Status, or the body of any other response."""
    try:
        text = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        text = response.text or f"HTTP {response.status_code}"
    return printable(str(text), limit=200)
