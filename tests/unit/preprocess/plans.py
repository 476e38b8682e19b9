"""Plans that cut small data as a real one cuts large data."""

from typing import Any

import pytest

from preprocess.memory_plan import MemoryPlan


def use_plan(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Plan every run of the test so."""
    plan = MemoryPlan(**{"workers": 1, "partitions": 3, "partition_limit_bytes": 10**9, **settings})
    monkeypatch.setattr("preprocess.run.plan_memory", lambda **_: plan)
