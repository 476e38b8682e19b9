"""The requests and answers that an export puts beside a model, to check any client and any server against.

::

    assets.extra/golden.json
      {"tolerance": 1e-6,
       "requests": [{"name": "two candidates", "form": "short", "request": {...}, "answer": {"scores": {...}, ...}},
                    {"name": "...", "form": "values", "request": {"inputs": {...}, ...}, "answer": {"outputs": {...}}}]}
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.errors import ServedModelError
from esmm_dist.serving.versions.version_cache import ASSETS_FOLDER, GOLDEN_NAME

REPAIR = "Export the version again."


def golden_of(folder: Path) -> Mapping[str, Any] | None:
    """Return the content of a version's ``golden.json``; None if it has none.

    Raises:
        ServedModelError: it is damaged
    """
    path = folder / ASSETS_FOLDER / GOLDEN_NAME
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found["requests"], list) or not 0 <= float(found["tolerance"]) < 1:
            raise ValueError("its tolerance or its requests are none")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as e:
        raise ServedModelError(f"{path} cannot be read ({type(e).__name__}: {e}). {REPAIR}") from e
    assert isinstance(found, dict)
    return found
