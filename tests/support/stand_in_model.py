"""A model whose scores can be told without one, and whose computing a test can hold: for tests of what is around it."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.serving.requests.asked_request import AskedRequest
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.scoring.snapshot import Snapshot

SCHEMA = Schema(
    name="stand-in",
    labels=("click", "conversion"),
    fields=(Field(name="user", owner="user"), Field(name="item", owner="item")),
)


class StandInScorer:
    """Takes ``{"candidates": [0.1, 0.2]}`` of one user or several; the scores are the candidates."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(manifest=SimpleNamespace(schema=SCHEMA, step=7))
        self.reader = self
        self.batches: list[list[float]] = []
        """What was computed together."""
        self.begun = threading.Semaphore(0)
        """Released when a batch begins."""
        self.go_on = threading.Event()
        """Cleared: a batch that has begun does not end."""
        self.go_on.set()

    def read(self, form: str, body: Any) -> AskedRequest:
        users = body if isinstance(body, list) else [body]
        if not all(isinstance(user, dict) and isinstance(user.get("candidates"), list) for user in users):
            raise BadRequestError("candidates: there are none")
        if any("break reading" in user for user in users):
            raise RuntimeError("reading is broken")
        lists = [np.asarray(user["candidates"], np.float64) for user in users]
        bits = np.concatenate(lists).view(np.int64)
        none, of_impressions = np.empty(0, np.int64), np.ones(len(bits), np.int64)
        batch = GroupedBatch(
            user_ids=none,
            user_lengths=np.zeros(len(lists), np.int64),
            user_weights=None,
            impression_ids=bits,
            impression_lengths=of_impressions,
            impression_weights=None,
            impressions_per_group=np.array([len(each) for each in lists]),
            sample_ids=np.arange(len(bits)),
            labels=np.zeros((len(bits), 2), np.int64),
        )
        return AskedRequest(batch=batch, several_users=isinstance(body, list), unknown=users[0].get("unknown", {}))

    def score(self, batch: GroupedBatch, found: Any = ()) -> dict[str, np.ndarray]:
        scores = batch.impression_ids.view(np.float64).astype(np.float32)
        self.batches.append(batch.impression_ids.view(np.float64).tolist())
        self.begun.release()
        self.go_on.wait(30)
        if (scores < 0).any():
            raise RuntimeError("a negative candidate breaks the computing")
        return {"pctr": scores, "pcvr": scores / 2, "pctcvr": scores * scores / 2}


class OneVersion:
    """Hands out one version, or none."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot

    def current(self) -> Snapshot | None:
        return self.snapshot

    def why_not_ready(self) -> str:
        return "" if self.snapshot is not None else "no version is loaded"


def stand_in_version(scorer: StandInScorer, number: int = 3) -> OneVersion:
    return OneVersion(Snapshot(version=str(number), number=number, scorer=scorer))
