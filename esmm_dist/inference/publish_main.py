"""The process that publishes for a training: ``python -m esmm_dist.inference.publish_main``.

It reads a ``PublishOrder`` as JSON from stdin, and writes progress (``esmm_dist.process.progress_events``) and one line
of JSON to stdout: ``{"published": {...}}`` or ``{"error": "..."}``.
"""

import json
import os
import sys
from typing import Any

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import EsmmError
from esmm_dist.inference.publish_version import PublishOrder, publish_version
from esmm_dist.process.progress_events import JsonProgress

_NICE = 10
"""How far it stands behind the training where both want a processor: Linux gives it a tenth of a share then."""


def main() -> None:
    """Publish what stdin asks for."""
    os.nice(_NICE)
    order = build(PublishOrder, json.load(sys.stdin), where="order")
    try:
        found: dict[str, Any] = {"published": to_mapping(publish_version(order, JsonProgress(sys.stdout)))}
    except EsmmError as e:
        found = {"error": str(e)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
