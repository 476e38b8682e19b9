"""A command that asks a server, to be pasted into a shell: made of the first golden request."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.errors import ServedModelError
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.versions.golden import golden_of

_MOST_CANDIDATES, _MOST_VALUES = 2, 3


def curl_line(config: ServeConfig, url: str, folder: Path) -> str:
    """Return the command.

    Args:
        config: settings of the server
        url: its address
        folder: folder of the version that answers
    """
    words = ["curl", "-s"]
    if config.tls_cert is not None:
        words += ["--cacert", shlex.quote(str(config.tls_cert))]
    if config.token_file is not None:
        words += ["-H", f'"Authorization: Bearer $(cat {shlex.quote(str(config.token_file))})"']
    body = _shortened(_first_request(folder))
    words += ["-d", shlex.quote(json.dumps(body, ensure_ascii=False)), f"{url}/v1/score"]
    return " ".join(words)


def _first_request(folder: Path) -> Mapping[str, Any]:
    try:
        golden = golden_of(folder)
    except ServedModelError:
        golden = None
    for asked in [] if golden is None else golden["requests"]:
        if asked.get("form") == "short" and isinstance(asked.get("request"), dict):
            found: Mapping[str, Any] = asked["request"]
            return found
    return {"candidates": [{}]}  # all values are missing: that is a request, too


def _shortened(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with few candidates and few values of each list, which fits a line."""
    short: dict[str, Any] = {name: _cut(value) for name, value in request.items() if name != "candidates"}
    candidates = [
        {name: _cut(value) for name, value in candidate.items()}
        for candidate in request.get("candidates", [])[:_MOST_CANDIDATES]
    ]
    return {**short, "candidates": candidates}


def _cut(value: Any) -> Any:
    return value[:_MOST_VALUES] if isinstance(value, list) else value
