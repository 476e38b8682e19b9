"""A client of the cluster's API: objects as plain dicts in and out, and a ``ClusterError`` for whatever goes wrong.

Calls, TLS, tokens and proxies are those of the official library. What it lacks is here: limits of time, calls that are
made again, and errors that say what to do.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from launcher.cluster.api.errors import Access, ClusterError, Request, no_answer, no_api, refusal
from launcher.cluster.api.kinds import POD, Object, Resource, resource_of

TRY_AGAIN = (429, 500, 502, 503, 504)

Query = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a call may take, and how often it is made."""

    answer_s: float
    """Seconds that an answer may take. A listing of thousands of pods takes seconds; what takes longer is lost."""

    tries: int
    """Times that a call is made in all, where another try can help and cannot harm."""

    pause_s: float
    """Seconds before the second try; before each further one as many more."""

    patience_s: float
    """Seconds that one call waits in all where answers say after how many to ask again (Retry-After). An answer that
    asks for more is one like any other."""

    connect_s: float = 5.0
    """Seconds that a connection may take."""


USER_LIMITS = Limits(answer_s=20.0, tries=3, pause_s=0.5, patience_s=30.0)
POD_LIMITS = Limits(answer_s=10.0, tries=2, pause_s=0.0, patience_s=0.0)
"""A pod asks the same again every few seconds anyway. The second try is for connections that were closed meanwhile."""


