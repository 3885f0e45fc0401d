"""The claim of a process on a release, renewed while it works on the release.

Times come from the clock of the API server, because clocks of other machines may
differ.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raylift.errors import RayliftError, Unreachable
from raylift.serve_runtime.cluster.revision_object import HOLDER, OUTCOME, RENEWED

if TYPE_CHECKING:
    from raylift.kube_api import Api

_RENEW_SECONDS = 3.0
# A renewal sends two requests, which must time out before the claim expires.
_REQUEST_SECONDS = 3.0
_END_SECONDS = 20.0


class Claim:
    """A release that this process works on, and the thread that renews it.

    `documents` are those that the release was opened with.
    """

    def __init__(
        self, api: Api, path: str, revision: dict[str, Any], holder: str
    ) -> None:
        self.documents = revision["data"]["documents"]
        self._api, self._path, self._holder = api, path, holder
        self._version = revision["metadata"]["resourceVersion"]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, daemon=True)
        self._thread.start()

    def renew(self) -> bool:
        """Renew the claim; return False if another process took it over."""
        return self._annotate({RENEWED: now(self._api)})

    def end(self, annotations: dict[str, str]) -> bool:
        """Write the final annotations and stop renewing.

        Returns False if another process took over the claim.

        Raises:
            Unreachable: The annotations could not be written for some seconds.
        """
        deadline = time.monotonic() + _END_SECONDS
        while True:
            try:
                held = self._annotate(annotations)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                self._ended.set()
                self._thread.join()
                return held

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            try:
                if not self.renew():
                    return
            except RayliftError:
                continue  # the next renewal may succeed; otherwise the claim expires

    def _annotate(self, annotations: dict[str, str]) -> bool:
        with self._lock:
            while not (
                changed := annotate(self._api, self._path, self._version, annotations)
            ):
                # The version also differs after a change whose response was lost.
                current = self._api.get(self._path)
                if not current or not self._holds(current, annotations):
                    return False
                self._version = current["metadata"]["resourceVersion"]
            self._version = changed["metadata"]["resourceVersion"]
            return True

    def _holds(self, revision: dict[str, Any], annotations: dict[str, str]) -> bool:
        """Return whether the release is open, or was closed by these annotations."""
        current = revision["metadata"]["annotations"]
        closed = current.get(OUTCOME) not in ("open", annotations.get(OUTCOME))
        return current.get(HOLDER) == self._holder and not closed


def annotate(
    api: Api, path: str, version: str, annotations: dict[str, str]
) -> dict[str, Any] | None:
    """Return the annotated revision, or None if `version` is outdated."""
    body = {"metadata": {"resourceVersion": version, "annotations": annotations}}
    changed: dict[str, Any] | None = api.patch(
        path, body, "merge-patch+json", wait_s=_REQUEST_SECONDS
    )
    return changed


def now(api: Api) -> str:
    """Return the time of the API server in ISO 8601 format."""
    seconds = api.time(wait_s=_REQUEST_SECONDS)
    return datetime.fromtimestamp(seconds, UTC).isoformat()
