"""Score batches with a model, alone or as one of several ranks.

::

    read ─> unique ids ─> find rows ─> pull ─> forward pass ─> gather (several ranks)
    └───────── prefetch thread ──────────┘     └──────── main thread ────────┘

Rows do not change while a split is scored, so they can be pulled ahead too.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.inference.kept_columns import TextsOf
from esmm_dist.inference.learned_ids import LearnedIds
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.order import one_process_order
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.prefetch import Prefetcher
from esmm_dist.input.users import NO_USER, BatchUsers
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, prepare_rows, pull_rows
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Schema

_BATCHES_AHEAD = 2


class PulledBatch(NamedTuple):
    """A rank's share of a batch, with the rows that it needs."""

    batch: GroupedBatch
    lookups: dict[str, TableLookup]
    rows: dict[str, F32]
    """float32 [U, D] by table"""


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model and its rows, ready to score batches."""

    schema: Schema
    store: EmbeddingStore
    forward: CompiledForward

    @cached_property
    def _plan(self) -> LookupPlan:
        return LookupPlan(self.schema)

    def pull(self, batch: GroupedBatch) -> PulledBatch:
        """Read the rows that a rank's share of a batch needs; one thread at a time, beside ``score``."""
        lookups = self._plan.prepare(batch)
        return PulledBatch(batch, lookups, pull_rows(self.store, prepare_rows(self.store, lookups)))

    def score(self, pulled: PulledBatch) -> F32:
        """Return the logits float32 [B, K] of the conditional probabilities."""
        logits, _ = self.forward(model_inputs(*pulled))
        return logits


@dataclass(frozen=True, kw_only=True)
class ScoredBatch:
    """A whole batch, over all ranks, in the order of one process."""

    sample_ids: npt.NDArray[np.int64]
    """int64 [B]"""
    labels: npt.NDArray[np.int8]
    """int8 [B, K]"""
    logits: npt.NDArray[np.float32]
    """float32 [B, K], of the conditional probabilities"""
    users: npt.NDArray[np.int64]
    """int64 [B], see ``BatchUsers``; ``NO_USER`` where they are not needed"""
    weights: npt.NDArray[np.float32] | None = None
    """float32 [B], sample weights; None: the data set has none"""
    sample_names: npt.NDArray[np.object_] | None = None
    """bytes [B]: the texts of the impressions (``schema.impression_text``), if the reader reads them"""

    @property
    def num_impressions(self) -> int:
        """B."""
        return len(self.sample_ids)


def scored_batches(
    scorer: Scorer,
    reader: BatchReader,
    world: World,
    *,
    users: BatchUsers | None = None,
    learned_ids: LearnedIds | None = None,
    texts_of: TextsOf | None = None,
) -> Generator[ScoredBatch, None, None]:
    """Yield each batch of a split with its logits, in file order; the same on every rank.

    Each batch is a collective, so all ranks must take the same number of them. A thread reads ahead; closing the
    iterator ends it.

    Args:
        scorer: model and rows
        reader: reads this rank's share
        world: ranks that score together
        users: finds the users of impressions; None: they are not needed
        learned_ids: counts this rank's impressions that hold a learned id
        texts_of: finds the texts of impressions, bytes [B]; None: those that their records hold
    """

    def pulled() -> Iterator[PulledBatch]:
        for batch in reader.epoch(0, seed=None):
            yield scorer.pull(batch)

    with Prefetcher(pulled, depth=_BATCHES_AHEAD) as ahead:
        for step, each in enumerate(ahead):
            batch = each.batch
            if learned_ids is not None:
                learned_ids.add(*each)
            own = ScoredBatch(
                sample_ids=batch.sample_ids,
                labels=batch.labels.astype(np.int8),
                logits=scorer.score(each),
                users=np.full(batch.num_impressions, NO_USER) if users is None else users.of(batch),
                weights=batch.sample_weights,
                sample_names=batch.sample_names if texts_of is None else texts_of(batch),
            )
            if world.size == 1:
                yield own
            else:
                yield _whole(own, np.repeat(reader.record_lanes(step), batch.impressions_per_group), world)


def _whole(own: ScoredBatch, lanes: npt.NDArray[np.int64], world: World) -> ScoredBatch:
    """Gather the shares of a batch, and put their rows into the order of one process.

    A row travels as the bytes of: lane int64, sample id int64, user int64, weight float32, K labels int8, K logits
    float32.
    """
    width = own.logits.shape[1]
    columns = [("lane", "<i8"), ("sample_id", "<i8"), ("user", "<i8"), ("weight", "<f4"), ("labels", "i1", (width,))]
    row = np.dtype([*columns, ("logits", "<f4", (width,))])
    rows = np.empty(own.num_impressions, dtype=row)
    rows["lane"], rows["sample_id"], rows["user"] = lanes, own.sample_ids, own.users
    rows["labels"], rows["logits"] = own.labels, own.logits
    rows["weight"] = 1.0 if own.weights is None else own.weights
    gathered = world.gather(rows.view(np.uint8).reshape(len(rows), row.itemsize))
    whole = np.ascontiguousarray(gathered).reshape(-1).view(row)
    order = one_process_order(whole["lane"])
    whole = whole[order]
    return ScoredBatch(
        sample_ids=whole["sample_id"],
        labels=whole["labels"],
        logits=whole["logits"],
        users=whole["user"],
        weights=None if own.weights is None else whole["weight"],
        sample_names=None if own.sample_names is None else _all_names(own.sample_names, world)[order],
    )


def _all_names(own: npt.NDArray[np.object_], world: World) -> npt.NDArray[np.object_]:
    """Gather the names of a batch, rank 0's first. They travel as their lengths, int64, and their bytes."""
    lengths = np.array([len(name) for name in own], np.int64)
    gathered = world.gather(lengths.view(np.uint8).reshape(-1, lengths.itemsize))
    data = world.gather(np.frombuffer(b"".join(own), np.uint8).reshape(-1, 1)).tobytes()
    ends = np.cumsum(np.ascontiguousarray(gathered).reshape(-1).view(np.int64)).tolist()
    names = np.empty(len(ends), np.object_)
    names[:] = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return names
