"""PUT requests to Ray that leave no trace if Ray rejects them.

Ray stores a config and then applies it application by application. If it rejects one of
them, that one stays DEPLOYING, the next ones keep their old documents, no application
is deleted, and every later PUT with that application is rejected as well
(ray/serve/_private/controller.py, apply_config).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, RayliftError, Unreachable
from raylift.serve_runtime.ray_api.dashboard import Rejected
from raylift.serve_runtime.status.status import imperative

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import Dashboard
    from raylift.serve_runtime.release import Documents


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the applications in Ray.

    `documents` are those that change, and `others` the documents of all other
    applications. `options` are the top-level options, `old_options` those before.
    """

    documents: Documents
    others: dict[str, dict[str, Any]]
    options: dict[str, Any]
    old_options: dict[str, Any]

    def send(
        self, dashboard: Dashboard, details: dict[str, Any], *, undo: bool
    ) -> None:
        """Send the change.

        With `undo`, restore what Ray ran before if Ray rejects the change or is silent.
        `details` is Ray's ServeInstanceDetails before the change.

        Raises:
            Rejected: Ray rejected the change.
            Conflict: Ray rejects another application, so none can be deleted.
            Unreachable: Ray did not respond; it may have stored the change.
        """
        is_running = bool(details.get("proxies"))
        before = self._before(live(details))
        try:
            self._put(dashboard, before, created=imperative(details))
        except Rejected:
            if not is_running:
                # Ray may have started Serve with options that would otherwise stay in
                # effect.
                dashboard.stop_serve()
                raise
            if self._is_applied(dashboard):
                return
            if undo:
                self._restore(dashboard, before)
            raise
        except Unreachable:
            if undo and is_running:
                with contextlib.suppress(RayliftError):
                    self._restore(dashboard, before)
            raise

    def _restore(self, dashboard: Dashboard, before: dict[str, Any]) -> None:
        """Send the request that restores what Ray ran.

        If Ray rejects an application of others in it, Ray deletes nothing. A request
        with a placeholder for that one deletes what the change created.
        """
        with contextlib.suppress(Rejected):
            dashboard.put_applications(before)
            return
        if self.documents.keys() <= {each["name"] for each in before["applications"]}:
            return
        culprit = self._last_processed(dashboard.serve_details())
        dashboard.put_applications(_with_placeholders(before, {culprit}))
        with contextlib.suppress(Rejected):
            dashboard.put_applications(before)

    def _put(
        self, dashboard: Dashboard, before: dict[str, Any], *, created: list[str]
    ) -> None:
        """Send the change, after a request that makes what code created deletable.

        Ray only deletes what a PUT created or changed.
        """
        names = {n for n in created if self.documents.get(n, {}) is None}
        if names:
            dashboard.put_applications(_with_placeholders(before, names))
        dashboard.put_applications(
            {**self.options, "applications": [*self._new(), *self.others.values()]}
        )

    def _is_applied(self, dashboard: Dashboard) -> bool:
        """Return whether a rejected request contained an invalid application of others.

        Ray applies the changed applications first, and stops at the one that it
        rejects.

        Raises:
            Conflict: The change deletes applications, which Ray has not done.
        """
        culprit = self._last_processed(dashboard.serve_details())
        if culprit not in self.others:
            return False
        if deleted := [name for name, doc in self.documents.items() if doc is None]:
            raise Conflict(
                f"cannot delete {', '.join(deleted)}: Ray rejects application"
                f" '{culprit}', which another tool deployed",
                hint=f"run `raylift delete {culprit}`, then delete again",
            )
        return True

    def _last_processed(self, details: dict[str, Any]) -> str:
        """Return the last application of the request that Ray processed, or ""."""
        times = {
            name: item.get("last_deployed_time_s") or 0
            for name, item in (details.get("applications") or {}).items()
        }
        order = [each["name"] for each in (*self._new(), *self.others.values())]
        newest = max((times.get(name, 0) for name in order), default=0)
        processed = [name for name in order if newest and times.get(name) == newest]
        return processed[-1] if processed else ""

    def _new(self) -> list[dict[str, Any]]:
        return [
            document for document in self.documents.values() if document is not None
        ]

    def _before(self, running: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Return the request that restores what Ray ran, changed applications first."""
        old = {name: running[name] for name in self.documents if name in running}
        return {
            **self.old_options,
            "applications": list((old | self.others).values()),
        }


def _with_placeholders(request: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a request with a placeholder for each named application.

    Ray accepts it, and does not build it before the next request replaces it.
    """
    kept = [each for each in request["applications"] if each["name"] not in names]
    placeholders = [
        {"name": name, "import_path": "raylift:none", "route_prefix": None}
        for name in sorted(names)
    ]
    return {**request, "applications": [*kept, *placeholders]}


def live(details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the documents of the applications in Ray that were deployed with PUT."""
    return {
        name: item["deployed_app_config"]
        for name, item in (details.get("applications") or {}).items()
        if item.get("deployed_app_config") and item.get("status") != "DELETING"
    }
