"""The API over HTTP, on a free port of this machine."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.fake_kubernetes.controllers import Controllers, Script, line_stamp
from tests.fake_kubernetes.store import Object, Refusal, Store

LOOK_S = 0.05
TOKEN = "a-token"
USER = "somebody"

GROUPS = {
    "v1": (
        "namespaces",
        "configmaps",
        "secrets",
        "services",
        "serviceaccounts",
        "persistentvolumeclaims",
        "pods",
        "events",
    ),
    "apps/v1": ("statefulsets", "deployments"),
    "autoscaling/v2": ("horizontalpodautoscalers",),
    "batch/v1": ("jobs", "cronjobs"),
    "rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
    "networking.k8s.io/v1": ("networkpolicies",),
    "policy/v1": ("poddisruptionbudgets",),
    "scheduling.k8s.io/v1": ("priorityclasses",),
}

PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"(?:/(?P<plural>[^/]+))?(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?$"
)


@dataclass(frozen=True)
class Call:
    """What was asked, in the words of a Role."""

    verb: str
    resource: str
    """With its part: ``statefulsets/scale``."""
    name: str
    dry: bool = False


class FakeCluster:
    """A cluster: its objects, its script, and the calls made. A context manager; a second ``close`` is harmless."""

    def __init__(self, groups: dict[str, tuple[str, ...]] | None = None) -> None:
        self.store, self.script = Store(), Script()
        self.groups = GROUPS | (groups or {})
        self.calls: list[Call] = []
        self.denied: list[tuple[str, str]] = []
        """Verb and resource ("*" for all) that this user may not."""
        self.quota: dict[str, str] = {}
        """Message with which creates of a resource are refused."""
        self.invalid: dict[str, tuple[str, str]] = {}
        """Field and message with which creates of a resource are refused."""
        self.failures: list[int] = []
        """Status of the next answers."""
        self.version = ("1", "30")
        self.token = TOKEN
        self.zone: str | None = "Z"
        """Time zone of the nodes, for the times of log lines. None: they give none, and log files whole."""
        self._lines: dict[tuple[str, str], list[str]] = {}
        self.store.create("namespaces", "", {"metadata": {"name": "default"}, "status": {"phase": "Active"}})
        self._controllers = Controllers(self.store, self.script, self.write)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True),
            threading.Thread(target=self._control, daemon=True),
        ]
        self.trouble: BaseException | None = None
        for each in self._threads:
            each.start()

    def __enter__(self) -> "FakeCluster":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        for each in self._threads:
            each.join()
        if self.trouble is not None:
            raise self.trouble

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, folder: Path, *, token: str = TOKEN, namespace: str | None = None) -> Path:
        """Write a kubeconfig for this cluster."""
        context: dict[str, str] = {"cluster": "fake", "user": "me"}
        context |= {"namespace": namespace} if namespace else {}
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": self.address}}],
                    "users": [{"name": "me", "user": {"token": token}}],
                    "contexts": [{"name": "fake", "context": context}],
                }
            )
        )
        return path

    def write(self, namespace: str, pod: str, line: str) -> None:
        """Add a line to a pod's log."""
        self._lines.setdefault((namespace, pod), []).append(f"{line_stamp()} {line}")

    def names(self, resource: str, namespace: str = "default") -> list[str]:
        """Return the names of all objects of a kind."""
        return [each["metadata"]["name"] for each in self.store.all(resource, namespace)]

    def everything(self, namespace: str = "default") -> list[str]:
        """Return all objects but events, as RESOURCE/NAME."""
        with self.store.lock:
            return sorted(
                f"{kind}/{name}" for kind, where, name in self.store.objects if where == namespace and kind != "events"
            )

    def answer(self, method: str, target: str, body: Object | None, token: str, content_type: str) -> Object | str:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if self.failures:
            raise Refusal(self.failures.pop(0), "InternalError", "etcdserver: leader changed")
        if token != f"Bearer {self.token}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if url.path == "/version":
            return {"major": self.version[0], "minor": self.version[1]}
        found = PATH.match(url.path)
        assert found is not None, url.path
        version = found["core"] or found["group"]
        if version not in self.groups:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        plural, name, part, namespace = found["plural"], found["name"] or "", found["part"] or "", found["namespace"]
        if plural is None:
            return {"kind": "APIResourceList", "resources": [{"name": each} for each in self.groups[version]]}
        if plural not in self.groups[version]:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        verb = {"GET": "get" if name else "list", "POST": "create"}.get(method, method.lower())
        whole = f"{plural}/{part}" if part else plural
        self.calls.append(
            Call(verb, whole, name or ((body or {}).get("metadata") or {}).get("name", ""), "dryRun" in query)
        )
        self._check_rights(verb, whole, namespace, version)
        if method == "PATCH":
            assert content_type == "application/merge-patch+json", content_type
        key = plural if version == "v1" else f"{version.split('/')[0].split('.')[0]}/{plural}"
        return self._do(verb, key, namespace, name, part, query, body)

    def _do(
        self,
        verb: str,
        key: str,
        namespace: str | None,
        name: str,
        part: str,
        query: dict[str, str],
        body: Object | None,
    ) -> Object | str:
        where = namespace or ""
        if part == "log":
            return self._log(where, name, query)
        if verb == "list":
            items = self.store.all(key, namespace, query.get("labelSelector", ""))
            return {"kind": "List", "items": [_without_kind(each) for each in items]}
        if verb == "get":
            return self.store.get(key, where, name)
        if verb == "delete":
            assert body is not None
            assert body["propagationPolicy"] == "Background"
            return self.store.delete(key, where, name)
        assert body is not None
        if part == "scale":
            return self.store.scale(key, where, name, body["spec"]["replicas"])
        if verb == "patch":
            return self.store.patch(key, where, name, body)
        plural = key.rpartition("/")[2]
        if where and self.store.find("namespaces", "", where) is None:
            raise Refusal(404, "NotFound", f'namespaces "{where}" not found', name=where, kind="namespaces")
        if plural in self.quota:
            message = f'{plural} "{body["metadata"]["name"]}" is forbidden: exceeded quota: {self.quota[plural]}'
            raise Refusal(403, "Forbidden", message, kind=plural)
        if plural in self.invalid:
            field, message = self.invalid[plural]
            raise Refusal(422, "Invalid", "it is invalid", causes=[{"field": field, "message": message}])
        return self.store.create(key, where, body, keep="dryRun" not in query)

    def _check_rights(self, verb: str, resource: str, namespace: str | None, version: str) -> None:
        for denied_verb, denied in self.denied:
            if denied_verb in (verb, "*") and denied in (resource, "*"):
                group = version.rpartition("/")[0]
                at = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
                plural = resource.partition("/")[0]
                raise Refusal(
                    403,
                    "Forbidden",
                    f'{resource} is forbidden: User "{USER}" cannot {verb} resource "{resource}" in API group '
                    f'"{group}" {at}',
                    kind=plural,
                )

    def _log(self, namespace: str, pod: str, query: dict[str, str]) -> str:
        thing = self.store.get("pods", namespace, pod)
        if thing["status"]["phase"] == "Pending":
            raise Refusal(400, "BadRequest", f'container "main" in pod "{pod}" is waiting to start')
        lines = list(self._lines.get((namespace, pod), []))
        if self.zone is None:
            return "".join(f"{each.partition(' ')[2]}\n" for each in lines)
        lines = [each.replace("Z ", f"{self.zone} ", 1) for each in lines]
        if since := query.get("sinceTime"):
            second = datetime.fromisoformat(since)
            lines = [each for each in lines if datetime.fromisoformat(each.partition(" ")[0]) >= second]
        if tail := query.get("tailLines"):
            lines = lines[-int(tail) :]
        return "".join(f"{each}\n" for each in lines)

    def _control(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                self._controllers.look()
            except BaseException as e:
                self.trouble = e
                return


def _without_kind(thing: Object) -> Object:
    """As in a real list, whose items do not say what they are."""
    return {key: value for key, value in thing.items() if key not in ("kind", "apiVersion")}


def _handler(cluster: FakeCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2**16  # head and body in one piece: the second would wait 40 ms for an acknowledgement

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token, kind = self.headers.get("Authorization", ""), self.headers.get("Content-Type", "")
            code: int = 200
            answer: Any
            try:
                with cluster.store.lock:
                    answer = cluster.answer(self.command, self.path, body, token, kind)
                    data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            except Refusal as e:
                code, data = int(str(e.status["code"])), json.dumps(e.status).encode()
            except Exception as e:
                cluster.trouble = e
                code, data = 500, b"{}"
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def wait_until(check: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)