class Api:
    """Makes calls. Thread-safe.

    Args:
        client: a ``kubernetes.client.ApiClient``
        access: which cluster it asks, and as whom
        limits: how long calls may take
        sleep: waits so many seconds
    """

    def __init__(
        self,
        client: Any,
        access: Access,
        limits: Limits = USER_LIMITS,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._access, self._limits, self._sleep = client, access, limits, sleep

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept for the next call; a second time is harmless."""
        self._client.rest_client.pool_manager.clear()

    @property
    def host(self) -> str:
        """The address of the cluster."""
        return self._access.host

    @property
    def namespace(self) -> str:
        """The namespace of objects whose own is not given."""
        return self._access.namespace

    def get(self, resource: Resource, name: str) -> Object:
        """Return an object.

        Raises:
            ClusterError: It is not there (``http_status`` 404), or cannot be had.
        """
        return self._object(
            "GET", resource.path(self.namespace, name), Request(verb="get", resource=resource, name=name)
        )

    def find(self, resource: Resource, name: str) -> Object | None:
        """Return an object; None if it is not there.

        Raises:
            ClusterError: It cannot be had.
        """
        try:
            return self.get(resource, name)
        except ClusterError as e:
            if e.http_status == 404:
                return None
            raise

    def all(self, resource: Resource, labels: str = "", *, fields: str = "", everywhere: bool = False) -> list[Object]:
        """Return the objects that have all labels and fields, of the namespace or of all namespaces."""
        query = [("labelSelector", labels)] * bool(labels) + [("fieldSelector", fields)] * bool(fields)
        path = resource.path(None if everywhere else self.namespace)
        found = self._object("GET", path, Request(verb="list", resource=resource), query=query)
        return list(found.get("items") or [])

    def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create an object.

        Args:
            manifest: the object, with a namespace or without one, which means this one's
            dry_run: whether the cluster only checks it, with all that it would refuse for, and keeps nothing
        """
        resource, name = resource_of(manifest), manifest["metadata"].get("name", "")
        request = Request(verb="create", resource=resource, name=name)
        query = [("dryRun", "All")] * dry_run
        return self._object("POST", resource.path(self.namespace), request, query=query, body=manifest)

    def patch(self, resource: Resource, name: str, change: Mapping[str, Any], *, part: str = "") -> Object:
        """Merge a change into an object (RFC 7386: None removes); returns the whole."""
        request = Request(verb="patch", resource=resource, name=name)
        return self._object("PATCH", resource.path(self.namespace, name, part), request, body=change)

    def scale(self, resource: Resource, name: str, replicas: int) -> None:
        """Set the number of pods of a set."""
        self.patch(resource, name, {"spec": {"replicas": replicas}}, part="scale")

    def delete(self, resource: Resource, name: str) -> bool:
        """Delete an object and, in the background, what it owns; returns whether it was there."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        request = Request(verb="delete", resource=resource, name=name)
        try:
            self._object("DELETE", resource.path(self.namespace, name), request, body=body)
        except ClusterError as e:
            if e.http_status == 404:
                return False
            raise
        return True

    def logs(self, pod: str, *, since: str = "", previous: bool = False, tail: int | None = None) -> list[str]:
        """Return a pod's lines, each with its time in front.

        Args:
            pod: name of the pod
            since: time of the first line, to the second (RFC 3339)
            previous: whether to read the container before this one
            tail: number of last lines. None: all
        """
        query = [("timestamps", "true"), ("limitBytes", str(2**24))]
        query += [("sinceTime", since)] * bool(since) + [("previous", "true")] * previous
        query += [("tailLines", str(tail))] if tail is not None else []
        request = Request(verb="get", resource=POD, name=pod)
        data = self._ask("GET", POD.path(self.namespace, pod, "log"), request, query=query)
        return data.decode(errors="replace").splitlines()

    def knows(self, resource: Resource) -> bool:
        """Return whether the cluster has this kind of object in this version."""
        try:
            found = self._object("GET", resource.root, Request(verb="get", resource=resource))
        except ClusterError as e:
            if e.http_status == 404:
                return False
            raise
        return any(each.get("name") == resource.plural for each in found.get("resources") or [])

    def version(self) -> tuple[int, int]:
        """Return the cluster's version of Kubernetes."""
        resource = Resource("version", "Version", "version", False)
        found = self._object("GET", "/version", Request(verb="get", resource=resource))
        # Some clouds write "27+"
        major, minor = (re.match(r"\d+", str(found.get(each, ""))) for each in ("major", "minor"))
        return (int(major[0]), int(minor[0])) if major and minor else (1, 20)

    def _object(
        self, method: str, path: str, request: Request, *, query: Query | None = None, body: Any = None
    ) -> Object:
        data = self._ask(method, path, request, query=query, body=body)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise no_api(data, self._access)
        return found

    def _ask(self, method: str, path: str, request: Request, *, query: Query | None = None, body: Any = None) -> bytes:
        """Make a call, again where that can help and cannot harm; return the answer's body."""
        import urllib3
        from kubernetes.client.exceptions import ApiException

        tries, patience_s = 1, self._limits.patience_s
        while True:
            try:
                return self._call(method, path, query or [], body)
            except ApiException as e:
                # What is wrong with certificates comes without an answer
                if not e.status:
                    raise no_answer(e, self._access) from e
                # A create whose answer says 500 may have been done all the same
                again = e.status in TRY_AGAIN and (method != "POST" or e.status in (429, 503))
                asked_s = _retry_after(e.headers) if again else None
                if asked_s is not None and asked_s <= patience_s:
                    patience_s -= asked_s
                    self._sleep(asked_s)
                    continue
                if tries == self._limits.tries or not again:
                    raise refusal(e.status, e.body, request, self._access) from e
            except (urllib3.exceptions.HTTPError, OSError) as e:
                before = isinstance(e, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))
                if tries == self._limits.tries or not (before or method != "POST"):
                    raise no_answer(e, self._access) from e
            self._sleep(self._limits.pause_s * tries)
            tries += 1

    def _call(self, method: str, path: str, query: Query, body: Any) -> bytes:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self._client.call_api(
            path,
            method,
            query_params=query,
            header_params={"Accept": "application/json, */*", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=(self._limits.connect_s, self._limits.answer_s),
        )
        return bytes(answer.data)


def _retry_after(headers: Any) -> float | None:
    """Return the seconds (1 or more) that an answer asks to wait; None: it asks for none, or for a date."""
    text = str((headers or {}).get("Retry-After") or "")
    return max(1.0, float(text)) if text.isascii() and text.isdigit() else None
