"""Results as strict JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from launcher.terminal.json_line import json_line


@dataclass(frozen=True)
class Inner:
    auc: float
    path: Path


def test_results_become_strict_json_on_one_line():
    result: dict[Any, Any] = {
        "inner": [Inner(math.nan, Path("a/b"))],
        "count": np.int64(3),
        "share": np.float32(0.5),
        "flag": np.bool_(True),
        "worst": -math.inf,
        "text": "two\nlines",
        7: (1, None),
    }
    line = json_line(result)
    assert "\n" not in line
    assert json.loads(line) == {
        "inner": [{"auc": None, "path": "a/b"}],
        "count": 3,
        "share": 0.5,
        "flag": True,
        "worst": None,
        "text": "two\nlines",
        "7": [1, None],
    }
