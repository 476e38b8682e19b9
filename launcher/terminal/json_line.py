"""Write a result as one line of strict JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def json_line(result: Mapping[str, Any]) -> str:
    """Return a result as one line. Numbers that JSON lacks (NaN, infinities) become null."""
    return json.dumps(json_value(result), allow_nan=False)


def json_value(value: Any) -> Any:
    """Turn dataclasses, paths, tuples and NumPy scalars, also nested ones, into what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, (str, bool, int, float)) and hasattr(value, "item"):
        return json_value(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
