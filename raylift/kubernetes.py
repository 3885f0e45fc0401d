"""The API server of a cluster: which one a stack means, and plain questions to it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from raylift.errors import Busy, CannotWork, Denied, InputFailed, Unreachable
from raylift.wording import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from lightkube import KubeConfig
    from lightkube.config.kubeconfig import SingleConfig


_SECONDS = 10
_PLUGIN_API = "client.authentication.k8s.io/v1beta1"
_OURSELVES = "raylift"
_GONE, _CONFLICT = 404, 409
_REFUSED, _BUSY = (401, 403), (429, 500, 502, 503, 504)


def access(kubeconfig: str | None, context: str | None) -> SingleConfig:
    """The cluster that a stack file names, as the kubeconfig describes it.

    None is what kubectl would take.

    Raises:
        InputFailed: there is no such kubeconfig or context.
    """
    with _as_bad_input():
        loaded = _loaded(kubeconfig)
    wanted = context or loaded.current_context
    if wanted not in loaded.contexts:
        known = sorted(loaded.contexts)
        text = f"'{wanted}' is not in the kubeconfig" if wanted else "none is current"
        raise InputFailed.at(
            "raylift:kubernetes.context",
            f"{text}{did_you_mean(wanted or '', known)}",
            hint=f"contexts here: {', '.join(known) or 'none'}",
        )
    with _as_bad_input():
        return _by_its_plugin(loaded.get(wanted))


def _loaded(path: str | None) -> KubeConfig:
    from lightkube import KubeConfig

    if path:
        return KubeConfig.from_file(Path(path).expanduser())
    return KubeConfig.from_env()


@contextlib.contextmanager
def _as_bad_input() -> Iterator[None]:
    """Whatever lightkube raises for a kubeconfig that is none, or not a whole one."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 it raises whatever its parts do
        text = printable(f"not usable: {_named(error)}", limit=200)
        raise InputFailed.at("raylift:kubernetes.kubeconfig", text) from None


def _named(error: Exception) -> str:
    """An error's text; those of Python that are a bare word need their kind."""
    return str(error) if " " in str(error) else f"{type(error).__name__} {error}"


def access_by(text: str) -> SingleConfig:
    """The cluster that the text of a kubeconfig describes."""
    from lightkube import KubeConfig

    return _by_its_plugin(KubeConfig.from_dict(json.loads(text)).get())


def _by_its_plugin(found: Any) -> SingleConfig:  # noqa: ANN401 lightkube may have none
    """An entry whose plugin for tokens, if it has one, lightkube runs.

    It refuses `v1`, though it treats every version alike; and `raylift` itself need not
    be on the user's PATH.
    """
    plugin = found.user.exec if found.user else None
    if plugin:
        plugin.apiVersion = _PLUGIN_API
        if plugin.command == _OURSELVES:
            plugin.command = str(Path(sys.executable).parent / _OURSELVES)
    return cast("SingleConfig", found)


class Api:
    """An API server, asked with the credentials of a kubeconfig's entry.

    Every question raises:
        Denied: there is no token for it, or it refuses.
        Unreachable: it does not answer, or not now.
        CannotWork: it answers with another error.
    """

    def __init__(self, entry: SingleConfig) -> None:
        import httpx2
        from lightkube.config.client_adapter import Client, ConnectionParams

        parameters = ConnectionParams(timeout=httpx2.Timeout(_SECONDS), trust_env=False)
        with _as_bad_input():
            self._http = Client(entry, parameters)

    def __enter__(self) -> Self:
        """Itself; connections are kept until the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 JSON
        """What is at a path; None where nothing is."""
        answer = self.ask("GET", path, params=query)
        return None if answer.status_code == _GONE else _json(answer)

    def items(self, path: str, **query: str) -> list[Any]:
        """Objects of a list; none where the cluster does not have their kind."""
        found = self.get(path, **query)
        return list(found["items"]) if found else []

    def create(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 JSON
        """The object that came of a body; None where its name is taken."""
        answer = self.ask("POST", path, json=body)
        return None if answer.status_code == _CONFLICT else _json(answer)

    def patch(
        self,
        path: str,
        body: dict[str, Any],
        kind: str,
        *,
        wait_s: float = _SECONDS,
        **query: str,
    ) -> Any:  # noqa: ANN401 JSON
        """Change an object by a patch of a kind, such as `merge-patch+json`.

        None where it comes too late: the object is gone, or not what it was.
        """
        headers = {"Content-Type": f"application/{kind}"}
        content = json.dumps(body)
        answer = self.ask(
            "PATCH",
            path,
            content=content,
            params=query,
            headers=headers,
            timeout=wait_s,
        )
        late = answer.status_code in (_GONE, _CONFLICT)
        return None if late else _json(answer)

    def time(self, *, wait_s: float = _SECONDS) -> float:
        """Seconds since the epoch by the API server's clock, to the second."""
        from email.utils import parsedate_to_datetime

        date = told(self.ask("GET", "/version", timeout=wait_s)).headers.get("Date", "")
        try:
            return parsedate_to_datetime(date).timestamp()
        except ValueError:
            raise CannotWork(
                "the Kubernetes API server does not say what time it is"
            ) from None

    def delete(self, path: str) -> None:
        """Take an object away, if it is there."""
        answer = self.ask("DELETE", path)
        if answer.status_code != _GONE:
            told(answer)

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:  # noqa: ANN401 httpx2's
        """An answer, whatever its status."""
        import httpx2
        from lightkube.core.exceptions import ConfigError

        try:
            return self._http.request(method, path, **more)
        except httpx2.ReadTimeout:
            raise Busy(
                f"no answer in time to {path}", hint="kubectl cluster-info"
            ) from None
        except httpx2.HTTPError as error:
            raise _silent(str(error)) from None
        except (ConfigError, OSError, ValueError, KeyError) as error:  # of its plugin
            text = printable(_named(error), limit=200)
            raise Denied(f"no token for the Kubernetes API server: {text}") from None


def _json(answer: httpx2.Response) -> Any:  # noqa: ANN401
    try:
        return told(answer).json()
    except ValueError:
        raise CannotWork(
            f"{answer.url.host} answers, but not as a Kubernetes API server does",
            hint="kubectl cluster-info",
        ) from None


def told(answer: httpx2.Response) -> httpx2.Response:
    """An answer, if it is none of an error; raises as Api does."""
    if answer.is_success:
        return answer
    text = _message(answer)
    if answer.status_code in _REFUSED:
        raise Denied(
            f"the Kubernetes API server refuses: {text}", hint="kubectl auth whoami"
        )
    if answer.status_code in _BUSY:
        raise _silent(text)
    raise CannotWork(f"the Kubernetes API server says: {text}")


def _silent(why: str) -> Unreachable:
    return Unreachable(
        f"the Kubernetes API server does not answer: {why}", hint="kubectl cluster-info"
    )


def _message(answer: httpx2.Response) -> str:
    """The message of Kubernetes' Status object, or the text of whatever answered."""
    try:
        text = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        text = answer.text or f"HTTP {answer.status_code}"
    return printable(str(text), limit=200)
