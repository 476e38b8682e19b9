"""The cluster's API: objects as plain dicts in and out, and one clear ``ClusterError`` for whatever goes wrong."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import EsmmError

Object = dict[str, Any]

CONNECT_S = 5.0
ANSWER_S = 20.0
"""A listing of thousands of pods takes seconds; what takes longer is lost."""

TRIES = 3
PAUSE_S = 0.5
TRY_AGAIN = (429, 500, 502, 503, 504)
PATIENCE_S = 30.0
"""An answer may say after how many seconds to ask again (Retry-After). One call waits so long in all; an answer that
asks for more is one like any other."""

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ClusterError(EsmmError):
    """The cluster cannot be reached, or refuses."""

    def __init__(self, message: str, http_status: int | None = None, reason: str = "") -> None:
        """Hold the message.

        Args:
            message: Whole: what is wrong, where, and what to do.
            http_status: None: there was no answer.
            reason: As the API calls it (``AlreadyExists``), or ``Quota``.
        """
        super().__init__(message)
        self.http_status = http_status
        self.reason = reason


@dataclass(frozen=True)
class Resource:
    """A kind of object, and where the API has it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str = "", part: str = "") -> str:
        """Return the path of an object, or of all of a namespace (None: of all namespaces)."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace is not None else ""
        return root + inside + f"/{self.plural}" + (f"/{name}" if name else "") + (f"/{part}" if part else "")


NAMESPACE = Resource("v1", "Namespace", "namespaces", False)
CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
SECRET = Resource("v1", "Secret", "secrets")
SERVICE = Resource("v1", "Service", "services")
SERVICE_ACCOUNT = Resource("v1", "ServiceAccount", "serviceaccounts")
CLAIM = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD = Resource("v1", "Pod", "pods")
EVENT = Resource("v1", "Event", "events")
STATEFUL_SET = Resource("apps/v1", "StatefulSet", "statefulsets")
JOB = Resource("batch/v1", "Job", "jobs")
ROLE = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
NETWORK_POLICY = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGET = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
OLD_DISRUPTION_BUDGET = Resource("policy/v1beta1", "PodDisruptionBudget", "poddisruptionbudgets")
PRIORITY_CLASS = Resource("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", False)
SERVICE_MONITOR = Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
MPI_JOB = Resource("kubeflow.org/v2beta1", "MPIJob", "mpijobs")

RESOURCES = (
    *(NAMESPACE, CONFIG_MAP, SECRET, SERVICE, SERVICE_ACCOUNT, CLAIM, POD, EVENT, STATEFUL_SET, JOB, ROLE),
    *(ROLE_BINDING, NETWORK_POLICY, DISRUPTION_BUDGET, OLD_DISRUPTION_BUDGET, PRIORITY_CLASS, SERVICE_MONITOR, MPI_JOB),
)


def resource_of(manifest: Mapping[str, Any]) -> Resource:
    """Return the kind of a manifest."""
    for each in RESOURCES:
        if (each.api_version, each.kind) == (manifest["apiVersion"], manifest["kind"]):
            return each
    raise AssertionError(f"{manifest['apiVersion']} {manifest['kind']} is not in RESOURCES")


class Api:
    """Makes calls: each has a time limit, and is repeated where that can help and cannot harm. Not thread-safe."""

    def __init__(self, client: Any, *, namespace: str, who: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Hold a client.

        Args:
            client: A ``kubernetes.client.ApiClient``.
            namespace: For objects whose namespace is not said.
            who: Whose credentials it uses, for messages: ``context 'x' of FILE``.
            sleep: Waits so many seconds.
        """
        self._client, self._who, self._sleep = client, who, sleep
        self.namespace = namespace

    @property
    def host(self) -> str:
        """The address of the cluster."""
        return str(self._client.configuration.host)

    def get(self, resource: Resource, name: str) -> Object:
        """Return an object.

        Raises:
            ClusterError: It is not there (``http_status`` 404), or not to be had.
        """
        return self._json("GET", resource, name)

    def find(self, resource: Resource, name: str) -> Object | None:
        """Return an object; None if it is not there.

        Raises:
            ClusterError: It is not to be had.
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
        found = self._json("GET", resource, query=query, everywhere=everywhere)
        return list(found.get("items") or [])

    def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create an object.

        Args:
            manifest: With a namespace or without one, which means this one's.
            dry_run: Have the cluster check it, with all that it would refuse for, and keep nothing.
        """
        query = [("dryRun", "All")] * dry_run
        name = manifest["metadata"].get("name", "")
        return self._json("POST", resource_of(manifest), query=query, body=manifest, about=name)

    def patch(self, resource: Resource, name: str, change: Mapping[str, Any], *, part: str = "") -> Object:
        """Merge a change into an object (RFC 7386: None removes); returns the whole."""
        return self._json("PATCH", resource, name, part=part, body=change)

    def scale(self, resource: Resource, name: str, replicas: int) -> None:
        """Set the number of pods of a set."""
        self.patch(resource, name, {"spec": {"replicas": replicas}}, part="scale")

    def delete(self, resource: Resource, name: str) -> bool:
        """Delete an object and, in the background, what it owns; returns whether it was there."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            self._json("DELETE", resource, name, body=body)
        except ClusterError as e:
            if e.http_status == 404:
                return False
            raise
        return True

    def logs(self, pod: str, *, since: str = "", previous: bool = False, tail: int | None = None) -> list[str]:
        """Return a pod's lines, each with its time in front.

        Args:
            pod: Its name.
            since: Time of the first, to the second (RFC 3339).
            previous: Of the container before this one.
            tail: Only the last so many.
        """
        query = [("timestamps", "true"), ("limitBytes", str(2**24))]
        query += [("sinceTime", since)] * bool(since) + [("previous", "true")] * previous
        query += [("tailLines", str(tail))] if tail is not None else []
        data = self._ask("GET", POD.path(self.namespace, pod, "log"), query, None, "get", POD, pod)
        return data.decode(errors="replace").splitlines()

    def knows(self, resource: Resource) -> bool:
        """Return whether the cluster has this kind of object in this version."""
        root = resource.api_version
        path = f"/apis/{root}" if "/" in root else f"/api/{root}"
        try:
            found = json.loads(self._ask("GET", path, [], None, "get", resource, ""))
        except ClusterError as e:
            if e.http_status == 404:
                return False
            raise
        return any(each.get("name") == resource.plural for each in found.get("resources") or [])

    def version(self) -> tuple[int, int]:
        """Return the cluster's version of Kubernetes."""
        resource = Resource("version", "Version", "version", False)
        found = json.loads(self._ask("GET", "/version", [], None, "get", resource, ""))
        # Some clouds write "27+"
        major, minor = (re.match(r"\d+", str(found.get(each, ""))) for each in ("major", "minor"))
        return (int(major[0]), int(minor[0])) if major and minor else (1, 20)

    def _json(
        self,
        method: str,
        resource: Resource,
        name: str = "",
        *,
        part: str = "",
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        everywhere: bool = False,
        about: str = "",
    ) -> Object:
        verb = {"GET": "get" if name else "list", "POST": "create"}.get(method, method.lower())
        path = resource.path(None if everywhere else self.namespace, name, part)
        data = self._ask(method, path, query or [], body, verb, resource, name or about)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            said = _one_line(data[:80].decode(errors="replace")) or "nothing"
            raise ClusterError(
                f"{self.host} does not answer as a cluster's API does ({said}): "
                f"something between here and the cluster answers instead, such as a page to log in. Check the server "
                f"that {self._who} names; kubectl cluster-info shows the same."
            )
        return found

    def _ask(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Mapping[str, Any] | None,
        verb: str,
        resource: Resource,
        name: str,
    ) -> bytes:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json, */*", "Content-Type": kind}
        left, patience = TRIES - 1, PATIENCE_S
        while True:
            try:
                answer = self._client.call_api(
                    path,
                    method,
                    query_params=query,
                    header_params=dict(headers),
                    body=body,
                    auth_settings=["BearerToken"],
                    _return_http_data_only=True,
                    _preload_content=False,
                    _request_timeout=(CONNECT_S, ANSWER_S),
                )
                return bytes(answer.data)
            except ApiException as e:
                # What is wrong with certificates comes without an answer
                if not e.status:
                    raise self._no_answer(e) from e
                # A create whose answer says 500 may have been done all the same
                again = e.status in TRY_AGAIN and (method != "POST" or e.status in (429, 503))
                asked = _retry_after(e.headers) if again else None
                if asked is not None and asked <= patience:
                    patience -= asked
                    self._sleep(asked)
                    continue
                if not left or not again:
                    raise self._refusal(e.status, e.body, verb, resource, name) from e
            except (urllib3.exceptions.HTTPError, OSError) as e:
                before = isinstance(e, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))
                if not left or not (before or method != "POST"):
                    raise self._no_answer(e) from e
            self._sleep(PAUSE_S * (TRIES - left))
            left -= 1

    def _no_answer(self, error: Exception) -> ClusterError:
        text = _one_line(str(getattr(error, "reason", None) or error))
        # The library's own words end with the system's: "<...>: Failed to establish a new connection: [Errno 111] ..."
        why = re.sub(r"^.*\[Errno -?\d+\] ", "", text)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            why = re.sub(r"^.*certificate verify failed: | \(_ssl\.c:\d+\).*$", "", text)
            return ClusterError(
                f"The cluster at {self.host} shows a certificate that {self._who} does not vouch for ({why}). Fetch a "
                "new kubeconfig from the cluster's owner."
            )
        return ClusterError(
            f"The cluster at {self.host} gives no answer ({why}). It is down, behind a VPN, or {self._who} names an "
            "old address; kubectl cluster-info shows the same. Jobs in it go on meanwhile."
        )

    def _refusal(self, status: int, body: Any, verb: str, resource: Resource, name: str) -> ClusterError:
        return refusal(
            status,
            body,
            verb=verb,
            resource=resource,
            name=name,
            namespace=self.namespace,
            host=self.host,
            who=self._who,
        )


def connect(namespace: str | None = None) -> Api:
    """Find the cluster: of KUBECONFIG or ~/.kube/config, else the one that this pod runs in. Nothing is asked yet.

    Args:
        namespace: None: the context's, else ``default``.

    Raises:
        ClusterError: No cluster is known, or the file that names it is of no use.
    """
    # Takes a second: not before a command needs it
    import yaml
    from kubernetes import client
    from kubernetes.config import incluster_config, kube_config
    from kubernetes.config.config_exception import ConfigException

    settings = client.Configuration()
    files = kubeconfig_files()
    try:
        if files:
            named = os.pathsep.join(str(each) for each in files)
            _, active = kube_config.list_kube_config_contexts(named)
            kube_config.load_kube_config(named, client_configuration=settings)
            found = active["context"].get("namespace") or "default"
            who = f"context '{active['name']}' of {named}"
        elif os.environ.get("KUBERNETES_SERVICE_HOST"):
            incluster_config.load_incluster_config(settings)
            found, who = POD_NAMESPACE.read_text(encoding="utf-8").strip(), "the service account of this pod"
        else:
            asked = os.environ.get("KUBECONFIG")
            missing = f"KUBECONFIG is {asked}, which does not exist" if asked else "there is no ~/.kube/config"
            raise ClusterError(
                f"No cluster is known: {missing}, and this is no pod. Get a kubeconfig from the cluster's owner and "
                "set KUBECONFIG=FILE."
            )
    except (ConfigException, yaml.YAMLError, KeyError, TypeError, OSError) as e:
        named = os.pathsep.join(str(each) for each in files) or "the service account of this pod"
        raise ClusterError(
            f"{named} cannot be used ({_one_line(str(e))}). Get a new one from the cluster's owner; kubectl config "
            "view shows it."
        ) from e
    settings.retries = False  # urllib3's own would come on top of ours
    settings.proxy, settings.no_proxy = proxies_of(settings.host)
    return Api(client.ApiClient(settings), namespace=namespace or found, who=who)


def proxies_of(host: str) -> tuple[str | None, str]:
    """Return the proxy that leads to an API server, and the hosts that are reached without it, as kubectl takes them.

    The library lets http_proxy lead to HTTPS hosts too, and forgets no_proxy.
    """
    found = urllib.request.getproxies_environment()
    without = [found["no"]] if "no" in found else []
    return found.get(host.partition(":")[0]), ",".join([*without, "localhost", "127.0.0.0/8", "::1"])


def kubeconfig_files() -> list[Path]:
    """Return the files that name clusters, of those that exist."""
    named = os.environ.get("KUBECONFIG")
    paths = [Path(each) for each in named.split(os.pathsep) if each] if named else [Path.home() / ".kube" / "config"]
    return [each for each in paths if each.is_file()]


def cluster_is_known() -> bool:
    """Return whether ``connect`` would find a cluster to ask."""
    return bool(kubeconfig_files() or os.environ.get("KUBERNETES_SERVICE_HOST"))


def refusal(
    status: int,
    body: Any,
    *,
    verb: str,
    resource: Resource,
    name: str,
    namespace: str,
    host: str,
    who: str,
) -> ClusterError:
    """Turn the API's answer into an error whose message says what to do.

    Args:
        status: Of HTTP.
        body: A Status object as text, or anything.
        verb: What was asked, as rights call it.
        resource: Of which kind of object.
        name: Of which object; empty: of all, or of a new one.
        namespace: Where.
        host: Address of the cluster.
        who: Whose credentials were used.
    """
    said = _status_object(body)
    message, reason = _one_line(str(said.get("message") or "")), str(said.get("reason") or "")
    where = f"namespace {namespace}" if resource.namespaced else "the cluster"
    what = f"{resource.kind} {name}" if name else resource.plural
    details = said.get("details") or {}
    if status == 401:
        text = (
            f"The cluster at {host} does not accept the credentials of {who}: they have expired, or it does not know "
            "them. Log in again as the cluster's owner describes; kubectl get pods shows the same."
        )
    elif status == 403 and "exceeded quota" in message:
        reason = "Quota"
        text = (
            f"{what} in {where} is over the quota: {_after(message, 'exceeded quota: ')}. Ask for less in the job "
            f"file, delete what is not needed (esmm jobs), or ask for more: kubectl describe quota -n {namespace}."
        )
    elif status == 403 and "cannot" in message:
        reason = "NoRight"
        text = _no_right(message, verb, resource, where, who, namespace)
    elif status == 404 and details.get("kind") == "namespaces":
        text = f"Namespace {details.get('name')} does not exist. Name another with --namespace, or have it made."
    elif status == 404 and details.get("name"):
        text = f"There is no {what} in {where}."
    elif status == 404:
        text = f"The cluster at {host} does not know {resource.plural} of {resource.api_version} ({what} in {where})."
    elif status == 409 and reason == "AlreadyExists":
        text = f"{what} exists already in {where}."
    elif status == 409:
        text = f"{what} in {where} was changed by somebody else at the same time ({message}). Try again."
    elif status in (400, 422):
        text = f"The cluster refuses {what} in {where}: {_causes(details) or message}."
    else:
        text = (
            f"The cluster at {host} refuses to {verb} {what} in {where} with {status} ({message or 'no reason given'})."
        )
    return ClusterError(text, status, reason)


def _no_right(message: str, verb: str, resource: Resource, where: str, who: str, namespace: str) -> str:
    user = re.search(r'User "([^"]*)"', message)
    # What the API says is missing may be another thing than what was asked: a Role that gives more than its maker has
    missing = re.search(r'cannot (\w+) resource "([^"]*)"', message)
    verb, plural = missing.groups() if missing else (verb, resource.plural)
    group = resource.api_version.rpartition("/")[0]
    extra = f" of {group}" if group else ""
    scope = f" -n {namespace}" if resource.namespaced else ""
    return (
        f"No right to {verb} {plural}{extra} in {where} ({f'user {user.group(1)}' if user else who}). Ask the "
        f"cluster's owner for it (k8s/README.md lists all that are needed), and check: kubectl auth can-i {verb} "
        f"{plural}{scope}"
    )


def _retry_after(headers: Any) -> float | None:
    """Return the seconds (1 or more) that an answer asks to wait; None: it asks for none, or for a date."""
    text = str((headers or {}).get("Retry-After") or "")
    return max(1.0, float(text)) if text.isascii() and text.isdigit() else None


def _causes(details: Mapping[str, Any]) -> str:
    causes = details.get("causes") or []
    return "; ".join(f"{each.get('field')}: {_one_line(str(each.get('message')))}" for each in causes)


def _status_object(body: Any) -> Mapping[str, Any]:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text[:300]}
    return found if isinstance(found, dict) else {}


def _after(text: str, mark: str) -> str:
    return text.partition(mark)[2] or text


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
