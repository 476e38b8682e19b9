"""Score batches with a model, alone or as one of several ranks.

::

    read ─> unique ids ─> find rows ─> pull ─> pool ─> forward pass
    thread  └─────────── thread ──────────┘    └── main thread ───┘

Rows do not change while a split is scored, so they can be pulled ahead too. Reading takes about as long as the
rest up to the rows, so it has a thread of its own.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from esmm_dist.arrays import F32, F64, I64, Objects
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.inference.impression_keys import ImpressionKeys
from esmm_dist.inference.kept_columns import TextsOf
from esmm_dist.inference.learned_ids import LearnedIds
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.order import one_process_order
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.prefetch import Prefetcher
from esmm_dist.input.users import BatchUsers
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
    transform: LogitTransform
    """What all that is computed from logits is computed from, instead of the model's own."""

    @cached_property
    def _plan(self) -> LookupPlan:
        model = self.forward.model
        return LookupPlan(self.schema, seen_fields=model.seen_fields, lists=model.layout.attended, with_gradients=False)

    def pull(self, batch: GroupedBatch) -> PulledBatch:
        """Read the rows that a rank's share of a batch needs; one thread at a time, beside ``score``."""
        lookups = self._plan.prepare(batch)
        return PulledBatch(batch, lookups, pull_rows(self.store, prepare_rows(self.store, lookups)))

    def score(self, pulled: PulledBatch) -> F64:
        """Return the logits float64 [B, K] of the conditional probabilities, as ``transform`` makes them."""
        logits = self.forward(model_inputs(*pulled, with_norms=self.forward.model.uses_norms))
        return self.transform(logits)


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    """A rank's share of a batch, scored, with what metrics need."""

    sample_ids: I64
    """int64 [B]"""
    labels: I64
    """int64 [B, K]"""
    logits: F64
    """float64 [B, K], of the conditional probabilities"""
    users: I64
    """int64 [B], see ``BatchUsers``"""
    weights: F32 | None
    """float32 [B], sample weights; None: the data set has none"""
    keys: tuple[I64, ...] = ()
    """int64 [B] each, see ``ImpressionKeys``"""

    @property
    def num_impressions(self) -> int:
        """B."""
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class ScoredBatch:
    """A whole batch, over all ranks, in the order of one process."""

    sample_ids: I64
    """int64 [B]"""
    logits: F64
    """float64 [B, K], of the conditional probabilities"""
    sample_names: Objects | None = None
    """bytes [B]: the texts of the impressions (``schema.impression_text``), if the reader reads them"""

    @property
    def num_impressions(self) -> int:
        """B."""
        return len(self.sample_ids)


def scored_batches(
    scorer: Scorer, reader: BatchReader, world: World, *, texts_of: TextsOf | None = None
) -> Generator[ScoredBatch, None, None]:
    """Yield each batch of a split with its logits, in file order; the same on every rank.

    Each batch is a collective, so all ranks must take the same number of them. A thread reads ahead; closing the
    iterator ends it.

    Args:
        scorer: model and rows
        reader: reads this rank's share
        world: ranks that score together
        texts_of: finds the texts of impressions, bytes [B]; None: those that their records hold
    """
    with closing(_scored(scorer, reader)) as scored:
        for step, (pulled, logits) in enumerate(scored):
            batch = pulled.batch
            names = batch.sample_names if texts_of is None else texts_of(batch)
            own = ScoredBatch(sample_ids=batch.sample_ids, logits=logits, sample_names=names)
            if world.size > 1:
                own = _whole(own, np.repeat(reader.record_lanes(step), batch.impressions_per_group), world)
            yield own


def own_batches(
    scorer: Scorer,
    reader: BatchReader,
    users: BatchUsers,
    *,
    learned_ids: LearnedIds | None = None,
    keys: ImpressionKeys | None = None,
) -> Generator[LabelledBatch, None, None]:
    """Yield this rank's share of each batch of a split with its logits, in file order; on every rank the same number.

    A thread reads ahead; closing the iterator ends it.

    Args:
        scorer: model and rows
        reader: reads this rank's share
        users: finds the users of impressions
        learned_ids: counts the impressions that hold a learned id
        keys: finds the segments of impressions; it needs ``learned_ids``
    """
    with closing(_scored(scorer, reader)) as scored:
        for pulled, logits in scored:
            batch = pulled.batch
            known = learned_ids.add(*pulled) if learned_ids is not None else {}
            yield LabelledBatch(
                sample_ids=batch.sample_ids,
                labels=batch.labels,
                logits=logits,
                users=users.of(batch),
                weights=batch.sample_weights,
                keys=keys.of(batch, known) if keys is not None else (),
            )


def _scored(scorer: Scorer, reader: BatchReader) -> Generator[tuple[PulledBatch, F64], None, None]:
    def pulled() -> Iterator[PulledBatch]:
        with Prefetcher(lambda: reader.epoch(0, seed=None), depth=_BATCHES_AHEAD) as read:
            for batch in read:
                yield scorer.pull(batch)

    with Prefetcher(pulled, depth=_BATCHES_AHEAD) as ahead:
        for each in ahead:
            yield each, scorer.score(each)


def _whole(own: ScoredBatch, lanes: I64, world: World) -> ScoredBatch:
    """Gather the shares of a batch, and put their rows into the order of one process.

    A row travels as the bytes of: lane int64, sample id int64, K logits float64.
    """
    row = np.dtype([("lane", "<i8"), ("sample_id", "<i8"), ("logits", "<f8", (own.logits.shape[1],))])
    rows = np.empty(own.num_impressions, dtype=row)
    rows["lane"], rows["sample_id"], rows["logits"] = lanes, own.sample_ids, own.logits
    gathered = world.gather(rows.view(np.uint8).reshape(len(rows), row.itemsize))
    whole = np.ascontiguousarray(gathered).reshape(-1).view(row)
    order = one_process_order(whole["lane"])
    whole = whole[order]
    return ScoredBatch(
        sample_ids=whole["sample_id"],
        logits=whole["logits"],
        sample_names=None if own.sample_names is None else _all_names(own.sample_names, world)[order],
    )


def _all_names(own: Objects, world: World) -> Objects:
    """Gather the names of a batch, rank 0's first. They travel as their lengths, int64, and their bytes."""
    lengths = np.array([len(name) for name in own], np.int64)
    gathered = world.gather(lengths.view(np.uint8).reshape(-1, lengths.itemsize))
    data = world.gather(np.frombuffer(b"".join(own), np.uint8).reshape(-1, 1)).tobytes()
    ends = np.cumsum(np.ascontiguousarray(gathered).reshape(-1).view(np.int64)).tolist()
    names = np.empty(len(ends), np.object_)
    names[:] = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return names
