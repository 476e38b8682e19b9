"""The paths that a server answers.

::

    GET   /healthz   /readyz   /metrics
    POST  /v1/score
    GET   /v1/models/NAME[/versions/N | /labels/LABEL][/metadata]
    POST  /v1/models/NAME[/versions/N | /labels/LABEL]:predict
    POST  /v1/models/NAME[/versions/N]:score
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from esmm_dist.serving.http.refusals import RefusedError

Endpoint = Literal["healthz", "readyz", "metrics", "score", "predict", "classify", "regress", "status", "metadata"]

# As TensorFlow Serving has it, capitals or not
_OF_MODEL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(?::(?P<verb>predict|score|classify|regress)|(?P<metadata>/metadata))?",
    re.IGNORECASE,
)
_PLAIN: dict[str, Endpoint] = {
    "/healthz": "healthz",
    "/readyz": "readyz",
    "/metrics": "metrics",
    "/v1/score": "score",
}
_POSTED = ("score", "predict", "classify", "regress")


@dataclass(frozen=True, kw_only=True)
class Address:
    """What a path names."""

    endpoint: Endpoint
    model: str | None = None
    """None: the path names no model."""
    version: int | None = None
    label: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it has."""
        return ("POST",) if self.endpoint in _POSTED else ("GET", "HEAD")


def address_of(path: str, name: str) -> Address:
    """Return what a path names.

    Args:
        path: the path, with its escapes resolved
        name: name of the server's model, for messages

    Raises:
        RefusedError: Nothing is there: status 404.
    """
    if (endpoint := _PLAIN.get(path)) is not None:
        return Address(endpoint=endpoint)
    if (found := _OF_MODEL.fullmatch(path)) is None:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no {path[:80]!r}. {paths_of(name)}")
    verb = (found["verb"] or ("metadata" if found["metadata"] else "status")).lower()
    version = None if found["version"] is None else int(found["version"][:20])
    return Address(endpoint=verb, model=found["name"], version=version, label=found["label"])  # type: ignore[arg-type]


def paths_of(name: str) -> str:
    """Return the paths that there are, in a sentence."""
    model = f"/v1/models/{name}"
    return (
        f"POST to /v1/score, {model}:predict or {model}:score; GET {model}, {model}/metadata, /healthz, /readyz or "
        f"/metrics. Before :predict, :score and /metadata there may be /versions/N"
    )
