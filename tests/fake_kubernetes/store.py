"""Objects by path, with what an API server does to them."""

import copy
import itertools
import re
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            "details": details,
        }


class Store:
    """Thread-safe by its lock, which callers of more than one method hold."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[tuple[str, str, str], Object] = {}
        """By resource (``apps/statefulsets``), namespace ("" for the cluster's own) and name."""
        self._versions = itertools.count(1)

    def create(self, resource: str, namespace: str, thing: Object, *, keep: bool = True) -> Object:
        thing = copy.deepcopy(thing)
        metadata = thing["metadata"]
        if metadata.get("namespace", namespace) != namespace:
            raise Refusal(400, "BadRequest", "the namespace of the object does not match the namespace on the request")
        name = metadata.get("name") or metadata["generateName"] + uuid.uuid4().hex[:5]
        kind = resource.rpartition("/")[2]
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name):
            causes = [{"field": "metadata.name", "message": f'Invalid value: "{name}"'}]
            raise Refusal(422, "Invalid", f"{name} is invalid", name=name, causes=causes)
        with self.lock:
            if (resource, namespace, name) in self.objects:
                raise Refusal(409, "AlreadyExists", f'{kind} "{name}" already exists', name=name, kind=kind)
            metadata |= {"name": name, "uid": str(uuid.uuid4()), "resourceVersion": str(next(self._versions))}
            metadata["creationTimestamp"] = stamp()
            if namespace:
                metadata["namespace"] = namespace
            if keep:
                self.objects[resource, namespace, name] = thing
        return thing

    def get(self, resource: str, namespace: str, name: str) -> Object:
        with self.lock:
            try:
                return self.objects[resource, namespace, name]
            except KeyError:
                kind = resource.rpartition("/")[2]
                raise Refusal(404, "NotFound", f'{kind} "{name}" not found', name=name, kind=kind) from None

    def find(self, resource: str, namespace: str, name: str) -> Object | None:
        with self.lock:
            return self.objects.get((resource, namespace, name))

    def all(self, resource: str, namespace: str | None = None, labels: str = "") -> list[Object]:
        with self.lock:
            return [
                each
                for (kind, where, _), each in sorted(self.objects.items())
                if kind == resource and namespace in (None, where) and has_labels(each, labels)
            ]

    def patch(self, resource: str, namespace: str, name: str, change: Object) -> Object:
        with self.lock:
            thing = self.get(resource, namespace, name)
            merged: Object = merge(thing, change)
            merged["metadata"]["resourceVersion"] = str(next(self._versions))
            self.objects[resource, namespace, name] = merged
            return merged

    def scale(self, resource: str, namespace: str, name: str, replicas: int) -> Object:
        self.patch(resource, namespace, name, {"spec": {"replicas": replicas}})
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": name}, "spec": {}}

    def delete(self, resource: str, namespace: str, name: str) -> Object:
        """Delete an object and, as in the background, all that it owns."""
        with self.lock:
            gone = self.get(resource, namespace, name)
            del self.objects[resource, namespace, name]
            for kind, where, owned in list(self.objects):
                thing = self.objects.get((kind, where, owned))
                owners = (thing or {"metadata": {}})["metadata"].get("ownerReferences") or []
                if any(each["uid"] == gone["metadata"]["uid"] for each in owners):
                    self.delete(kind, where, owned)
            return gone


def merge(below: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    merged = dict(below) if isinstance(below, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def has_labels(thing: Object, query: str) -> bool:
    """Equality only, which is all that is asked for."""
    labels = thing["metadata"].get("labels") or {}
    pairs = [each.partition("=") for each in query.split(",") if each]
    return all(labels.get(key) == value for key, _, value in pairs)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
