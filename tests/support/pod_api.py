"""A cluster's API as a pod sees it, over real HTTPS: pods, ConfigMaps and scales of one namespace, and who may do what.

It is small, and knows what the driver of a job asks for, nothing else.
"""

import contextlib
import gc
import json
import ssl
import threading
import warnings
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from launcher.cluster import names
from launcher.cluster.api.client import Api
from launcher.cluster.api.connect import connect_pod
from tests.support.certificates import Authority

NAMESPACE = "ml"
JOB = "nightly"


class PodApi:
    """What is in the namespace. Change it from any thread."""

    def __init__(self, folder: Path) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.maps: dict[str, dict[str, Any]] = {JOB: {"metadata": {"name": JOB}}, f"{JOB}-status": {}}
        self.replicas = {f"{JOB}-worker": 2, f"{JOB}-server": 1}
        self.calls: list[tuple[str, str]] = []
        """Verb and resource, as a Role names them: ("patch", "configmaps/nightly-status")."""
        self.patches: list[tuple[str, Any]] = []
        self.forbidden: set[tuple[str, str]] = set()
        self.is_down = False
        self.folder = folder
        self.token = "token of this hour"
        self.port = 0
        self.clients = contextlib.ExitStack()

    def add_pod(self, name: str, *, ready: bool = True, uid: str = "", labels: Mapping[str, str] | None = None) -> None:
        """Let there be a pod of the workers."""
        own = names.selector(JOB, "worker")
        self.pods[name] = {
            "metadata": {"name": name, "uid": uid or f"uid of {name}", "labels": dict(labels or own)},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
        }

    def ready(self, name: str, is_ready: bool) -> None:
        """Make a pod Ready, or not."""
        self.pods[name]["status"]["conditions"] = [{"type": "Ready", "status": str(is_ready)}]

    def terminate(self, name: str) -> None:
        """Begin the grace period of a pod."""
        self.pods[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    def request(self, request: str) -> None:
        """Ask something of the driver."""
        self.maps[JOB]["metadata"]["annotations"] = {"esmm-dist/wish": request}

    def renew_token(self, token: str) -> None:
        """Let only another token be good from now on."""
        self.token = token
        (self.folder / "token").write_text(token)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a pod."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def client(self) -> Api:
        """Return a client with a pod's access."""
        client = connect_pod(folder=self.folder, environment=self.environment)
        self.clients.callback(client.close)
        return client

    def published(self) -> dict[str, Any]:
        """Return the status that was published last."""
        data = self.maps[f"{JOB}-status"].get("data") or {}
        found: dict[str, Any] = json.loads(data.get("status.json", "{}"))
        return found

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> tuple[int, Any]:
        """Return status and object."""
        match path.strip("/").split("/"):
            case ["api", "v1", "namespaces", namespace, "pods"] if namespace == NAMESPACE and method == "GET":
                call = ("list", "pods")
            case ["api", "v1", "namespaces", namespace, "configmaps", name] if namespace == NAMESPACE:
                call = (method.lower(), f"configmaps/{name}")
            case ["apis", "apps", "v1", "namespaces", namespace, "statefulsets", name, "scale"]:
                call = (method.lower(), f"statefulsets/scale/{name}")
            case _:
                return 404, {"message": f"no such path {path}"}
        self.calls.append(call)
        if call in self.forbidden:
            return 403, {"message": f"may not {call[0]} {call[1]}"}
        if method == "PATCH":
            self.patches.append((call[1], body))
        kind, _, name = call[1].rpartition("/")
        if call == ("list", "pods"):
            return 200, {"items": [pod for pod in self.pods.values() if _selected(pod, query)]}
        if kind == "configmaps" and name in self.maps:
            if method == "PATCH":
                data = (self.maps[name].get("data") or {}) | body["data"]
                self.maps[name]["data"] = {key: value for key, value in data.items() if value is not None}
            return 200, self.maps[name]
        if kind == "statefulsets/scale" and name in self.replicas and method == "PATCH":
            self.replicas[name] = body["spec"]["replicas"]
            return 200, {"spec": body["spec"]}
        return 404, {"message": f"{call[1]} not found"}


def _selected(pod: Mapping[str, Any], query: Mapping[str, list[str]]) -> bool:
    wanted = [pair.split("=", 1) for pair in query["labelSelector"][0].split(",")]
    return all(pod["metadata"]["labels"].get(key) == value for key, value in wanted)


@contextlib.contextmanager
def pod_api(folder: Path) -> Iterator[PodApi]:
    """Serve an API for the block.

    Args:
        folder: Made for it; becomes the folder of a service account.
    """
    folder.mkdir()
    authority = Authority(folder)
    (folder / "ca.crt").write_bytes(authority.cert.read_bytes())
    (folder / "namespace").write_text(NAMESPACE)
    api = PodApi(folder)
    api.renew_token(api.token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            if api.is_down:
                self.connection.close()
                return
            if self.headers["Authorization"] != f"Bearer {api.token}":
                status, answer = 401, {"message": "Unauthorized"}
            elif self.command == "PATCH" and self.headers["Content-Type"] != "application/merge-patch+json":
                status, answer = 415, {"message": "no merge patch"}
            else:
                status, answer = api.answer(self.command, url.path, parse_qs(url.query), body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PATCH = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            plain, address = super().get_request()
            try:
                plain.getpeername()  # of a client that is gone already; Python's TLS socket would stay open
                return tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address
            except OSError:
                plain.close()
                raise

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away."""

    pair = authority.sign("api")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.cert, pair.key)
    with Server(("127.0.0.1", 0), Handler) as server:
        api.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        with api.clients:
            yield api
        server.shutdown()
        thread.join()
    # A call that is cut off between connect and TLS handshake: Python's ssl leaves that socket to the garbage collector
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
